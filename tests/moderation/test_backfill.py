"""The engine on real clips and a real database: plan, work, commit, fence, give up, cancel."""

import os
import signal
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.files.storage import default_storage
from django.db import transaction
from django.utils import timezone

from chat.errors import VideoError
from chat.models import ActivityLog, Attachment, Conversation
from chat.services.activity import SYSTEM, Actor
from chat.services.video_service import Prepared, VideoProcessingService
from moderation import backfill, chunks, planning, steering
from moderation.checkpoints import HALTING, Worker
from moderation.models import Chunk, Failure, Interruption, Job
from moderation.progress import Progress, progress
from moderation.scopes import RENDITIONS, Scope
from tests.clips import clip

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.every_database]
MakeVideo = Callable[..., Attachment]


def start(scope: Scope | None = None, kind: str = Job.Kind.METADATA) -> Job:
    job = steering.create_job(kind, scope or Scope(), SYSTEM, "command")
    backfill.plan(job)
    return job


def run(scope: Scope | None = None, kind: str = Job.Kind.METADATA) -> Job:
    job = start(scope, kind)
    backfill.run_inline(job, lambda _progress: None)
    return job


def processed(**fields: Any) -> int:
    return ActivityLog.objects.filter(
        action=ActivityLog.Action.ATTACHMENT_PROCESSED, **fields
    ).count()


def posters() -> int:
    folder = Path(default_storage.path("posters"))
    return sum(path.is_file() for path in folder.rglob("*"))


def counts(job: Job) -> tuple[int, int, int]:
    now = progress(job)
    return now.ready, now.failed, now.skipped


@pytest.fixture
def broken(tmp_path: Path) -> Path:
    path = tmp_path / "broken.mp4"
    path.write_bytes(b"not a video at all" * 100)
    return path


def test_it_makes_legacy_videos_ready(legacy_video: MakeVideo) -> None:
    videos = [legacy_video() for _ in range(3)]
    job = run()
    assert job.status == Job.Status.DONE
    assert counts(job) == (3, 0, 0)
    for video in videos:
        video.refresh_from_db()
        assert video.processing_state == "ready"
        assert video.video_dimensions == (320, 240)
        assert video.thumbnail.storage.exists(video.thumbnail.name)
    assert processed(job_id=job.pk) == 3
    assert posters() == 3


def test_a_second_run_finds_nothing_to_do(legacy_video: MakeVideo) -> None:
    legacy_video()
    run()
    again = run()
    assert (again.status, again.total) == (Job.Status.DONE, 0)
    assert processed() == 1
    assert posters() == 1


def test_all_does_it_again_and_replaces_the_poster(legacy_video: MakeVideo) -> None:
    legacy_video()
    run()
    job = run(Scope(only="all"))
    assert counts(job) == (1, 0, 0)
    assert processed() == 2
    assert posters() == 1


def test_one_bad_file_never_stops_a_run(legacy_video: MakeVideo, broken: Path) -> None:
    bad, good = legacy_video(broken), legacy_video()
    gone = legacy_video()
    Path(gone.file.path).unlink()
    job = run()
    assert counts(job) == (1, 2, 0)
    assert dict(Failure.objects.filter(job=job).values_list("attachment_id", "code")) == {
        bad.pk: "not_a_video",
        gone.pk: "missing_file",
    }
    good.refresh_from_db()
    assert good.processing_state == "ready"
    assert processed(outcome="failed") == 2


def test_failed_videos_are_tried_again_when_asked(legacy_video: MakeVideo, broken: Path) -> None:
    video = legacy_video(broken)
    run()
    assert run().total == 0
    Path(video.file.path).write_bytes(clip().read_bytes())
    assert counts(run(Scope(only="failed"))) == (1, 0, 0)


def test_missing_thumbnails_are_made(legacy_video: MakeVideo) -> None:
    video, other = legacy_video(), legacy_video()
    run()
    video.refresh_from_db()
    video.thumbnail.delete()
    assert counts(run(kind=Job.Kind.THUMBNAILS)) == (1, 0, 0)
    assert processed(object_id=other.pk) == 1
    assert posters() == 2


def test_the_set_is_frozen_when_planned(legacy_video: MakeVideo) -> None:
    legacy_video()
    job = start()
    late = legacy_video()
    backfill.run_inline(job, lambda _progress: None)
    late.refresh_from_db()
    assert late.processing_state == "pending"


@pytest.mark.parametrize("kind", [Job.Kind.METADATA, Job.Kind.THUMBNAILS])
def test_scopes(kind: str, legacy_video: MakeVideo, owner: User) -> None:
    elsewhere = Conversation.objects.create(title="Elsewhere", created_by=owner)
    first, second = legacy_video(), legacy_video(original_name="needle.mp4")
    third = legacy_video(conversation=elsewhere)
    legacy_video(visibility=Attachment.Visibility.REMOVED)
    legacy_video(kind=Attachment.Kind.FILE)
    if kind in RENDITIONS:
        Attachment.objects.update(processing_state=Attachment.ProcessingState.READY)

    def found(**fields: Any) -> list[int]:
        scope = Scope(only="all", **fields)
        assert Scope.from_json(scope.to_json()) == scope
        job = start(scope, kind)
        return [pk for chunk in job.chunks.all() for pk in chunk.attachment_ids]

    assert found() == [first.pk, second.pk, third.pk]
    assert found(ids=(third.pk, first.pk, 999)) == [first.pk, third.pk]
    assert found(conversation=elsewhere.pk) == [third.pk]
    assert found(filters={"q": "needle"}) == [second.pk]
    assert found(limit=2) == [first.pk, second.pk]


def test_scopes_in_words(conversation: Conversation) -> None:
    assert Scope().words("metadata") == "videos without metadata"
    assert Scope(ids=(7,)).words("metadata") == "1 selected video without metadata"
    assert Scope(only="all", ids=(7, 8)).words("thumbnails") == "2 selected videos"
    scope = Scope(only="failed", conversation=conversation.pk, filters={"q": "x"}, limit=1000)
    assert scope.words("metadata") == "failed videos in “Holiday”, matches “x”, at most 1,000"
    assert len(Scope(filters={"q": "x" * 200, "uploader": "y" * 150}).words("metadata")) == 300


def test_nonsense_in_a_scope_is_refused() -> None:
    with pytest.raises(ValueError, match="only"):
        Scope(only="some")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="limit"):
        Scope(limit=0)
    with pytest.raises(ValueError, match="filters"):
        Scope(filters={"duration_min": "long"}).queryset("metadata")


def test_a_job_that_cannot_be_planned_fails_with_its_reason(legacy_video: MakeVideo) -> None:
    job = Job.objects.create(
        kind="metadata", scope={"filters": {"duration_min": "long"}}, started_from="dashboard"
    )
    backfill.plan(job)
    assert job.status == Job.Status.FAILED
    assert "duration_min" in job.error
    entry = ActivityLog.objects.get(action=ActivityLog.Action.JOB_FINISHED)
    assert entry.outcome == ActivityLog.Outcome.FAILED


def test_planning_goes_on_where_it_stopped(
    legacy_video: MakeVideo, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(planning, "PLAN_ITEMS", 2)
    ids = [legacy_video().pk for _ in range(5)]
    job = steering.create_job("metadata", Scope(), SYSTEM, "command")
    backfill.plan(job, seconds=0)
    assert (job.status, job.total) == (Job.Status.PLANNING, 2)
    assert backfill.work_slice("a", job_id=job.pk) is False  # not before it is planned
    backfill.plan(job)
    assert (job.status, job.total) == (Job.Status.RUNNING, 5)
    assert [pk for chunk in job.chunks.all() for pk in chunk.attachment_ids] == ids


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


@pytest.mark.parametrize("code", sorted(HALTING))
def test_what_is_no_files_fault_stops_the_job_instead_of_failing_them_all(
    code: str, legacy_video: MakeVideo, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, second, _ = legacy_video(), legacy_video(), legacy_video()
    job = start()
    prepare = VideoProcessingService.prepare

    def broken_machine(self: VideoProcessingService, attachment: Attachment) -> Prepared:
        if attachment.pk == second.pk:
            return Prepared(attachment, error=VideoError(code, "since a minute ago"))
        return prepare(self, attachment)

    with monkeypatch.context() as patched:
        patched.setattr(VideoProcessingService, "prepare", broken_machine)
        backfill.run_inline(job, lambda _progress: None)
    assert job.status == Job.Status.PAUSED
    assert "since a minute ago" in job.error
    assert counts(job) == (1, 0, 0)
    states = Attachment.objects.order_by("pk").values_list("processing_state", flat=True)
    assert list(states) == ["ready", "pending", "pending"]
    halt = job.interruptions.get()
    assert (halt.cause, halt.attachment_id) == (Interruption.Cause.HALTED, second.pk)
    entry = ActivityLog.objects.get(action=ActivityLog.Action.JOB_PAUSED)
    assert (entry.outcome, entry.actor_name) == ("failed", f"job {job.pk}")
    # Once somebody has seen to it the same job goes on.
    assert steering.resume(job, SYSTEM)
    assert job.error == ""
    backfill.run_inline(job, lambda _progress: None)
    assert (job.status, counts(job)) == (Job.Status.DONE, (3, 0, 0))


def test_without_ffmpeg_nothing_is_marked_failed(legacy_video: MakeVideo, settings: Any) -> None:
    settings.MEDIA_ENGINE = "ffmpeg"
    settings.FFPROBE_BINARY = "no-such-ffprobe"
    video = legacy_video()
    job = run()
    assert job.status == Job.Status.PAUSED
    assert "no-such-ffprobe" in job.error
    video.refresh_from_db()
    assert video.processing_state == "pending"


def test_cancel_stops_at_the_next_checkpoint_and_keeps_what_is_done(
    legacy_video: MakeVideo, admin: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chunks, "SLICE_ITEMS", 1)
    for _ in range(4):
        legacy_video()
    job = start()

    def cancel_after_one(now: Progress) -> None:
        if now.done and not job.is_finished:
            assert steering.cancel(Job.objects.get(pk=job.pk), Actor(user=admin))

    monkeypatch.setattr(backfill, "CHECKPOINT_SECONDS", 0)
    backfill.run_inline(job, cancel_after_one)
    assert job.status == Job.Status.CANCELLED
    assert counts(job) == (1, 0, 0)
    assert steering.cancel(job, Actor(user=admin)) is False
    entry = ActivityLog.objects.get(action=ActivityLog.Action.JOB_CANCELLED)
    assert (entry.actor_name, entry.object_id) == ("admin", job.pk)
    assert not ActivityLog.objects.filter(action=ActivityLog.Action.JOB_FINISHED).exists()


def test_a_paused_job_waits(legacy_video: MakeVideo) -> None:
    legacy_video()
    job = start()
    Job.objects.update(status=Job.Status.PAUSED)
    assert backfill.work_slice("me:1", job_id=job.pk) is False
    assert processed() == 0
    Job.objects.update(status=Job.Status.RUNNING)
    assert backfill.work_slice("me:1", job_id=job.pk) is True
    job.refresh_from_db()
    assert job.status == Job.Status.DONE


def test_the_log_tells_of_start_and_end(legacy_video: MakeVideo, operator: User) -> None:
    legacy_video()
    actor = Actor(user=operator, ip_address="192.0.2.1")
    job = steering.create_job("metadata", Scope(), actor, "dashboard")
    assert (job.created_by, job.status) == (operator, Job.Status.PLANNING)
    backfill.run_inline(job, lambda _progress: None)
    started, done, finished = ActivityLog.objects.order_by("pk")
    assert (started.action, started.actor_name) == ("job_started", "operator")
    assert started.details == {"scope": "videos without metadata"}
    assert (done.action, done.actor_name) == ("attachment_processed", f"job {job.pk}")
    assert (finished.action, finished.job_id) == ("job_finished", job.pk)
    assert finished.details == {"ready": 1, "failed": 0, "dead": 0, "skipped": 0}


def test_progress_is_two_queries(
    legacy_video: MakeVideo, django_assert_num_queries: Callable[[int], Any]
) -> None:
    for _ in range(3):
        legacy_video()
    job = start()
    with django_assert_num_queries(2):
        now = progress(job)
    assert (now.total, now.done, now.left, now.fraction) == (3, 0, 3, 0.0)
    assert (now.workers, now.rate_per_second, now.eta_seconds) == (0, None, None)
    # Two workers hold a chunk; each took two seconds for the item that it has done.
    Chunk.objects.all().delete()
    for number in range(2):
        chunk = Chunk.of(job, [10 * number + 1, 10 * number + 2])
        chunk.cursor = chunk.ready = 1
        chunk.owner, chunk.busy_seconds = f"a:{number}", 2.0
        chunk.lease_until = timezone.now() + timedelta(minutes=1)
        chunk.save()
    now = progress(job)
    assert (now.done, now.workers) == (2, 2)
    assert now.rate_per_second == pytest.approx(1.0)
    assert now.eta_seconds == pytest.approx(1.0)
    job.items_per_second = 0.25  # which they would pass: they wait for turns most of the time
    now = progress(job)
    assert (now.rate_per_second, now.eta_seconds) == (0.25, pytest.approx(4.0))


def test_a_small_job_is_cut_for_several_workers_a_large_one_into_chunks_of_500(
    conversation: Conversation,
) -> None:
    def add(count: int) -> None:
        Attachment.objects.bulk_create(
            Attachment(conversation=conversation, original_name="x", size=1, kind="video")
            for _ in range(count)
        )

    add(48)
    assert start().chunks.count() == 10
    add(12_000)
    job = start()
    assert job.total == 12_048
    assert max(job.chunks.values_list("size", flat=True)) == 500
