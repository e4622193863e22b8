"""The queue: a real consumer on a database in files, killed in the middle of a job."""

import os
import signal
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import transaction
from django.utils import timezone

from chat.models import Attachment
from chat.services.activity import SYSTEM
from moderation import backfill, chunks, planning, queues, steering, tasks
from moderation.models import Chunk, Failure, Job
from moderation.scopes import Scope
from tests.clips import clip
from tests.moderation.installation import Installation, Process, installation
from tests.running import eventually

pytestmark = pytest.mark.every_database
MakeVideo = Callable[..., Attachment]
LEASE_SECONDS = 3

START_JOB = """
from chat.services.activity import SYSTEM
from moderation import steering, tasks
from moderation.scopes import Scope
job = steering.create_job("metadata", Scope(), SYSTEM, "dashboard")
tasks.wake()
print(job.pk)
"""


def archive(folder: Path, count: int) -> Path:
    """So many videos, the last of them broken."""
    folder.mkdir()
    for number in range(count - 1):
        (folder / f"{number:03}.mp4").write_bytes(clip().read_bytes() + number.to_bytes(2))
    (folder / "broken.mp4").write_bytes(b"nothing of a video" * 50)
    return folder


@contextmanager
def site_with(folder: Path, count: int, **settings: str) -> Iterator[Installation]:
    """With so many legacy videos."""
    settings["JOB_LEASE_SECONDS"] = str(LEASE_SECONDS)
    with installation(folder / "data", **settings) as made:
        source = str(archive(folder / "archive", count))
        made.manage("import_videos", source, "--conversation", "A", "--user", "admin", "--create")
        yield made


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Installation]:
    """As it comes."""
    with site_with(tmp_path, 160) as made:
        yield made


@pytest.fixture
def slow_site(tmp_path: Path) -> Iterator[Installation]:
    """Fewer videos, and media tools that take their time over each."""
    tool = tmp_path / "ffprobe"
    tool.write_text('#!/bin/sh\nsleep 1\nexec ffprobe "$@"\n')
    tool.chmod(stat.S_IRWXU)
    with site_with(tmp_path, 24, **stand_in(tool)) as made:
        yield made


def stand_in(tool: Path) -> dict[str, str]:
    """Settings with which ``tool`` is run in the place of ffprobe."""
    return {"MEDIA_ENGINE": "ffmpeg", "MEDIA_SANDBOX": "off", "FFPROBE_BINARY": str(tool)}


def start_consumer(site: Installation) -> Process:
    return site.start("run_huey", "--queue", "jobs")


def stop_consumer(process: Process) -> str:
    """In order, as the process manager does."""
    process.terminate()
    return process.communicate(timeout=20)[0]


PROCESSED = "SELECT count(*) FROM chat_activitylog WHERE action = 'attachment_processed'"
DONE = "SELECT sum(ready + failed + skipped) FROM moderation_chunk"
STATUS = "SELECT status FROM moderation_job"
HELD = "SELECT count(*) FROM moderation_chunk WHERE owner != ''"


def video_count(site: Installation) -> int:
    return int(site.value("SELECT count(*) FROM chat_attachment"))


def wait_until_some_are_done(site: Installation) -> None:
    count = video_count(site)
    eventually("some are done", lambda: (site.value(DONE) or 0) > 0, 60)
    assert site.value(DONE) < count, "the job was over before it could be disturbed"


def assert_each_was_done_once(site: Installation) -> None:
    count = video_count(site)
    sums = "SELECT sum(ready), sum(failed), sum(skipped) FROM moderation_chunk"
    assert site.value(sums) == (count - 1, 1, 0)
    states = "SELECT processing_state, count(*) FROM chat_attachment GROUP BY 1 ORDER BY 1"
    assert site.query(states) == [("failed", 1), ("ready", count - 1)]
    entries = (
        "SELECT count(*), count(DISTINCT object_id) FROM chat_activitylog"
        " WHERE action = 'attachment_processed'"
    )
    assert site.value(entries) == (count, count)
    assert site.query("SELECT code FROM moderation_failure") == ["not_a_video"]
    named = set(site.query("SELECT thumbnail FROM chat_attachment WHERE thumbnail != ''"))
    assert named <= stored_posters(site)
    finished = "SELECT count(*) FROM chat_activitylog WHERE action = 'job_finished'"
    assert site.value(finished) == 1


def stored_posters(site: Installation) -> set[str]:
    media = site.data_dir / "media"
    return {str(path.relative_to(media)) for path in (media / "posters").rglob("*.jpg")}


def test_a_consumer_does_a_job_to_its_end(site: Installation) -> None:
    consumer = start_consumer(site)
    site.python(START_JOB)
    site.wait_for(STATUS, "done", seconds=60)
    site.wait_for("SELECT count(*) FROM chat_unsealedentry", 0)
    output = stop_consumer(consumer)
    assert_each_was_done_once(site)
    assert "Traceback" not in output
    assert set(site.query("SELECT DISTINCT owner FROM moderation_chunk")) == {""}
    assert not site.processes()
    entries = site.value("SELECT count(*) FROM chat_activitylog")
    assert f"{entries:,} entries are as they were sealed" in site.manage("verify_activity_log")


def test_a_killed_consumer_is_followed_by_one_that_finishes(slow_site: Installation) -> None:
    site = slow_site
    consumer = start_consumer(site)
    site.python(START_JOB)
    wait_until_some_are_done(site)
    os.killpg(consumer.pid, signal.SIGKILL)
    consumer.communicate(timeout=10)
    assert 0 < site.value(PROCESSED) < video_count(site)
    eventually("no media tool is left", lambda: not site.processes(), 5)
    assert site.value(STATUS) == "running"
    assert site.value("SELECT count(*) FROM moderation_chunk WHERE owner != ''") > 0

    site.environment["MEDIA_ENGINE"] = "libav"
    consumer = start_consumer(site)
    site.wait_for(STATUS, "done", seconds=30)  # sooner than the sweep of each minute
    stop_consumer(consumer)
    assert_each_was_done_once(site)
    assert not site.processes()


def test_a_killed_consumer_leaves_no_sandboxed_child(site: Installation) -> None:
    consumer = start_consumer(site)
    site.python(START_JOB)
    wait_until_some_are_done(site)
    os.killpg(consumer.pid, signal.SIGKILL)
    consumer.communicate(timeout=10)
    eventually("no media tool is left", lambda: not site.processes(), 5)
    consumer = start_consumer(site)
    site.wait_for(STATUS, "done", seconds=90)
    stop_consumer(consumer)
    assert_each_was_done_once(site)


def test_a_consumer_that_is_stopped_in_order_loses_nothing(slow_site: Installation) -> None:
    site = slow_site
    consumer = start_consumer(site)
    site.python(START_JOB)
    wait_until_some_are_done(site)
    stop_consumer(consumer)
    assert site.value("SELECT count(*) FROM moderation_chunk WHERE owner != ''") == 0
    ready = "SELECT count(*) FROM chat_attachment WHERE processing_state = 'ready'"
    assert len(stored_posters(site)) == site.value(ready)
    assert not site.processes()

    site.environment["MEDIA_ENGINE"] = "libav"
    consumer = start_consumer(site)
    site.wait_for(STATUS, "done", seconds=30)
    stop_consumer(consumer)
    assert_each_was_done_once(site)


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM], ids=["INT", "TERM"])
def test_what_was_stopped_in_order_goes_on_at_once(slow_site: Installation, signum: int) -> None:
    site = slow_site
    consumer = start_consumer(site)
    site.python(START_JOB)
    wait_until_some_are_done(site)
    consumer.send_signal(signum)
    output = consumer.communicate(timeout=8)[0]
    assert consumer.returncode == 0, output
    assert "Traceback" not in output
    assert site.value(HELD) == 0
    assert not site.processes()

    consumer = start_consumer(site)
    assert consumer.stdout is not None
    assert any("Huey consumer started" in line for line in consumer.stdout)
    eventually("it goes on", lambda: site.value(HELD) > 0, 2)
    stop_consumer(consumer)


def test_a_video_that_kills_the_worker_is_given_up_and_the_rest_done(tmp_path: Path) -> None:
    """The media tool kills the worker, two processes above it, on one file only."""
    deadly = tmp_path / "deadly"
    deadly.write_text(
        "#!/bin/sh\nfor last; do :; done\n"
        'if grep -q "nothing of a video" "${last#file:}"; then\n'
        "  read -r _ _ _ worker _ < /proc/$PPID/stat\n"
        '  kill -9 "$worker"; sleep 5\nfi\n'
        'exec ffprobe "$@"\n'
    )
    deadly.chmod(stat.S_IRWXU)
    with site_with(tmp_path, 24, **stand_in(deadly)) as site:
        consumer = start_consumer(site)
        site.python(START_JOB)
        site.wait_for(STATUS, "done", seconds=150)
        stop_consumer(consumer)
        assert site.query("SELECT code FROM moderation_failure") == ["worker_lost"]
        lost = "SELECT attachment_id FROM moderation_interruption ORDER BY id"
        _among_others, *alone = site.query(lost)
        poisonous = site.value("SELECT attachment_id FROM moderation_failure")
        assert alone == [poisonous] * (chunks.GIVE_UP_AT - 1)
        assert site.value("SELECT sum(dead) FROM moderation_chunk") == 1
        assert site.value("SELECT sum(ready) FROM moderation_chunk") == 23
        assert site.value(PROCESSED) == 24


def test_cancelling_stops_a_consumer_within_seconds(slow_site: Installation) -> None:
    site = slow_site
    consumer = start_consumer(site)
    job_id = site.python(START_JOB)
    wait_until_some_are_done(site)
    site.python(
        "from chat.services.activity import SYSTEM; from moderation import models, steering;"
        f"steering.cancel(models.Job.objects.get(pk={job_id}), SYSTEM)"
    )
    time.sleep(4)  # what is in work ends
    done = site.value(PROCESSED)
    assert done < video_count(site)
    time.sleep(2)
    assert site.value(PROCESSED) == done
    assert site.value(STATUS) == "cancelled"
    stop_consumer(consumer)


# In this process, with a queue that nobody consumes.


@pytest.fixture
def queue(transactional_db: None) -> Iterator[Any]:
    queues.JOBS.flush()
    yield queues.JOBS
    queues.JOBS.flush()


def start_job() -> Job:
    return steering.create_job("metadata", Scope(), SYSTEM, "dashboard")


def test_wake_waits_for_the_commit(queue: Any) -> None:
    with transaction.atomic():
        start_job()
        tasks.wake()
        assert queue.pending_count() == 0
    assert queue.pending_count() == tasks.WAKE_UPS


def test_nobody_is_woken_for_what_is_rolled_back(queue: Any) -> None:
    with transaction.atomic():
        start_job()
        tasks.wake()
        transaction.set_rollback(True)
    assert queue.pending_count() == 0


def test_wake_ups_do_not_pile_up(queue: Any) -> None:
    for _ in range(3):
        tasks.wake()
    assert queue.pending_count() == tasks.WAKE_UPS


def test_planning_wakes_the_workers_and_a_task_asks_for_the_next(
    queue: Any, legacy_video: MakeVideo, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(planning, "CHUNK_MIN_ITEMS", 1)
    for _ in range(2):
        legacy_video()
    job = start_job()
    tasks.work.call_local()
    job.refresh_from_db()
    assert job.status == Job.Status.RUNNING
    assert queue.pending_count() == tasks.WAKE_UPS
    queue.flush()
    tasks.work.call_local()
    assert queue.pending_count() == 1
    tasks.work.call_local()
    queue.flush()
    tasks.work.call_local()
    assert queue.pending_count() == 0
    job.refresh_from_db()
    assert job.status == Job.Status.DONE


def test_a_wake_up_with_nothing_to_do_ends(queue: Any) -> None:
    tasks.work.call_local()
    assert queue.pending_count() == 0


def test_the_sweeper_wakes_what_has_been_left(queue: Any, legacy_video: MakeVideo) -> None:
    video = legacy_video()
    assert not tasks.sweep()
    job = start_job()
    assert tasks.sweep()  # nobody planned it
    assert queue.pending_count() == tasks.WAKE_UPS
    backfill.plan(job)
    assert tasks.sweep()  # nobody works on it

    held = chunks.claim("elsewhere:1", job.pk)
    assert held is not None
    assert not tasks.sweep()  # under a lease
    Chunk.objects.update(lease_until=timezone.now())
    assert tasks.sweep()  # which ended
    Job.objects.update(status=Job.Status.PAUSED)
    assert not tasks.sweep()

    Job.objects.update(status=Job.Status.RUNNING)
    Chunk.objects.update(cursor=1)
    waiting = Failure.objects.create(
        job=job,
        attachment=video,
        code="storage_error",
        is_final=False,
        next_try_at=timezone.now() + timedelta(minutes=1),
    )
    assert not tasks.sweep()  # its next try is not due
    Failure.objects.filter(pk=waiting.pk).update(next_try_at=timezone.now())
    assert tasks.sweep()


def test_a_dead_owner_on_this_machine_is_not_waited_for(
    queue: Any, legacy_video: MakeVideo
) -> None:
    legacy_video()
    job = start_job()
    backfill.plan(job)
    assert chunks.claim(chunks.owner_name(), job.pk) is not None
    assert not tasks.sweep()
    host = chunks.owner_name().rpartition(":")[0]
    Chunk.objects.update(owner=f"{host}:{2**22 + 1}")  # above any process id
    assert tasks.sweep()
    assert chunks.claim("next:1", job.pk) is not None
