"""What may pass is tried again; what fails for good is retried by a job of its own; what ends
workers is set apart."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.core.files.storage import default_storage
from django.utils import timezone

from chat.models import ActivityLog, Attachment
from chat.services.activity import SYSTEM
from chat.services.video_service import Prepared, VideoProcessingService
from moderation import backfill, chunks, planning, steering
from moderation.checkpoints import Worker
from moderation.models import Chunk, Failure, Interruption, Job
from moderation.progress import outcomes, progress
from tests.moderation.jobs import Flaky, finish, processed, start

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.every_database]
MakeVideo = Callable[..., Attachment]


def test_what_may_pass_is_tried_again_and_counted_once(
    legacy_video: MakeVideo, monkeypatch: pytest.MonkeyPatch, settings: Any
) -> None:
    settings.JOB_RETRY_SECONDS = [0.1, 0.1]
    once, twice, always, fine = (legacy_video() for _ in range(4))
    Flaky(monkeypatch, {once.pk: 1, twice.pk: 2, always.pk: 9})
    job = start()
    backfill.work_slice("me:1")
    now = progress(job)
    assert (now.ready, now.waiting, now.left) == (1, 3, 3)
    assert processed() == 1  # nothing is said of the others yet
    assert {pk: outcome for pk, outcome, _ in outcomes(job)} == {
        once.pk: "waiting",
        twice.pk: "waiting",
        always.pk: "waiting",
        fine.pk: "ready",
    }
    finish(job)
    now = progress(job)
    assert job.status == Job.Status.DONE
    assert (now.ready, now.failed, now.dead, now.waiting, now.done) == (3, 0, 1, 0, 4)
    failure = Failure.objects.get()
    assert (failure.attachment_id, failure.attempts) == (always.pk, 3)
    assert failure.state == Failure.State.DEAD
    assert processed() == 4
    assert {pk: outcome for pk, outcome, _ in outcomes(job)} == {
        once.pk: "ready",
        twice.pk: "ready",
        always.pk: "storage_error",
        fine.pk: "ready",
    }


def test_pauses_grow(
    legacy_video: MakeVideo, monkeypatch: pytest.MonkeyPatch, settings: Any
) -> None:
    settings.JOB_RETRY_SECONDS = [10, 100]
    Flaky(monkeypatch, {legacy_video().pk: 9})
    job = start()
    for pause in (10, 100):
        backfill.work_slice("me:1")
        wait = Failure.objects.get().next_try_at - timezone.now()  # type: ignore[operator]
        assert pause - 2 < wait.total_seconds() <= pause
        assert backfill.work_slice("me:1") is False
        assert Job.objects.get().status == Job.Status.RUNNING
        Failure.objects.update(next_try_at=timezone.now())
    assert finish(job).status == Job.Status.DONE


def test_what_is_due_does_not_wait_for_the_end_of_a_long_job(
    legacy_video: MakeVideo, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(planning, "CHUNK_MIN_ITEMS", 1)
    first, second = legacy_video(), legacy_video()
    Flaky(monkeypatch, {first.pk: 1})
    start()
    backfill.work_slice("me:1", seconds=0)
    assert Failure.objects.filter(attachment=first).update(next_try_at=timezone.now()) == 1
    held = chunks.claim("me:1")
    assert held is not None
    assert (held.is_retry, held.attachment_ids) == (True, [first.pk])
    other = chunks.claim("me:2")
    assert other is not None
    assert (other.is_retry, other.attachment_ids) == (False, [second.pk])


def test_a_file_at_fault_is_not_tried_again(legacy_video: MakeVideo, tmp_path: Path) -> None:
    path = tmp_path / "broken.mp4"
    path.write_bytes(b"not a video at all" * 100)
    legacy_video(path)
    job = finish(start())
    failure = Failure.objects.get()
    assert (failure.state, failure.attempts) == (Failure.State.FAILED, 1)
    assert (progress(job).failed, progress(job).dead) == (1, 0)


def test_cancelling_ends_the_waiting(
    legacy_video: MakeVideo, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What waited has failed, by its row and by the job's counts."""
    waits, fine = legacy_video(), legacy_video()
    Flaky(monkeypatch, {waits.pk: 9})
    job = start()
    backfill.work_slice("me:1")
    assert progress(job).waiting == 1
    assert steering.cancel(job, SYSTEM)
    now = progress(job)
    assert (now.ready, now.failed, now.waiting, now.left) == (1, 1, 0, 0)
    assert Failure.objects.get().state == Failure.State.FAILED
    assert list(outcomes(job)) == [
        (waits.pk, "storage_error", "just now"),
        (fine.pk, "ready", ""),
    ]


@pytest.mark.parametrize("failures", [1, 9], ids=["succeeds", "fails"])
@pytest.mark.parametrize("at_try", [1, 2])
def test_what_a_worker_is_at_when_the_job_is_cancelled_counts_once(
    at_try: int, failures: int, legacy_video: MakeVideo, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the first try or a later one: rows and counts agree, whatever came of it."""
    video = legacy_video()
    Flaky(monkeypatch, {video.pk: failures})
    job = start()
    if at_try == 2:
        backfill.work_slice("me:1")
        Failure.objects.update(next_try_at=timezone.now())
    prepare = VideoProcessingService.prepare

    def called_off(service: VideoProcessingService, attachment: Attachment) -> Prepared:
        prepared = prepare(service, attachment)
        assert steering.cancel(Job.objects.get(pk=job.pk), SYSTEM)
        return prepared

    monkeypatch.setattr(VideoProcessingService, "prepare", called_off)
    backfill.work_slice("me:1")
    now = progress(job)
    assert (now.ready, now.failed, now.waiting) == (0, 1, 0)
    failure = Failure.objects.get()
    assert (failure.state, failure.attempts) == (Failure.State.FAILED, 1)
    assert processed() == 0
    assert list(Path(default_storage.location).rglob("*.jpg")) == []
    assert Chunk.objects.exclude(owner="").count() == 0


def test_retrying_is_a_job_of_its_own(legacy_video: MakeVideo, tmp_path: Path) -> None:
    path = tmp_path / "broken.mp4"
    path.write_bytes(b"not a video at all" * 100)
    bad, gone = legacy_video(path), legacy_video()
    Path(gone.file.path).unlink()
    job = finish(start())
    assert steering.retry(job, SYSTEM, "command", code="corrupt") is None
    again = steering.retry(job, SYSTEM, "command", code="not_a_video")
    assert again is not None
    assert (again.retry_of, again.kind) == (job, "metadata")
    assert [pk for pk, *_ in outcomes(finish(again))] == [bad.pk]
    assert progress(job).failed == 2  # what was, was
    assert Failure.objects.get(job=job, attachment=bad).handled_at
    assert steering.mark_handled(job, SYSTEM, Failure.objects.all()) == 1
    assert steering.mark_handled(job, SYSTEM, Failure.objects.all()) == 0
    assert steering.retry(job, SYSTEM, "command") is None
    entry = ActivityLog.objects.get(action="failures_handled")
    assert entry.details == {"count": 1}


def test_a_chunk_that_lost_its_worker_is_split(
    legacy_video: MakeVideo, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chunks, "SLICE_ITEMS", 2)
    monkeypatch.setattr(planning, "CHUNK_MIN_ITEMS", 10)
    ids = [legacy_video().pk for _ in range(5)]
    job = start()
    assert chunks.claim("lost:1") is not None
    Chunk.objects.update(lease_until=timezone.now())
    held = chunks.claim("next:2")
    assert held is not None
    assert held.attachment_ids == ids[:2]
    assert held.isolated
    assert held.next_ids() == ids[:1]
    other = chunks.claim("other:3")  # nobody waits for what has nothing to do with it
    assert other is not None
    assert other.attachment_ids == ids[2:]
    assert not other.isolated
    lost = Interruption.objects.get()
    assert (lost.owner, lost.attachment_id) == ("lost:1", ids[0])
    held.release()
    other.release()
    finish(job)
    assert progress(job).ready == 5
    assert processed() == 5


def test_a_worker_that_is_lost_by_chance_costs_no_item(legacy_video: MakeVideo) -> None:
    """Progress between two losses clears the item that happened to be at the cursor."""
    for _ in range(4):
        legacy_video()
    job = start()
    for number in range(4):
        held = chunks.claim(f"lost:{number}")
        assert held is not None
        assert not held.gives_up
        Worker(job, held).checkpoint(time.monotonic())
        Chunk.objects.update(lease_until=timezone.now())
        if not Chunk.objects.open().exists():
            break
    finish(job)
    assert (progress(job).ready, progress(job).dead) == (4, 0)


def test_a_chunk_whose_slice_an_error_ended_is_split_as_well(
    legacy_video: MakeVideo, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was not in work is not worked on one by one."""
    monkeypatch.setattr(chunks, "SLICE_ITEMS", 2)
    monkeypatch.setattr(planning, "CHUNK_MIN_ITEMS", 10)
    ids = [legacy_video().pk for _ in range(5)]
    job = start()
    prepare = VideoProcessingService.prepare

    def fails_once(service: VideoProcessingService, attachment: Attachment) -> Prepared:
        monkeypatch.setattr(VideoProcessingService, "prepare", prepare)
        raise MemoryError("just now")

    monkeypatch.setattr(VideoProcessingService, "prepare", fails_once)
    assert backfill.work_slice("me:1")
    assert Interruption.objects.get().cause == Interruption.Cause.SLICE_FAILED
    apart, rest = chunks.claim("me:1"), chunks.claim("me:1")
    assert apart is not None
    assert rest is not None
    assert (apart.attachment_ids, apart.isolated) == (ids[:2], True)
    assert (rest.attachment_ids, rest.isolated) == (ids[2:], False)
    apart.release()
    rest.release()
    finish(job)
    assert (progress(job).ready, processed()) == (5, 5)
