"""What a page shows of many jobs or many chunks at once, from rows as the engine leaves them."""

import itertools
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from chat.models import Attachment, Conversation
from chat.services.activity import SYSTEM
from moderation import backfill, steering
from moderation.chunk_map import STEPS, Cell, chunk_map
from moderation.models import Chunk, Job
from moderation.planning import dry_run
from moderation.progress import progress, progress_of
from moderation.scopes import Scope
from tests.moderation.pages import video

pytestmark = pytest.mark.django_db


def new_job() -> Job:
    job = steering.create_job(Job.Kind.VERIFY, Scope(only="all"), SYSTEM, "command")
    Job.objects.filter(pk=job.pk).update(status=Job.Status.RUNNING, total=60)
    job.refresh_from_db()
    return job


def chunk(job: Job, first: int, **fields: Any) -> Chunk:
    row = Chunk.of(job, range(first, first + 10))
    for name, value in fields.items():
        setattr(row, name, value)
    row.save()
    return row


def six_chunks(job: Job) -> None:
    soon, before = timezone.now() + timedelta(minutes=1), timezone.now() - timedelta(minutes=1)
    chunk(job, 1, cursor=10, ready=10)
    chunk(job, 11, cursor=10, ready=8, failed=1, dead=1)
    chunk(job, 21, cursor=3, ready=3, owner="a:1", lease_until=soon)
    chunk(job, 31, cursor=3, ready=3, owner="a:2", lease_until=before)
    chunk(job, 41)
    chunk(job, 51)


def test_each_chunk_is_a_cell() -> None:
    job = new_job()
    six_chunks(job)
    chunk(job, 900, is_retry=True)
    cells = chunk_map(job)
    states = [cell.state for cell in cells.cells]
    assert states == ["done", "failures", "working", "begun", "open", "open"]
    assert [cell.percent for cell in cells.cells] == [100, 100, 30, 30, 0, 0]
    assert [cell.words for cell in cells.cells][:3] == [
        "Videos 1 to 10: done",
        "Videos 11 to 20: done, with failures, 2 failed",
        "Videos 21 to 30: at work, 30 % done",
    ]
    assert cells.words == "6 parts: 1 done, 1 done, with failures, 1 at work, 1 begun, 2 not begun"


def test_many_chunks_share_cells() -> None:
    job = new_job()
    six_chunks(job)
    cells = chunk_map(job, max_cells=4)
    assert (cells.chunks, cells.per_cell) == (6, 2)
    assert [cell.state for cell in cells.cells] == ["failures", "working", "open"]
    assert [(cell.first, cell.size, cell.done) for cell in cells.cells] == [
        (1, 20, 20),
        (21, 20, 6),
        (41, 20, 0),
    ]


def test_only_what_looks_different_is_drawn_again() -> None:
    job = new_job()
    six_chunks(job)
    before = chunk_map(job)
    assert before.changed_since(before.marks) == []
    assert before.changed_since("") is None
    working, open_chunk = job.chunks.order_by("pk")[2], job.chunks.order_by("pk")[4]
    for chunk_of_job, fields in (
        (working, {"failed": 1, "cursor": 3}),
        (open_chunk, {"cursor": 1}),
    ):
        Chunk.objects.filter(pk=chunk_of_job.pk).update(**fields)
    changed = chunk_map(job).changed_since(before.marks)
    assert changed is not None
    assert [(cell.place, cell.words) for cell in changed] == [
        (2, "Videos 21 to 30: at work, 30 % done, some failed"),
        (4, "Videos 41 to 50: begun, 10 % done"),
    ]
    chunk(job, 61)  # by a split: every cell may stand for something else
    assert chunk_map(job).changed_since(before.marks) is None


def test_looks_that_differ_have_marks_that_differ() -> None:
    """What a cell says may not change while its mark stays."""
    said: dict[str, str] = {}
    for done, failed, working in itertools.product(range(1001), (0, 1, 5), (False, True)):
        if failed <= done and not (working and done == 1000):
            cell = Cell(0, 1, 1000, done, failed, working)
            words = cell.words.replace("1 failed", "5 failed")  # of what is over: it stays so
            assert said.setdefault(cell.mark, words) == words
    assert len(said) == 3 + 2 * 2 * STEPS


def test_an_empty_job_has_no_cells() -> None:
    assert chunk_map(new_job()).cells == []


def test_progress_of_many_jobs_takes_two_queries(conversation: Conversation) -> None:
    jobs = [new_job() for _ in range(3)]
    six_chunks(jobs[0])
    chunk(jobs[1], 1, cursor=10, ready=9, skipped=1)
    jobs[1].failures.create(attachment=video(conversation), code="no_room", is_final=False)
    with CaptureQueriesContext(connection) as queries:
        found = progress_of(jobs)
    assert len(queries) == 2
    assert [found[job.pk].done for job in jobs] == [26, 10, 0]
    assert [found[job.pk].waiting for job in jobs] == [0, 1, 0]
    assert [found[job.pk].workers for job in jobs] == [1, 0, 0]
    assert found[jobs[0].pk] == progress(jobs[0])


def test_progress_of_what_is_long_over_is_remembered() -> None:
    job = new_job()
    chunk(job, 1, cursor=10, ready=10)
    for age, ready in ((timedelta(minutes=1), 7), (timedelta(hours=1), 10)):
        Chunk.objects.update(ready=10)
        job.status, job.finished_at = Job.Status.DONE, timezone.now() - age
        assert progress(job).ready == 10
        Chunk.objects.update(ready=7)
        assert progress(job).ready == ready


def test_failures_by_code_tell_what_is_left_to_do(conversation: Conversation) -> None:
    job = new_job()
    for fields in ({}, {"is_final": False}, {"is_dead": True}, {"handled_at": timezone.now()}):
        job.failures.create(attachment=video(conversation), code="corrupt", **fields)
    assert list(job.failures.by_code()) == [{"code": "corrupt", "count": 4, "unhandled": 2}]


def test_measuring_ends_in_time_and_says_how_many(
    legacy_video: Callable[..., Attachment],
) -> None:
    for _ in range(3):
        legacy_video()
    whole = dry_run(Job.Kind.METADATA, Scope())
    assert (whole.matched, whole.measured) == (3, 3)
    at_once = dry_run(Job.Kind.METADATA, Scope(), seconds=-1)
    assert (at_once.matched, at_once.measured, at_once.seconds_per_item) == (3, 0, None)
    assert backfill.plan_slice(1) is False  # nothing was written
