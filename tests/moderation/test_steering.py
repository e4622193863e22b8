"""Steering a job while it runs: its state, its workers, its rate, its hours, its turns."""

import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from datetime import time as clock
from pathlib import Path

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.utils import timezone

from chat.models import ActivityLog, Attachment
from chat.services.activity import SYSTEM, Actor
from chat.services.video_service import Prepared, VideoProcessingService
from moderation import backfill, checkpoints, chunks, planning, steering, tasks
from moderation.checkpoints import Worker
from moderation.models import Chunk, Job
from moderation.pace import Turns
from moderation.progress import progress
from moderation.scopes import Scope
from moderation.steering import Pace
from tests.moderation.jobs import Flaky, finish, processed, start

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.every_database]
MakeVideo = Callable[..., Attachment]


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
    workers = [Worker(job, each) for each in held if each]
    assert [worker.may_go_on() for worker in workers] == [True, False]
    held[0].release()
    held[1].release()
    assert chunks.claim("w:4") is not None
    assert chunks.claim("w:5") is None


def test_a_rate_is_kept(legacy_video: MakeVideo) -> None:
    for _ in range(9):
        legacy_video()
    job = start(pace=Pace(items_per_second=4))
    started = time.monotonic()
    finish(job)
    # Four at once at most, so that the last four begin when the turns of five others are over.
    assert time.monotonic() - started >= 5 / 4
    assert progress(job).ready == 9


def test_turns_that_a_worker_does_not_use_are_there_for_others(
    legacy_video: MakeVideo, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checkpoints, "CHECKPOINT_SECONDS", 0)  # as if each item took so long
    for _ in range(4):
        legacy_video()
    job = start(pace=Pace(items_per_second=10))
    held = chunks.claim("me:1")
    assert held is not None
    worker = Worker(job, held)
    worker.turns.seconds_per_item = 0.01
    turn = timezone.now() + timedelta(seconds=0.5)
    Job.objects.update(next_item_at=turn)
    worker.checkpoint(time.monotonic() + 9)
    assert progress(job).ready == 1
    assert Job.objects.get().next_item_at - turn == timedelta(seconds=0.1)


def test_a_worker_of_slow_items_takes_few_turns(legacy_video: MakeVideo) -> None:
    """Three of them, four items a second each, reach the ten that the job may do."""
    legacy_video()
    job = start(pace=Pace(items_per_second=10))
    deadline = time.monotonic() + 9
    workers = [Turns() for _ in range(3)]
    assert [turns.take(job, 25, deadline) for turns in workers] == [1] * 3
    for turns in workers:
        turns.used(job, 1, 1, seconds=0.25)
    assert [turns.take(job, 25, deadline) for turns in workers] == [2] * 3
    workers[0].used(job, 2, 2, seconds=0.002)
    assert workers[0].take(job, 25, deadline) == 5


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


@pytest.mark.parametrize("rate", [100.0, 0.1])
def test_a_clock_that_is_set_back_holds_no_job(rate: float, legacy_video: MakeVideo) -> None:
    legacy_video()
    job = start(pace=Pace(items_per_second=rate))
    Job.objects.update(next_item_at=timezone.now() + timedelta(hours=1))
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


def test_turns_are_as_long_for_jobs_of_long_work_as_for_others(
    legacy_video: MakeVideo, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A slice ends with its item, and that may be a transcode of minutes."""
    monkeypatch.setattr(planning, "CHUNK_MIN_ITEMS", 1)
    for _ in range(3):
        legacy_video()
    long, short, shortest = (start() for _ in range(3))
    seconds = {long.pk: 0.3, short.pk: 0.05, shortest.pk: 0.02}
    spent, longest = dict.fromkeys(seconds, 0.0), 0.0
    while sum(spent.values()) < 3:
        began = time.monotonic()
        held = chunks.claim("me:1")
        assert held is not None
        time.sleep(seconds[held.job.pk])
        held.release()
        spent[held.job.pk] += time.monotonic() - began
        longest = max(longest, time.monotonic() - began)
    assert max(spent.values()) - min(spent.values()) <= 2 * longest, spent


def slice_of_three_seconds(
    legacy_video: MakeVideo, monkeypatch: pytest.MonkeyPatch, *, is_stopping: bool = False
) -> tuple[int, int]:
    """What is done in a slice of one that may last, and of how much."""
    videos = [legacy_video().pk for _ in range(12)]
    # In place of the media helper, which takes a second to start.
    Flaky(monkeypatch, dict.fromkeys(videos, 1))
    monkeypatch.setattr(planning, "CHUNK_MIN_ITEMS", 20)
    job = start(pace=Pace(items_per_second=4))
    monkeypatch.setattr(tasks, "is_stopping", lambda: is_stopping)
    assert backfill.work_slice("me:1", 1, job.pk, tasks.nobody_waits)
    chunk = Chunk.objects.get(job=job)
    assert chunk.owner == ""
    return chunk.cursor, chunk.size


def test_a_slice_goes_on_while_no_other_job_waits(
    legacy_video: MakeVideo, monkeypatch: pytest.MonkeyPatch
) -> None:
    legacy_video()  # a paused job does not wait
    steering.pause(start(), SYSTEM)
    done, of = slice_of_three_seconds(legacy_video, monkeypatch)
    assert done == of


@pytest.mark.parametrize("reason", ["another job", "a stop", "long enough"])
def test_a_slice_ends_in_time(
    reason: str, legacy_video: MakeVideo, monkeypatch: pytest.MonkeyPatch
) -> None:
    if reason == "another job":
        legacy_video()
        start()
    if reason == "long enough":
        monkeypatch.setattr(backfill, "LONGEST_SLICE_SECONDS", 1)
    done, of = slice_of_three_seconds(legacy_video, monkeypatch, is_stopping=reason == "a stop")
    assert 0 < done < of
