"""Details of old jobs are cleared; what they add up to stays."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from django.db import connection
from django.utils import timezone

from chat.models import ActivityLog, Attachment
from chat.services.activity import SYSTEM
from moderation import backfill, housekeeping, steering
from moderation.models import Chunk, Failure, Interruption, Job
from moderation.progress import outcomes, progress
from moderation.scopes import Scope

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.every_database]
MakeVideo = Callable[..., Attachment]


@pytest.fixture
def job(legacy_video: MakeVideo, tmp_path: Path) -> Job:
    """Two videos ready and one failed, by a worker that was interrupted once."""
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(b"not a video at all" * 100)
    for path in (None, broken, None):
        legacy_video(path)
    job = steering.create_job("metadata", Scope(), SYSTEM, "command")
    backfill.run_inline(job, lambda _progress: None)
    Interruption.objects.create(job=job, cause=Interruption.Cause.HALTED)
    return job


def ended(job: Job, days: float) -> None:
    Job.objects.filter(pk=job.pk).update(finished_at=timezone.now() - timedelta(days=days))


def test_an_old_job_keeps_its_numbers_alone(job: Job) -> None:
    before, entries = progress(job), ActivityLog.objects.count()
    ended(job, 91)
    assert housekeeping.clear_old_details() == 1
    job.refresh_from_db()
    assert job.details_cleared_at
    assert progress(job) == before
    assert list(outcomes(job)) == []
    assert (Chunk.objects.count(), Failure.objects.count(), Interruption.objects.count()) == (
        1, 0, 0,
    )  # fmt: skip
    assert ActivityLog.objects.count() == entries
    assert housekeeping.clear_old_details() == 0


def test_what_ended_lately_or_not_at_all_is_left_alone(job: Job) -> None:
    ended(job, 89)
    Job.objects.create(kind="metadata", status="paused", scope={}, started_from="command")
    assert housekeeping.clear_old_details() == 0
    assert Failure.objects.exists()
    assert housekeeping.clear_old_details(timedelta(0)) == 1


def test_the_planner_gets_its_statistics(job: Job) -> None:
    housekeeping.take_statistics()
    if connection.vendor == "sqlite":  # PostgreSQL takes its own
        with connection.cursor() as cursor:
            cursor.execute("SELECT idx FROM sqlite_stat1 WHERE tbl = 'chat_attachment'")
            indexes = {name for (name,) in cursor.fetchall()}
        assert "video_by_date" in indexes
