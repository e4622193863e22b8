"""Steering a job while it runs, later tries, split chunks, turns, and what became of each item."""

import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from datetime import time as clock
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.utils import timezone

from chat.errors import VideoError
from chat.models import ActivityLog, Attachment, Conversation
from chat.services.activity import SYSTEM, Actor
from chat.services.video_service import Prepared, VideoProcessingService
from moderation import backfill, chunks, planning, steering
from moderation.models import Chunk, Failure, Interruption, Job
from moderation.progress import outcomes, progress, skip_reasons
from moderation.scopes import Scope
from moderation.steering import Pace

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.every_database]
MakeVideo = Callable[..., Attachment]


def start(scope: Scope | None = None, pace: Pace | None = None, kind: str = "metadata") -> Job:
    job = steering.create_job(kind, scope or Scope(), SYSTEM, "command", pace=pace or Pace())
    backfill.plan(job)
    return job


def finish(job: Job) -> Job:
    backfill.run_inline(job, lambda _progress: None)
    return job


def processed(**fields: Any) -> int:
    action = ActivityLog.Action.ATTACHMENT_PROCESSED
    return ActivityLog.objects.filter(action=action, **fields).count()


class Flaky:
    """In the place of ``prepare``: these videos fail so many times, in a way that may pass."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, failures: dict[int, int]) -> None:
        self.failures = failures
        real = VideoProcessingService.prepare

        def prepare(service: VideoProcessingService, attachment: Attachment) -> Prepared:
            if self.failures.get(attachment.pk, 0) > 0:
                self.failures[attachment.pk] -= 1
                return Prepared(attachment, error=VideoError("storage_error", "just now"))
            return real(service, attachment)

        monkeypatch.setattr(VideoProcessingService, "prepare", prepare)


# --- Verbs --------------------------------------------------------------------------------------


def test_pause_and_resume(legacy_video: MakeVideo, operator: User) -> None:
    legacy_video()
    job = start()
    actor = Actor(user=operator, ip_address="192.0.2.1")
    assert steering.pause(job, actor)
    assert not steering.pause(job, actor)
    assert backfill.work_slice("me:1") is False
    assert progress(job).done == 0
    assert steering.resume(job, actor)
    assert not steering.resume(job, actor)
    assert finish(job).status == Job.Status.DONE
    actions = ActivityLog.objects.filter(actor=operator).order_by("pk")
    assert list(actions.values_list("action", flat=True)) == ["job_paused", "job_resumed"]


def test_a_job_paused_while_it_is_planned_goes_on_with_that(legacy_video: MakeVideo) -> None:
    legacy_video()
    job = steering.create_job("metadata", Scope(), SYSTEM, "command")
    assert steering.pause(job, SYSTEM)
    assert backfill.plan_slice(1) is False
    assert steering.resume(job, SYSTEM)
    assert job.status == Job.Status.PLANNING
    assert backfill.plan_slice(1) is True
    assert finish(job).status == Job.Status.DONE


@pytest.mark.parametrize("verb", [steering.pause, steering.resume, steering.cancel])
def test_what_is_over_cannot_be_steered(
    verb: Callable[[Job, Actor], bool], legacy_video: MakeVideo
) -> None:
    legacy_video()
    job = finish(start())
    assert not verb(job, SYSTEM)
    assert not steering.change(job, SYSTEM, Pace(workers=1))
    assert job.status == Job.Status.DONE


def test_pausing_stops_within_a_second_what_a_worker_is_at(
    legacy_video: MakeVideo, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The media work is interrupted, not waited for, and what it was at is not counted."""
    ids = [legacy_video().pk for _ in range(3)]
    job = start()
    reached = threading.Event()
    real = VideoProcessingService.prepare

    def slow(service: VideoProcessingService, attachment: Attachment) -> Prepared:
        if attachment.pk == ids[1]:
            reached.set()
            while True:  # as a child that is waited for, which looks twice a second
                time.sleep(0.05)
                service.validate_video_file(Path(attachment.file.path))
        return real(service, attachment)

    monkeypatch.setattr(VideoProcessingService, "prepare", slow)

    def pause() -> None:
        reached.wait(10)
        steering.pause(Job.objects.get(pk=job.pk), SYSTEM)
        connection.close()

    other = threading.Thread(target=pause)
    other.start()
    backfill.work_slice("me:1")
    other.join()
    paused = ActivityLog.objects.get(action="job_paused")
    assert timezone.now() - paused.created_at < timedelta(seconds=3)
    assert [chunk.ready for chunk in job.chunks.all()] == [1]
    assert processed() == 1
    assert Chunk.objects.get().owner == ""


def test_a_pace_in_words_and_its_limits() -> None:
    assert Pace().words() == ""
    pace = Pace(2, 0.5, clock(22), clock(6, 30))
    assert pace.words() == "2 workers, at most 0.5 a second, from 22:00 to 06:30"
    for wrong in (
        {"workers": 0},
        {"workers": 1001},
        {"items_per_second": 0},
        {"items_per_second": float("nan")},
        {"hours_from": clock(1)},
        {"hours_from": clock(1), "hours_until": clock(1)},
    ):
        with pytest.raises(ValueError, match=r"workers|items_per_second|hours"):
            Pace(**wrong)  # type: ignore[arg-type]


def test_a_change_of_pace_is_logged_once(legacy_video: MakeVideo) -> None:
    legacy_video()
    job = start(pace=Pace(workers=1))
    assert ActivityLog.objects.get(action="job_started").details["pace"] == "1 worker"
    assert steering.change(job, SYSTEM, Pace(workers=2))
    assert not steering.change(job, SYSTEM, Pace(workers=2))
    entry = ActivityLog.objects.get(action="job_changed")
    assert entry.details == {"from": "1 worker", "to": "2 workers"}


# --- Workers, rate, hours, turns ----------------------------------------------------------------


def test_no_more_workers_than_allowed(
    legacy_video: MakeVideo, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(planning, "CHUNK_MIN_ITEMS", 1)
    for _ in range(4):
        legacy_video()
    job = start(pace=Pace(workers=2))
    held = [chunks.claim(f"w:{number}") for number in range(3)]
    assert held[2] is None
    assert held[0] is not None
    assert held[1] is not None
    steering.change(job, SYSTEM, Pace(workers=1))
    workers = [backfill.Worker(job, each) for each in held if each]
    assert [worker.may_go_on() for worker in workers] == [True, False]
    held[0].release()
    held[1].release()
    assert chunks.claim("w:4") is not None
    assert chunks.claim("w:5") is None


def test_a_rate_is_kept(legacy_video: MakeVideo) -> None:
    for _ in range(5):
        legacy_video()
    job = start(pace=Pace(items_per_second=4))
    started = time.monotonic()
    finish(job)
    assert time.monotonic() - started >= 1.0  # four at once, then the fifth
    assert progress(job).ready == 5


def test_a_slow_rate_does_not_hold_a_worker(legacy_video: MakeVideo) -> None:
    legacy_video()
    legacy_video()
    job = start(pace=Pace(items_per_second=0.01))
    assert backfill.work_slice("me:1", 0.1)
    assert progress(job).ready == 1
    started = time.monotonic()
    assert backfill.work_slice("me:1", 0.1)
    assert time.monotonic() - started < 3
    assert progress(job).ready == 1
    assert Chunk.objects.open().filter(owner="").count() == 1
    steering.change(job, SYSTEM, Pace())
    assert finish(job).status == Job.Status.DONE


@pytest.mark.parametrize(
    ("start_hour", "end_hour", "now_hour", "expected"),
    [
        (9, 17, 9, True),
        (9, 17, 16, True),
        (9, 17, 17, False),
        (9, 17, 8, False),
        (22, 6, 23, True),
        (22, 6, 5, True),
        (22, 6, 6, False),
        (22, 6, 12, False),
    ],
)
def test_hours_of_the_day(
    start_hour: int, end_hour: int, now_hour: int, expected: bool, legacy_video: MakeVideo
) -> None:
    legacy_video()
    job = start(pace=Pace(hours_from=clock(start_hour), hours_until=clock(end_hour)))
    now = datetime(2026, 3, 1, now_hour, 0, tzinfo=UTC)
    assert job.is_within_hours(now) is expected
    assert Job.objects.with_work(now).exists() is expected


def test_outside_its_hours_a_job_waits(legacy_video: MakeVideo) -> None:
    legacy_video()
    now = timezone.localtime()
    later = (now + timedelta(hours=2)).time(), (now + timedelta(hours=3)).time()
    job = start(pace=Pace(hours_from=later[0], hours_until=later[1]))
    assert backfill.work_slice("me:1") is False
    assert Job.objects.get().status == Job.Status.RUNNING
    steering.change(job, SYSTEM, Pace())
    assert finish(job).status == Job.Status.DONE


def test_jobs_take_turns(legacy_video: MakeVideo, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(planning, "CHUNK_MIN_ITEMS", 1)
    for _ in range(6):
        legacy_video()
    large, small = start(), start(Scope(limit=2))
    order = []
    while held := chunks.claim("me:1"):
        order.append(Chunk.objects.get(pk=held.chunk_id).job_id)
        Chunk.objects.filter(pk=held.chunk_id).update(cursor=1, owner="")
    assert order == [large.pk, small.pk, large.pk, small.pk] + 4 * [large.pk]


# --- Later tries --------------------------------------------------------------------------------


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
    Flaky(monkeypatch, {legacy_video().pk: 9})
    job = start()
    backfill.work_slice("me:1")
    assert progress(job).waiting == 1
    assert steering.cancel(job, SYSTEM)
    assert progress(job).waiting == 0
    assert Failure.objects.get().state == Failure.State.FAILED


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


# --- Workers that are lost ----------------------------------------------------------------------


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
        backfill.Worker(job, held).checkpoint(time.monotonic())
        Chunk.objects.update(lease_until=timezone.now())
        if not Chunk.objects.open().exists():
            break
    finish(job)
    assert (progress(job).ready, progress(job).dead) == (4, 0)


# --- What became of each ------------------------------------------------------------------------


def test_skips_have_a_reason(legacy_video: MakeVideo) -> None:
    done, removed, gone, left = (legacy_video() for _ in range(4))
    job = start()
    VideoProcessingService().process_video_attachment(done)
    Attachment.objects.filter(pk=removed.pk).update(visibility="removed")
    gone_id = gone.pk
    gone.delete()
    finish(job)
    assert dict(skip_reasons(job)) == {"gone": 1, "removed": 1, "not_needed": 1}
    assert [(pk, outcome) for pk, outcome, _ in outcomes(job)] == [
        (done.pk, "not_needed"),
        (removed.pk, "removed"),
        (gone_id, "gone"),
        (left.pk, "ready"),
    ]


def test_what_is_deleted_later_keeps_its_failure(legacy_video: MakeVideo, tmp_path: Path) -> None:
    path = tmp_path / "broken.mp4"
    path.write_bytes(b"not a video at all" * 100)
    video = legacy_video(path)
    pk = video.pk
    job = finish(start())
    video.delete()
    failure = job.failures.select_related("attachment").get()
    assert (failure.attachment_id, failure.name) == (pk, f"attachment {pk}, deleted meanwhile")
    assert next(iter(outcomes(job)))[:2] == (pk, "not_a_video")


def test_a_job_of_many_items_says_what_is_not_reached(conversation: Conversation) -> None:
    Attachment.objects.bulk_create(
        Attachment(conversation=conversation, original_name="x", size=1, kind="video")
        for _ in range(600)
    )
    job = start()
    assert [outcome for _, outcome, _ in outcomes(job)] == ["not_reached"] * 600
    assert processed() == 0


# --- Before it starts ---------------------------------------------------------------------------


def test_a_dry_run_counts_measures_and_writes_nothing(
    legacy_video: MakeVideo, tmp_path: Path, settings: Any
) -> None:
    path = tmp_path / "broken.mp4"
    path.write_bytes(b"not a video at all" * 100)
    bad = legacy_video(path)
    ids = [bad.pk, *(legacy_video().pk for _ in range(14))]
    media = Path(settings.MEDIA_ROOT)
    before = {file: file.stat().st_mtime_ns for file in media.rglob("*")}
    rows = list(Attachment.objects.order_by("pk").values())
    forecast = planning.dry_run("metadata", Scope())
    assert forecast.matched == 15
    assert len(forecast.samples) == 10
    assert forecast.measured == 10
    assert forecast.seconds_per_item
    assert forecast.estimate_seconds(2) == pytest.approx(15 * forecast.seconds_per_item / 2)
    assert forecast.failures == {bad.pk: "not_a_video"}
    assert {file: file.stat().st_mtime_ns for file in media.rglob("*")} == before
    assert list(Attachment.objects.order_by("pk").values()) == rows
    assert not Job.objects.exists()
    assert not ActivityLog.objects.exists()
    # What comes later is not in the set that was counted.
    legacy_video()
    job = start(forecast.scope)
    assert [pk for pk, *_ in outcomes(job)] == ids


@pytest.mark.parametrize("kind", [Job.Kind.STORYBOARDS, Job.Kind.VERIFY, Job.Kind.THUMBNAILS])
def test_a_dry_run_of_other_kinds(kind: str, legacy_video: MakeVideo, settings: Any) -> None:
    legacy_video()
    finish(start())
    media = Path(settings.MEDIA_ROOT)
    before = sorted(media.rglob("*"))
    forecast = planning.dry_run(kind, Scope(only="all"))
    assert (forecast.matched, forecast.measured, forecast.failures) == (1, 1, {})
    assert sorted(media.rglob("*")) == before


def test_a_dry_run_of_nothing() -> None:
    forecast = planning.dry_run("metadata", Scope())
    assert (forecast.matched, forecast.samples, forecast.seconds_per_item) == (0, (), None)
    assert forecast.estimate_seconds(1) is None


def test_samples_come_from_all_over_the_set(conversation: Conversation) -> None:
    Attachment.objects.bulk_create(
        Attachment(conversation=conversation, original_name="x", size=1, kind="video")
        for _ in range(1000)
    )
    samples = [each.pk for each in planning.dry_run("metadata", Scope(), measure=False).samples]
    first, last = Attachment.objects.order_by("pk").first(), Attachment.objects.latest("pk")
    assert first is not None
    assert samples == sorted(set(samples))
    assert samples[0] == first.pk
    assert samples[-1] > last.pk - 150


def test_many_ids_are_a_scope(conversation: Conversation, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("moderation.scopes.IDS_AT_ONCE", 7)
    Attachment.objects.bulk_create(
        Attachment(conversation=conversation, original_name="x", size=1, kind="video")
        for _ in range(40)
    )
    ids = list(Attachment.objects.order_by("pk").values_list("pk", flat=True))[::2]
    scope = Scope(ids=(*reversed(ids), *ids, 10**9))
    assert scope.count("metadata") == 20
    assert [pk for pk, *_ in outcomes(start(scope))] == ids


def test_outdated_videos_are_found(
    legacy_video: MakeVideo, monkeypatch: pytest.MonkeyPatch
) -> None:
    video = legacy_video()
    finish(start())
    assert Scope(only="outdated").count("metadata") == 0
    monkeypatch.setattr("chat.models.PIPELINE_VERSION", 2)
    assert Scope(only="outdated").count("metadata") == 1
    finish(start(Scope(only="outdated")))
    video.refresh_from_db()
    assert video.pipeline_version == 2
    assert Scope(only="outdated").count("metadata") == 0
