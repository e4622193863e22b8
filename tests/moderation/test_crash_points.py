"""Whatever stops at whichever moment (a worker, the database, the queue's message, a person's
click): nothing is stuck, lost, counted twice or begun against anyone's will."""

import threading
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.db import OperationalError, connection, transaction
from django.db.backends.signals import connection_created
from django.utils import timezone

from chat.errors import VideoError
from chat.models import Attachment
from chat.services import interruption
from chat.services.activity import SYSTEM
from chat.services.file_hash import sha256_of
from chat.services.video_service import Prepared, VideoProcessingService
from moderation import backfill, checkpoints, chunks, endings, planning, steering, tasks
from moderation.checkpoints import Worker
from moderation.consumer import Scheduler, free_what_is_frozen
from moderation.models import Chunk, Failure, Job
from moderation.planning import plan_batch
from moderation.progress import progress
from moderation.queues import JOBS, UPLOADS
from moderation.scopes import Scope
from moderation.steering import Pace

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.every_database]
MakeVideo = Callable[..., Attachment]
Prepare = Callable[[VideoProcessingService, Attachment], Prepared]
PUT_FORWARD_SECONDS = 5  # well below half of a lease


@pytest.fixture(autouse=True)
def _empty_queues() -> Iterator[None]:
    for queue in (JOBS, UPLOADS):
        queue.flush()
    yield
    for queue in (JOBS, UPLOADS):
        queue.flush()


def start(pace: Pace | None = None) -> Job:
    job = steering.create_job("metadata", Scope(), SYSTEM, "command", pace=pace or Pace())
    backfill.plan(job)
    return job


def prepare_with(monkeypatch: pytest.MonkeyPatch, prepare: Prepare) -> None:
    monkeypatch.setattr(VideoProcessingService, "prepare", prepare)


def put_clocks_forward(monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    monotonic, now = time.monotonic, timezone.now
    monkeypatch.setattr(time, "monotonic", lambda: monotonic() + seconds)
    monkeypatch.setattr(timezone, "now", lambda: now() + timedelta(seconds=seconds))


def in_another_thread(action: Callable[[], Any]) -> threading.Thread:
    def run() -> None:
        action()
        connection.close()

    thread = threading.Thread(target=run)
    thread.start()
    return thread


# --- The end of a job ---------------------------------------------------------------------------


def test_a_worker_killed_before_it_said_that_the_job_is_done(legacy_video: MakeVideo) -> None:
    """Between the last commit and the next, with no wake-up left: the sweep says it."""
    legacy_video()
    job = start()
    held = chunks.claim("killed:1")
    assert held is not None
    Worker(job, held).checkpoint(time.monotonic())
    assert not Chunk.objects.open().exists()
    tasks.sweep()
    job.refresh_from_db()
    assert job.status == Job.Status.DONE


def test_a_job_is_not_done_that_is_planned_just_now(
    legacy_video: MakeVideo, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One worker has seen that nothing is open, since nothing was planned yet; before it writes
    so another has planned."""
    legacy_video()
    job = steering.create_job("metadata", Scope(), SYSTEM, "command")
    real = Failure.objects.filter

    def planned_meanwhile(*args: Any, **kwargs: Any) -> Any:
        found = real(*args, **kwargs)
        if Job.objects.get(pk=job.pk).status == Job.Status.PLANNING:
            list(found)
            plan_batch(job)
        return found

    monkeypatch.setattr(Failure.objects, "filter", planned_meanwhile)
    assert not endings.finish_if_complete(job.pk)
    job.refresh_from_db()
    assert job.status != Job.Status.DONE


def test_a_job_whose_plan_cannot_be_made_fails_and_stops_no_other(legacy_video: MakeVideo) -> None:
    legacy_video()
    unplannable = steering.create_job("metadata", Scope(), SYSTEM, "command")
    Job.objects.filter(pk=unplannable.pk).update(scope={"of": "a later version"})
    other = steering.create_job("metadata", Scope(), SYSTEM, "command")
    for _ in range(4):
        tasks.work.call_local()
    unplannable.refresh_from_db()
    assert unplannable.status == Job.Status.FAILED
    assert "a later version" in unplannable.error or "of" in unplannable.error
    other.refresh_from_db()
    assert other.status == Job.Status.DONE


def test_what_may_pass_does_not_wait_in_a_job_cancelled_meanwhile(
    legacy_video: MakeVideo, monkeypatch: pytest.MonkeyPatch
) -> None:
    legacy_video()
    job = start()

    def cancelled_meanwhile(_service: VideoProcessingService, attachment: Attachment) -> Prepared:
        steering.cancel(Job.objects.get(pk=job.pk), SYSTEM)
        return Prepared(attachment, error=VideoError("storage_error", "just now"))

    prepare_with(monkeypatch, cancelled_meanwhile)
    backfill.work_slice("me:1")
    assert progress(job).waiting == 0
    assert Failure.objects.get().state == Failure.State.FAILED


def test_a_resumed_job_is_not_planned_again(legacy_video: MakeVideo) -> None:
    """Whoever resumes it read its row before it was planned."""
    legacy_video()
    as_read_before = steering.create_job("metadata", Scope(), SYSTEM, "command")
    job = Job.objects.get(pk=as_read_before.pk)
    backfill.plan(job)
    steering.pause(job, SYSTEM)
    assert steering.resume(as_read_before, SYSTEM)
    assert as_read_before.status == Job.Status.RUNNING


# --- Leases -------------------------------------------------------------------------------------


def test_a_worker_that_comes_back_after_its_lease_has_no_place_left(
    legacy_video: MakeVideo, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its chunk is still free, but another worker has taken a place under the limit meanwhile."""
    monkeypatch.setattr(planning, "CHUNK_MIN_ITEMS", 1)
    for _ in range(2):
        legacy_video()
    job = start()
    first, frozen = chunks.claim("earlier:1"), chunks.claim("frozen:2")
    assert first is not None
    assert frozen is not None
    steering.change(job, SYSTEM, Pace(workers=1))
    first.release()
    Chunk.objects.filter(pk=frozen.chunk_id).update(lease_until=timezone.now())
    assert chunks.claim("next:3") is not None
    with pytest.raises(chunks.LostChunk):  # as it commits what it had before it froze
        frozen.hold()
    assert Chunk.objects.held(timezone.now()).count() == 1


def test_a_released_chunk_is_free_whatever_the_clocks_say(legacy_video: MakeVideo) -> None:
    """The clock of the machine that claims is behind that of the one that released."""
    legacy_video()
    start()
    held = chunks.claim("ahead:1")
    assert held is not None
    held.release()
    assert Chunk.objects.free(timezone.now() - timedelta(seconds=30)).count() == 1
    assert Chunk.objects.held(timezone.now() - timedelta(seconds=30)).count() == 0


def test_a_lease_is_kept_while_one_file_takes_longer(
    legacy_video: MakeVideo, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By a clock that is put forward, so that a slow machine does not outlive a lease."""
    legacy_video()
    job = start()
    taken: list[Any] = []

    def slow(service: VideoProcessingService, attachment: Attachment) -> Prepared:
        lasted = 0
        while lasted < 3 * settings.JOB_LEASE_SECONDS:  # as one who waits for a child
            lasted += PUT_FORWARD_SECONDS
            put_clocks_forward(monkeypatch, PUT_FORWARD_SECONDS)
            interruption.raise_if_stopped()
        in_another_thread(lambda: taken.append(chunks.claim("next:2"))).join()
        return Prepared(attachment, error=VideoError("corrupt", "in the end"))

    prepare_with(monkeypatch, slow)
    backfill.work_slice("me:1")
    assert taken == [None]
    assert progress(job).failed == 1


def test_hashing_is_called_off_like_all_else(tmp_path: Path) -> None:
    large = tmp_path / "large"
    with large.open("wb") as file:
        file.truncate(20 * 1024**3)  # of nothing: it takes no room
    started = time.monotonic()
    with (
        pytest.raises(interruption.Interrupted),
        interruption.interruptible(lambda: time.monotonic() > started + 0.3, 0.1),
    ):
        sha256_of(large)


# --- Reading ahead ------------------------------------------------------------------------------


def test_what_is_read_ahead_is_set_apart_with_the_rest_of_the_slice(
    legacy_video: MakeVideo, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The worker is lost with one file begun that no checkpoint counts yet."""
    monkeypatch.setattr(chunks, "SLICE_ITEMS", 3)
    monkeypatch.setattr(planning, "CHUNK_MIN_ITEMS", 10)
    ids = [legacy_video().pk for _ in range(7)]
    begun: list[int] = []
    expect = VideoProcessingService.expect

    def watched(service: VideoProcessingService, attachment: Attachment) -> None:
        begun.append(attachment.pk)
        expect(service, attachment)

    monkeypatch.setattr(VideoProcessingService, "expect", watched)
    start()
    held = chunks.claim("lost:1")
    assert held is not None
    worker = Worker(held.job, held)
    worker.checkpoint(time.monotonic() + 9)
    assert worker.has_begun_next
    assert held.next_id == ids[2]
    assert set(begun) == set(ids[:3])
    worker.close()
    Chunk.objects.update(lease_until=timezone.now())
    again = chunks.claim("next:2")
    assert again is not None
    assert again.isolated
    assert again.attachment_ids == ids[:5]
    assert again.next_ids() == [ids[2]]
    begun.clear()
    Worker(again.job, again).checkpoint(time.monotonic() + 9)
    assert begun == []  # one at a time: whichever ends the worker is the one at the cursor


def test_a_slice_that_is_over_begins_nothing_and_wastes_nothing(legacy_video: MakeVideo) -> None:
    ids = [legacy_video().pk for _ in range(3)]
    start()
    held = chunks.claim("me:1")
    assert held is not None
    worker = Worker(held.job, held)
    worker.checkpoint(time.monotonic() - 1)
    assert not worker.has_begun_next
    assert held.next_id == ids[1]


def test_a_rate_that_is_set_meanwhile_holds_no_worker(
    legacy_video: MakeVideo, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Something is read ahead, and now its turn comes in a minute."""
    monkeypatch.setattr(chunks, "SLICE_ITEMS", 2)
    for _ in range(3):
        legacy_video()
    job = start()
    held = chunks.claim("me:1")
    assert held is not None
    worker = Worker(held.job, held)
    worker.checkpoint(time.monotonic() + 9)
    assert worker.has_begun_next
    steering.change(job, SYSTEM, Pace(items_per_second=0.01))
    Job.objects.update(next_item_at=timezone.now() + timedelta(minutes=1))
    assert worker.may_go_on()
    worker.checkpoint(time.monotonic())
    assert not worker.has_begun_next  # the slice ends here
    assert progress(job).ready == 1
    worker.close()


@pytest.mark.parametrize("call_off", [steering.pause, steering.cancel])
def test_steering_calls_off_what_is_read_ahead(
    call_off: Callable[[Job, Any], bool], legacy_video: MakeVideo, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(4):
        legacy_video()
    job = start()
    real = VideoProcessingService.prepare

    def called_off(service: VideoProcessingService, attachment: Attachment) -> Prepared:
        prepared = real(service, attachment)
        assert call_off(Job.objects.get(pk=job.pk), SYSTEM)
        return prepared

    monkeypatch.setattr(checkpoints, "CHECKPOINT_SECONDS", 0)  # as if each item took so long
    prepare_with(monkeypatch, called_off)
    backfill.work_slice("me:1")
    assert progress(job).ready == 1
    readers = [thread for thread in threading.enumerate() if thread.name.startswith("reader")]
    assert readers == []
    assert Chunk.objects.exclude(owner="").count() == 0


# --- The database does not answer ---------------------------------------------------------------


class Outage:
    """``prepare`` during which the database goes away, for so many statements."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, statements: int) -> None:
        self.left = 0
        self.statements = statements
        real = VideoProcessingService.prepare

        def prepare(service: VideoProcessingService, attachment: Attachment) -> Prepared:
            prepared = real(service, attachment)
            self.left, self.statements = self.statements, 0
            return prepared

        prepare_with(monkeypatch, prepare)

    def __call__(self, execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        if self.left:
            self.left -= 1
            raise OperationalError("the server closed the connection unexpectedly")
        return execute(sql, params, many, context)


def test_a_chunk_is_put_down_once_the_database_is_back(
    legacy_video: MakeVideo, monkeypatch: pytest.MonkeyPatch
) -> None:
    legacy_video()
    job = start()
    outage = Outage(monkeypatch, 4)
    with connection.execute_wrapper(outage), pytest.raises(OperationalError):
        backfill.work_slice("me:1")
    assert outage.left == 0
    assert Chunk.objects.get().owner == ""
    assert backfill.work_slice("me:1")
    job.refresh_from_db()
    assert (job.status, progress(job).ready) == (Job.Status.DONE, 1)


@pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite gives up by itself")
def test_a_frozen_worker_does_not_keep_its_locks(legacy_video: MakeVideo) -> None:
    legacy_video()
    job = start()
    stopped: list[bool] = []

    def cancel() -> None:
        stopped.append(steering.cancel(Job.objects.get(pk=job.pk), SYSTEM))

    @transaction.atomic
    def claim_and_freeze() -> None:
        Job.objects.locked().get(pk=job.pk)
        in_another_thread(cancel).join(10)
        assert stopped == [True]
        Job.objects.get(pk=job.pk)

    free_what_is_frozen(0.3)
    connection.close()  # the next is opened as in a consumer
    try:
        with pytest.raises(backfill.DATABASE_TROUBLE):
            claim_and_freeze()
    finally:
        connection_created.disconnect(dispatch_uid="free_what_is_frozen")
        connection.close()


def test_wake_ups_are_not_spent_on_a_database_that_does_not_answer(
    legacy_video: MakeVideo, monkeypatch: pytest.MonkeyPatch
) -> None:
    legacy_video()
    start()
    outage = Outage(monkeypatch, 4)
    with connection.execute_wrapper(outage):
        tasks.work.call_local()
    assert JOBS.pending_count() == 1


# --- Wake-ups and turns -------------------------------------------------------------------------


def test_a_storm_of_wake_ups_dies_down(
    legacy_video: MakeVideo, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else the sweep of each minute would wait behind it for as long as there is work."""
    monkeypatch.setattr(planning, "CHUNK_MIN_ITEMS", 1)
    monkeypatch.setattr(backfill, "SLICE_SECONDS", 0)
    for _ in range(5):
        legacy_video()
    start()
    for _ in range(3 * tasks.WAKE_UPS):
        tasks.work()
    for _ in range(4):
        JOBS.dequeue()
        tasks.work.call_local()
    assert JOBS.pending_count() == 3 * tasks.WAKE_UPS - 4


def test_what_becomes_due_does_not_wait_for_the_sweep(legacy_video: MakeVideo) -> None:
    """The last wake-up found nothing to do; then the next try of a failure is due."""
    video = legacy_video()
    job = start()
    Chunk.objects.update(cursor=1)
    fields = {"job": job, "attachment": video, "code": "storage_error", "is_final": False}
    later = timezone.now() + timedelta(minutes=1)
    failure = Failure.objects.create(**fields, next_try_at=later)
    stopping = threading.Event()
    stopping.set()
    Scheduler(JOBS, stopping, 1, periodic=False).loop()
    assert JOBS.pending_count() == 0
    Failure.objects.filter(pk=failure.pk).update(next_try_at=timezone.now())
    Scheduler(JOBS, stopping, 1, periodic=False).loop()
    assert JOBS.pending_count() == tasks.WAKE_UPS
    Scheduler(UPLOADS, stopping, 1, periodic=False).loop()
    assert UPLOADS.pending_count() == 0


def test_a_rate_is_reached(legacy_video: MakeVideo, monkeypatch: pytest.MonkeyPatch) -> None:
    """The time that a turn was waited for is not time that its items took."""
    monkeypatch.setattr(checkpoints, "CHECKPOINT_SECONDS", 0.5)
    for _ in range(4):
        legacy_video()
    job = start(Pace(items_per_second=4))
    job.next_item_at = timezone.now() + timedelta(seconds=0.6)
    job.save()
    prepare_with(monkeypatch, lambda _service, video: Prepared(video, error=VideoError("corrupt")))
    held = chunks.claim("me:1")
    assert held is not None
    worker = Worker(job, held)
    while held.is_open:
        worker.checkpoint(time.monotonic() + 9)
    assert progress(job).failed == 4
    assert Chunk.objects.get().busy_seconds < 0.6
