"""The engine on real clips and a real database: plan, work, commit, cancel."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.utils import timezone

from chat.models import ActivityLog, Attachment
from chat.services.activity import Actor
from moderation import backfill, chunks, steering
from moderation.models import Chunk, Failure, Interruption, Job
from moderation.progress import Progress, progress
from moderation.scopes import Scope
from tests.clips import clip
from tests.moderation.jobs import counts, finish, posters, processed, run, start

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.every_database]
MakeVideo = Callable[..., Attachment]


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


def test_progress_is_told_while_a_chunk_is_held(legacy_video: MakeVideo) -> None:
    """To put it down first, and take it on again, costs as much as two videos."""
    legacy_video()
    held: list[bool] = []
    job = start()
    backfill.run_inline(
        job, lambda _progress: held.append(Chunk.objects.held(timezone.now()).exists())
    )
    assert held == [False, True, False]


def test_no_item_is_blamed_for_an_error_of_those_who_look_on(legacy_video: MakeVideo) -> None:
    legacy_video()
    job = start()

    def look(_progress: Progress) -> None:
        if Chunk.objects.held(timezone.now()).exists():
            raise BrokenPipeError

    with pytest.raises(BrokenPipeError):
        backfill.run_inline(job, look)
    assert not Interruption.objects.exists()
    assert Chunk.objects.get().attempts == 0
    assert not Chunk.objects.held(timezone.now()).exists()
    assert finish(job).status == Job.Status.DONE


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
