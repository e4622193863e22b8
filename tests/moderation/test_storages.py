"""Installations on other servers by settings alone: a backfill to its end, on one machine or two.

What else the engine does there is shown by the tests marked ``every_database``.
"""

import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.machine import lacking
from tests.moderation.consumers import (
    LEASE_SECONDS,
    STATUS,
    archive,
    assert_each_was_done_once,
    drain,
    start_consumer,
    start_job,
    wait_until_some_are_done,
)
from tests.moderation.installation import (
    Installation,
    Process,
    database_to_copy,
    installation,
)
from tests.running import eventually
from tests.services import own_database, own_redis_database, redis_server

VIDEOS = 40
ITEMS_PER_SECOND = 10  # so that a job can be disturbed, however fast the machine
MakeSite = Callable[..., Installation]


@pytest.fixture(scope="module")
def migrated(postgresql_server: str) -> Iterator[str]:
    with database_to_copy(postgresql_server) as name:
        yield name


@pytest.fixture
def make_site(tmp_path: Path, postgresql_server: str, migrated: str) -> Iterator[MakeSite]:
    """Makes an installation on PostgreSQL with legacy videos, its queues where it is told."""
    with ExitStack() as at_the_end:

        def make(huey_url: str = "") -> Installation:
            database = at_the_end.enter_context(own_database(postgresql_server, like=migrated))
            made = at_the_end.enter_context(
                installation(
                    tmp_path / "data",
                    DATABASE_URL=database,
                    HUEY_URL=huey_url or database,
                    JOB_LEASE_SECONDS=str(LEASE_SECONDS),
                )
            )
            if not huey_url:
                made.manage("migrate", "--verbosity", "0")  # makes the tables of the queues
            source = str(archive(tmp_path / "archive", VIDEOS))
            made.manage(
                "import_videos", source, "--conversation", "A", "--user", "admin", "--create"
            )
            return made

        yield make


@pytest.fixture
def redis_database(redis_url: str) -> Iterator[str]:
    with own_redis_database(redis_url) as url:
        yield url


def stop(consumer: Process, signum: int = signal.SIGINT) -> str:
    consumer.send_signal(signum)
    output = consumer.communicate(timeout=20)[0]
    assert consumer.returncode == 0, output
    return output


def test_queues_on_postgresql(make_site: MakeSite) -> None:
    site = make_site()
    tables = "SELECT count(*) FROM pg_tables WHERE tablename LIKE 'huey%'"
    assert site.value(tables) == 4  # made by `migrate`
    consumer = start_consumer(site)
    start_job(site)
    site.wait_for(STATUS, "done", seconds=60)
    output = stop(consumer)
    assert_each_was_done_once(site)
    assert "Traceback" not in output
    assert not site.processes()

    uploads = start_consumer(site, "uploads")
    some = site.value("SELECT min(id) FROM chat_attachment WHERE processing_state = 'ready'")
    made = f"SELECT count(*) > 0 FROM chat_rendition WHERE attachment_id = {some}"
    site.python(f"from moderation import tasks; tasks.make_renditions({some})")
    site.wait_for(made, True, seconds=20)
    assert "Traceback" not in stop(uploads)


def test_a_killed_consumer_on_postgresql_is_followed_by_one_that_finishes(
    make_site: MakeSite,
) -> None:
    site = make_site()
    consumer = start_consumer(site)
    start_job(site, ITEMS_PER_SECOND)
    wait_until_some_are_done(site)
    os.killpg(consumer.pid, signal.SIGKILL)
    consumer.communicate(timeout=10)
    eventually("nothing of it is left", lambda: not site.processes(), 5)
    consumer = start_consumer(site)
    site.wait_for(STATUS, "done", seconds=30)
    stop(consumer)
    assert_each_was_done_once(site)


def test_a_queue_that_goes_away_costs_time_only(tmp_path: Path) -> None:
    settings = {"DATABASE_URL": "", "JOB_LEASE_SECONDS": str(LEASE_SECONDS)}
    with (
        redis_server() as queue,
        installation(tmp_path / "data", HUEY_URL=queue.url, **settings) as site,
    ):
        source = str(archive(tmp_path / "archive", VIDEOS))
        site.manage("import_videos", source, "--conversation", "A", "--user", "admin", "--create")
        consumer = start_consumer(site)
        drain(consumer)  # it complains about each look at a queue that is away
        job = start_job(site, ITEMS_PER_SECOND)
        wait_until_some_are_done(site)
        queue.stop()
        assert f"Job {job}: paused." in site.manage("jobs", "pause", str(job))
        assert f"Job {job}: running." in site.manage("jobs", "resume", str(job))
        queue.start()  # the wake-ups are gone
        site.wait_for(STATUS, "done", seconds=120)
        consumer.send_signal(signal.SIGINT)
        assert consumer.wait(20) == 0
        assert_each_was_done_once(site)


# --- Two machines -------------------------------------------------------------------------------


@pytest.fixture
def second_machine(tmp_path: Path) -> Iterator[Callable[[Installation], Installation]]:
    """Makes a machine with a name and a DATA_DIR of its own, on the servers and media of one."""
    made: list[Installation] = []

    def make(first: Installation) -> Installation:
        shared = {name: first.environment[name] for name in ("DATABASE_URL", "HUEY_URL")}
        shared |= {"MEDIA_ROOT": str(first.data_dir / "media"), "PERIODIC": "0"}
        shared["SECRET_KEY"] = (first.data_dir / "secret_key").read_text().strip()
        other = Installation(tmp_path / "second", JOB_LEASE_SECONDS=str(LEASE_SECONDS), **shared)
        other.prefix = ("unshare", "--uts", *([] if os.geteuid() == 0 else ["--map-root-user"]))
        other.prefix += ("sh", "-c", 'hostname second && exec "$@"', "sh")
        probe = subprocess.run([*other.prefix, "true"], capture_output=True, check=False)
        if probe.returncode:
            lacking("a second host name (unshare --uts)")
        made.append(other)
        return other

    yield make
    for other in made:
        other.clear_away()


def test_two_machines_share_a_job(
    make_site: MakeSite,
    second_machine: Callable[[Installation], Installation],
    redis_database: str,
) -> None:
    first = make_site(redis_database)
    second = second_machine(first)
    consumers = [start_consumer(first), start_consumer(second)]
    hosts = "SELECT count(DISTINCT host) FROM moderation_workerseen"
    first.wait_for(hosts, 2, seconds=20)
    start_job(first, ITEMS_PER_SECOND)
    owners = set()

    def both_have_worked() -> bool:
        held = first.query("SELECT owner FROM moderation_chunk WHERE owner != ''")
        owners.update(owner.rpartition(":")[0] for owner in held)
        return len(owners) == 2

    eventually("both have worked", both_have_worked, 60)
    first.wait_for(STATUS, "done", seconds=90)
    outputs = [stop(consumer) for consumer in consumers]
    assert_each_was_done_once(first)
    assert "Periodic tasks are enabled" in outputs[0]
    assert "Periodic tasks are disabled" in outputs[1]
    assert "Traceback" not in "".join(outputs)


def test_a_machine_that_is_lost_costs_its_leases_only(
    make_site: MakeSite,
    second_machine: Callable[[Installation], Installation],
    redis_database: str,
) -> None:
    first = make_site(redis_database)
    second = second_machine(first)
    lost = start_consumer(second)
    start_job(first, ITEMS_PER_SECOND)
    wait_until_some_are_done(first)
    os.killpg(lost.pid, signal.SIGKILL)
    lost.communicate(timeout=10)
    assert first.value(STATUS) == "running"
    consumer = start_consumer(first)
    first.wait_for(STATUS, "done", seconds=90)
    stop(consumer)
    assert_each_was_done_once(first)
