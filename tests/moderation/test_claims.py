"""Who works on what: claims, fences, what others do meanwhile, interruptions."""

import os
import signal
from collections.abc import Callable
from typing import Any

import pytest
from django.db import transaction
from django.utils import timezone

from chat.models import Attachment
from chat.services.video_service import Prepared, VideoProcessingService
from moderation import backfill, chunks, planning
from moderation.checkpoints import Worker
from moderation.models import Chunk, Failure, Interruption, Job
from moderation.progress import progress
from tests.moderation.jobs import counts, posters, processed, start

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.every_database]
MakeVideo = Callable[..., Attachment]


def test_what_others_did_meanwhile_is_skipped(
    legacy_video: MakeVideo, monkeypatch: pytest.MonkeyPatch
) -> None:
    done, removed, vanished, during, left = (legacy_video() for _ in range(5))
    job = start()
    service = VideoProcessingService()
    service.process_video_attachment(done)
    Attachment.objects.filter(pk=removed.pk).update(visibility="removed")
    vanished.delete()
    prepare = VideoProcessingService.prepare

    def prepare_beside_another(self: VideoProcessingService, attachment: Attachment) -> Prepared:
        """The same road, with another job that ends this video while we prepare it."""
        if attachment.pk == during.pk:
            other = Attachment.objects.get(pk=during.pk)
            with transaction.atomic():
                service.record(prepare(self, other))
        return prepare(self, attachment)

    monkeypatch.setattr(VideoProcessingService, "prepare", prepare_beside_another)
    backfill.run_inline(job, lambda _progress: None)
    assert counts(job) == (1, 0, 4)
    assert processed(object_id=during.pk) == 1
    assert processed(object_id=left.pk) == 1
    assert posters() == 3  # done, during, left


def test_a_worker_that_lost_its_chunk_writes_nothing(legacy_video: MakeVideo) -> None:
    video = legacy_video()
    job = start()
    frozen = chunks.claim("frozen:1", job.pk)
    assert frozen is not None
    assert chunks.claim("other:2", job.pk) is None  # under a lease
    Chunk.objects.update(lease_until=timezone.now())  # … which ends
    assert backfill.work_slice("other:2", job_id=job.pk) is True
    with pytest.raises(chunks.LostChunk):
        Worker(job, frozen).checkpoint(0.0)
    frozen.release()
    job.refresh_from_db()
    assert counts(job) == (1, 0, 0)
    assert processed(object_id=video.pk) == 1
    assert posters() == 1
    assert Chunk.objects.get().fence == 2


def test_the_same_owner_is_told_from_its_earlier_self_by_the_fence(
    legacy_video: MakeVideo,
) -> None:
    legacy_video()
    job = start()
    earlier = chunks.claim("me:1", job.pk)
    Chunk.objects.update(lease_until=timezone.now())
    later = chunks.claim("me:1", job.pk)
    assert earlier is not None
    assert later is not None
    with pytest.raises(chunks.LostChunk), transaction.atomic():
        earlier.hold()
    with transaction.atomic():
        later.hold()


def test_an_item_that_kills_its_worker_ends_alone(
    legacy_video: MakeVideo, monkeypatch: pytest.MonkeyPatch
) -> None:
    videos = [legacy_video() for _ in range(5)]
    monkeypatch.setattr(planning, "CHUNK_MIN_ITEMS", 10)
    job = start()
    assert Chunk.objects.count() == 1
    prepare = VideoProcessingService.prepare

    def deadly(self: VideoProcessingService, attachment: Attachment) -> Prepared:
        if attachment.pk == videos[2].pk:
            raise MemoryError("stands for whatever ends a worker")
        return prepare(self, attachment)

    monkeypatch.setattr(VideoProcessingService, "prepare", deadly)
    slices = 0
    while backfill.work_slice("me:1", job_id=job.pk):
        slices += 1
        assert slices < 10
    job.refresh_from_db()
    assert job.status == Job.Status.DONE
    now = progress(job)
    assert (now.ready, now.failed, now.dead) == (4, 0, 1)
    failure = Failure.objects.get()
    assert (failure.attachment_id, failure.code) == (videos[2].pk, "worker_lost")
    assert failure.state == Failure.State.DEAD
    interruptions = list(job.interruptions.values_list("cause", "attachment_id"))
    assert len(interruptions) == chunks.GIVE_UP_AT
    assert interruptions[0] == (Interruption.Cause.SLICE_FAILED, videos[2].pk)
    videos[2].refresh_from_db()
    assert videos[2].failure_code == "worker_lost"
    assert processed() == 5
    assert posters() == 4


def test_an_interruption_discards_and_releases_at_once(
    legacy_video: MakeVideo, monkeypatch: pytest.MonkeyPatch
) -> None:
    legacy_video()
    second = legacy_video()
    job = start()
    prepare = VideoProcessingService.prepare

    def interrupted(self: VideoProcessingService, attachment: Attachment) -> Prepared:
        if attachment.pk == second.pk:
            os.kill(os.getpid(), signal.SIGINT)
        return prepare(self, attachment)

    with monkeypatch.context() as patched:
        patched.setattr(VideoProcessingService, "prepare", interrupted)
        with pytest.raises(KeyboardInterrupt):
            backfill.run_inline(job, lambda _progress: None)
    chunk = Chunk.objects.get()
    assert (chunk.cursor, chunk.owner, chunk.attempts) == (0, "", 0)
    assert processed() == 0
    assert posters() == 0
    backfill.run_inline(job, lambda _progress: None)
    assert counts(job) == (2, 0, 0)


def test_an_interruption_just_after_the_commit_keeps_what_was_committed(
    legacy_video: MakeVideo, monkeypatch: pytest.MonkeyPatch
) -> None:
    legacy_video()
    job = start()
    commit = Worker._commit

    def interrupted(self: Worker, *arguments: Any) -> None:
        commit(self, *arguments)
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(Worker, "_commit", interrupted)
        with pytest.raises(KeyboardInterrupt):
            backfill.work_slice("me:1", job_id=job.pk)
    backfill.run_inline(job, lambda _progress: None)
    assert counts(job) == (1, 0, 0)
    assert processed() == 1
    assert posters() == 1
