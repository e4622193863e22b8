"""What is put into the queue, and when: in this process, with a queue that nobody consumes."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.db import transaction
from django.utils import timezone

from chat.models import Attachment
from chat.services.activity import SYSTEM
from moderation import backfill, chunks, planning, queues, steering, tasks
from moderation.models import Chunk, Failure, Job
from moderation.scopes import Scope

pytestmark = pytest.mark.every_database
MakeVideo = Callable[..., Attachment]


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
