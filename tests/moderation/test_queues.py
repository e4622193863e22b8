"""Two queues and their consumers: who works on what, at which priority, and once."""

import contextlib
import os
import signal
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import psutil
import pytest
from django.utils import timezone
from huey import crontab
from huey.serializer import SignedSerializer

from moderation import queues, tasks
from moderation.models import PeriodicRun
from moderation.queues import JOBS, QUEUES, UPLOADS
from tests.clips import clip
from tests.moderation.installation import Installation, installation
from tests.running import eventually

pytestmark = pytest.mark.every_database
BACKFILL = """
from chat.services.activity import SYSTEM
from moderation import steering, tasks
from moderation.scopes import Scope
steering.create_job("metadata", Scope(), SYSTEM, "dashboard")
tasks.wake()
"""


@pytest.fixture(autouse=True)
def _empty_queues() -> Iterator[None]:
    for queue in QUEUES.values():
        queue.flush()
    yield
    for queue in QUEUES.values():
        queue.flush()


def test_each_wake_up_goes_to_its_queue(db: None) -> None:
    tasks.make_renditions(1)
    assert (len(UPLOADS), len(JOBS)) == (1, 0)
    tasks.work()
    assert (len(UPLOADS), len(JOBS)) == (1, 1)


def test_nothing_is_kept_that_nobody_reads(db: None) -> None:
    tasks.make_renditions(12345)
    UPLOADS.execute(UPLOADS.dequeue())
    assert UPLOADS.result_count() == 0


def test_a_message_without_our_signature_is_not_unpacked(settings: Any) -> None:
    class Trap:
        def __reduce__(self) -> Any:
            return os.mkdir, ("/proc/never",)

    for serializer in (
        SignedSerializer(secret="another key", salt="offchat jobs"),
        SignedSerializer(secret=settings.SECRET_KEY, salt="offchat uploads"),
    ):
        JOBS.storage.enqueue(serializer.serialize(Trap()))
        with pytest.raises(ValueError, match="mismatch"):
            JOBS.dequeue()


# --- Periodic work ------------------------------------------------------------------------------


def test_periodic_work_is_begun_by_one_of_several(db: None) -> None:
    begun: list[int] = []

    def sweep_something() -> None:
        begun.append(1)

    name = "sweep_something"
    wrapper = queues.periodic_task(crontab(minute="7"), apart=timedelta(minutes=30))(
        sweep_something
    )
    try:
        wrapper.call_local()
        wrapper.call_local()
        assert len(begun) == 1
        later = timezone.now() - timedelta(minutes=31)
        assert PeriodicRun.objects.filter(name=name).update(begun_at=later) == 1
        wrapper.call_local()
        wrapper.call_local()
        assert len(begun) == 2
        PeriodicRun.objects.filter(name=name).update(begun_at=timezone.now() + timedelta(days=1))
        wrapper.call_local()  # the clock was set back
        wrapper.call_local()
        assert len(begun) == 3
    finally:
        wrapper.unregister()


def test_all_periodic_work_is_in_one_queue() -> None:
    assert {task.name for task in JOBS._registry.periodic_tasks} >= {
        "sweep_each_minute",
        "sweep_abandoned_uploads",
        "sweep_orphans",
        "sweep_scratch",
        "clear_old_details",
    }
    assert UPLOADS._registry.periodic_tasks == []


# --- Real consumers -----------------------------------------------------------------------------


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Installation]:
    with installation(tmp_path / "data") as made:
        yield made


def seen(site: Installation) -> list[str]:
    return list(site.query("SELECT queue FROM moderation_workerseen ORDER BY queue"))


def priorities(pid: int) -> dict[str, set[Any]]:
    """What the processes from ``pid`` down have, without those that end meanwhile.

    Those that commit hold the database's lock now and then; the others read and transcode.
    """
    has: dict[str, set[Any]] = {"commit": set(), "read": set(), "disk": set()}
    parent = psutil.Process(pid)
    for process in [parent, *parent.children(recursive=True)]:
        with contextlib.suppress(psutil.NoSuchProcess):  # or a zombie
            commits = "run_huey" in " ".join(process.cmdline())
            has["commit" if commits else "read"].add(process.nice())
            has["disk"].add(tuple(process.ionice()))
    return has


def test_each_consumer_works_on_its_own_queue_and_tells_so(site: Installation) -> None:
    source = site.data_dir / "archive"
    source.mkdir()
    (source / "one.mp4").write_bytes(clip().read_bytes())
    site.manage("import_videos", str(source), "--conversation", "A", "--user", "admin", "--create")
    site.manage("backfill_video_metadata")
    renditions = "SELECT count(*) FROM chat_rendition"
    assert site.value(renditions) == 0
    site.python("from moderation import tasks; tasks.make_renditions(1)")

    jobs = site.start("run_huey", "--queue", "jobs")
    eventually("it tells", lambda: seen(site) == ["jobs"], 20)
    assert site.value(renditions) == 0
    uploads = site.start("run_huey", "--queue", "uploads")
    eventually("renditions are made", lambda: site.value(renditions) > 0, 20)
    assert seen(site) == ["jobs", "uploads"]
    for consumer in (jobs, uploads):
        consumer.send_signal(signal.SIGINT)
    outputs = [consumer.communicate(timeout=60)[0] for consumer in (jobs, uploads)]
    assert [consumer.returncode for consumer in (jobs, uploads)] == [0, 0]
    assert "Periodic tasks are enabled" in outputs[0]
    assert "Periodic tasks are disabled" in outputs[1]
    assert "Traceback" not in "".join(outputs)
    assert not site.processes()


def test_where_another_machine_does_the_periodic_work_it_is_off(site: Installation) -> None:
    site.environment["PERIODIC"] = "0"
    consumer = site.start("run_huey", "--queue", "jobs")
    eventually("it tells", lambda: seen(site) == ["jobs"], 20)
    consumer.send_signal(signal.SIGTERM)
    assert "Periodic tasks are disabled" in consumer.communicate(timeout=60)[0]


@pytest.mark.skipif(not psutil.LINUX, reason="reads priorities of the disk, which Linux has")
def test_jobs_give_way_and_what_follows_uploads_does_a_little(site: Installation) -> None:
    own = psutil.Process().nice()
    site.environment |= {"JOBS_NICE": "7", "UPLOADS_NICE": "3", "JOBS_IO_PRIORITY": "low"}
    source = site.data_dir / "archive"
    source.mkdir()
    (source / "one.mp4").write_bytes(clip().read_bytes())
    site.manage("import_videos", str(source), "--conversation", "A", "--user", "admin", "--create")
    jobs = site.start("run_huey", "--queue", "jobs", "--workers", "1")
    uploads = site.start("run_huey", "--queue", "uploads", "--workers", "1")
    site.python(BACKFILL)
    ready = "SELECT count(*) FROM chat_attachment WHERE processing_state = 'ready'"
    eventually("it is read", lambda: site.value(ready) == 1, 30)
    site.python("from moderation import tasks; tasks.make_renditions(1)")
    made = "SELECT count(*) FROM chat_rendition"
    eventually("renditions are made", lambda: site.value(made) > 0, 30)
    of_jobs, of_uploads = priorities(jobs.pid), priorities(uploads.pid)
    for has, lower in ((of_jobs, 7), (of_uploads, 3)):
        assert (has["commit"], has["read"]) == ({own}, {min(own + lower, 19)})
    assert of_jobs["disk"] == {(psutil.IOPRIO_CLASS_BE, 7)}
    assert {ioclass for ioclass, _ in of_uploads["disk"]} == {psutil.Process().ionice().ioclass}
