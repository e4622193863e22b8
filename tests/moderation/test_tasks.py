"""The queue: a real consumer on a database in files, killed in the middle of a job."""

import os
import signal
import stat
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import transaction
from django.utils import timezone
from huey.contrib.djhuey import HUEY

from chat.models import Attachment
from chat.services.activity import SYSTEM
from moderation import backfill, chunks, tasks
from moderation.models import Chunk, Job
from moderation.scopes import Scope
from tests.clips import clip
from tests.moderation.installation import Installation, Process, installation
from tests.running import eventually

MakeVideo = Callable[..., Attachment]
VIDEOS = 24
LEASE_SECONDS = 3

START_JOB = """
from chat.services.activity import SYSTEM
from moderation import backfill, tasks
from moderation.scopes import Scope
job = backfill.create_job("metadata", Scope(), SYSTEM, "dashboard")
tasks.wake(job)
print(job.pk)
"""


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Installation]:
    """With legacy videos, one of them broken, and media tools that take their time."""
    folder = tmp_path / "archive"
    folder.mkdir()
    for number in range(VIDEOS - 1):
        (folder / f"{number:02}.mp4").write_bytes(clip().read_bytes() + bytes([number]))
    (folder / "broken.mp4").write_bytes(b"nothing of a video" * 50)
    slow = tmp_path / "ffprobe"
    slow.write_text('#!/bin/sh\nsleep 0.3\nexec ffprobe "$@"\n')
    slow.chmod(stat.S_IRWXU)
    settings = {"FFPROBE_BINARY": str(slow), "JOB_LEASE_SECONDS": str(LEASE_SECONDS)}
    # A fake tool is a script that starts others: the sandbox would not let it.
    settings |= {"MEDIA_ENGINE": "ffmpeg", "MEDIA_SANDBOX": "off"}
    with installation(tmp_path / "data", **settings) as made:
        made.manage(
            "import_videos", str(folder), "--conversation", "A", "--user", "admin", "--create"
        )
        yield made


def start_consumer(site: Installation) -> Process:
    return site.start("run_huey")


def stop_consumer(process: Process) -> str:
    """In order, as the process manager does."""
    process.terminate()
    return process.communicate(timeout=20)[0]


PROCESSED = "SELECT count(*) FROM chat_activitylog WHERE action = 'attachment_processed'"
DONE = "SELECT sum(ready + failed + skipped) FROM moderation_chunk"
STATUS = "SELECT status FROM moderation_job"


def assert_each_was_done_once(site: Installation) -> None:
    assert site.value("SELECT sum(ready), sum(failed), sum(skipped) FROM moderation_chunk") == (
        VIDEOS - 1, 1, 0,
    )  # fmt: skip
    states = "SELECT processing_state, count(*) FROM chat_attachment GROUP BY 1 ORDER BY 1"
    assert site.query(states) == [("failed", 1), ("ready", VIDEOS - 1)]
    entries = (
        "SELECT count(*), count(DISTINCT object_id) FROM chat_activitylog"
        " WHERE action = 'attachment_processed'"
    )
    assert site.value(entries) == (VIDEOS, VIDEOS)
    assert site.query("SELECT code FROM moderation_failure") == ["not_a_video"]
    stored = {
        str(path.relative_to(site.data_dir / "media"))
        for path in (site.data_dir / "media/posters").rglob("*.jpg")
    }
    named = set(site.query("SELECT thumbnail FROM chat_attachment WHERE thumbnail != ''"))
    assert named <= stored
    finished = "SELECT count(*) FROM chat_activitylog WHERE action = 'job_finished'"
    assert site.value(finished) == 1


def test_a_consumer_does_a_job_to_its_end(site: Installation) -> None:
    consumer = start_consumer(site)
    site.python(START_JOB)
    site.wait_for(STATUS, "done")
    output = stop_consumer(consumer)
    assert_each_was_done_once(site)
    assert "Traceback" not in output
    owners = set(site.query("SELECT DISTINCT owner FROM moderation_chunk"))
    assert owners == {""}
    assert not site.processes()


def test_a_killed_consumer_is_followed_by_one_that_finishes(site: Installation) -> None:
    consumer = start_consumer(site)
    site.python(START_JOB)
    eventually("some are done", lambda: 0 < (site.value(DONE) or 0) < VIDEOS - 4, 30)
    os.killpg(consumer.pid, signal.SIGKILL)
    consumer.communicate(timeout=10)
    done = site.value(PROCESSED)
    assert 0 < done < VIDEOS
    eventually(f"no media tool is left: {site.processes()}", lambda: not site.processes(), 5)
    assert site.value(STATUS) == "running"
    assert site.value("SELECT count(*) FROM moderation_chunk WHERE owner != ''") > 0

    consumer = start_consumer(site)
    site.wait_for(STATUS, "done")
    stop_consumer(consumer)
    assert_each_was_done_once(site)
    assert not site.processes()


def test_a_consumer_that_is_stopped_in_order_loses_nothing(site: Installation) -> None:
    consumer = start_consumer(site)
    site.python(START_JOB)
    eventually("some are done", lambda: 0 < (site.value(DONE) or 0) < VIDEOS - 4, 30)
    stop_consumer(consumer)
    assert site.value("SELECT count(*) FROM moderation_chunk WHERE owner != ''") == 0
    stored = list((site.data_dir / "media/posters").rglob("*.jpg"))
    ready = "SELECT count(*) FROM chat_attachment WHERE processing_state = 'ready'"
    assert len(stored) == site.value(ready)
    assert not site.processes()

    consumer = start_consumer(site)
    site.wait_for(STATUS, "done")
    stop_consumer(consumer)
    assert_each_was_done_once(site)


def test_a_video_that_kills_the_worker_is_given_up_and_the_rest_done(
    site: Installation, tmp_path: Path
) -> None:
    """The media tool kills the worker, its helper's parent, on one file only."""
    deadly = tmp_path / "deadly"
    deadly.write_text(
        "#!/bin/sh\nfor last; do :; done\n"
        'if grep -q "nothing of a video" "${last#file:}"; then\n'
        "read -r _ _ _ worker _ < /proc/$PPID/stat; kill -9 $worker; sleep 5; fi\n"
        'exec ffprobe "$@"\n'
    )
    deadly.chmod(stat.S_IRWXU)
    site.environment["FFPROBE_BINARY"] = str(deadly)
    consumer = start_consumer(site)
    site.python(START_JOB)
    site.wait_for(STATUS, "done", seconds=90)
    stop_consumer(consumer)
    assert site.query("SELECT code FROM moderation_failure") == ["decoder_crashed"]
    assert site.value("SELECT sum(ready) FROM moderation_chunk") == VIDEOS - 1
    assert site.value(PROCESSED) == VIDEOS


def test_cancelling_stops_a_consumer_within_seconds(site: Installation) -> None:
    tool = Path(site.environment["FFPROBE_BINARY"])
    tool.write_text(tool.read_text().replace("0.3", "1.5"))  # time to cancel on a busy machine
    consumer = start_consumer(site)
    job_id = site.python(START_JOB)
    eventually("some are done", lambda: (site.value(DONE) or 0) > 0, 30)
    site.python(
        "from chat.services.activity import SYSTEM; from moderation import backfill, models;"
        f"backfill.cancel(models.Job.objects.get(pk={job_id}), SYSTEM)"
    )
    time.sleep(4)  # what is in work ends
    done = site.value(PROCESSED)
    assert done < VIDEOS
    time.sleep(2)
    assert site.value(PROCESSED) == done
    assert site.value(STATUS) == "cancelled"
    stop_consumer(consumer)


# In this process, with a queue that nobody consumes.


@pytest.fixture
def queue(transactional_db: None) -> Iterator[Any]:
    HUEY.flush()
    yield HUEY
    HUEY.flush()


def start_job() -> Job:
    return backfill.create_job("metadata", Scope(), SYSTEM, "dashboard")


def test_wake_waits_for_the_commit(queue: Any) -> None:
    with transaction.atomic():
        tasks.wake(start_job())
        assert queue.pending_count() == 0
    assert queue.pending_count() == 1


def test_nobody_is_woken_for_what_is_rolled_back(queue: Any) -> None:
    with transaction.atomic():
        tasks.wake(start_job())
        transaction.set_rollback(True)
    assert queue.pending_count() == 0


def test_planning_wakes_all_workers_and_a_task_asks_for_the_next(
    queue: Any, legacy_video: MakeVideo, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backfill, "CHUNK_MIN_ITEMS", 1)
    for _ in range(2):
        legacy_video()
    job = start_job()
    tasks.work.call_local(job.pk)
    job.refresh_from_db()
    assert job.status == Job.Status.RUNNING
    assert queue.pending_count() == tasks.workers() == 2
    queue.flush()
    tasks.work.call_local(job.pk)
    assert queue.pending_count() == 1
    tasks.work.call_local(job.pk)
    queue.flush()
    tasks.work.call_local(job.pk)
    assert queue.pending_count() == 0
    job.refresh_from_db()
    assert job.status == Job.Status.DONE


def test_a_task_for_a_job_that_is_gone_ends(queue: Any) -> None:
    tasks.work.call_local(999)
    assert queue.pending_count() == 0


def test_the_sweeper_wakes_what_has_been_left(queue: Any, legacy_video: MakeVideo) -> None:
    legacy_video()
    job = start_job()
    assert tasks.sweep() == 0  # just begun
    ago = timezone.now() - timedelta(minutes=5)
    Job.objects.update(created_at=ago)
    assert tasks.sweep() == 1  # nobody planned it
    backfill.plan(job)
    assert tasks.sweep() == 0
    Job.objects.update(started_at=ago)
    assert tasks.sweep() == 1  # its wake-up was lost

    held = chunks.claim(job.pk, "elsewhere:1")
    assert held is not None
    assert tasks.sweep() == 0  # under a lease
    Chunk.objects.update(lease_until=timezone.now())
    assert tasks.sweep() == 1  # which ended
    Job.objects.update(status=Job.Status.PAUSED)
    assert tasks.sweep() == 0


def test_a_dead_owner_on_this_machine_is_not_waited_for(
    queue: Any, legacy_video: MakeVideo
) -> None:
    legacy_video()
    job = start_job()
    backfill.plan(job)
    assert chunks.claim(job.pk, chunks.owner_name()) is not None
    assert tasks.sweep() == 0
    host = chunks.owner_name().rpartition(":")[0]
    Chunk.objects.update(owner=f"{host}:{2**22 + 1}")  # above any process id
    assert tasks.sweep() == 1
    assert chunks.claim(job.pk, "next:1") is not None
