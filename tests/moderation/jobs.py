"""Jobs that are planned and worked on in the tests' own process."""

from pathlib import Path
from typing import Any

import pytest
from django.core.files.storage import default_storage

from chat.errors import VideoError
from chat.models import ActivityLog, Attachment
from chat.services.activity import SYSTEM
from chat.services.video_service import Prepared, VideoProcessingService
from moderation import backfill, steering
from moderation.models import Job
from moderation.progress import progress
from moderation.scopes import Scope
from moderation.steering import Pace


def start(scope: Scope | None = None, pace: Pace | None = None, kind: str = "metadata") -> Job:
    job = steering.create_job(kind, scope or Scope(), SYSTEM, "command", pace=pace or Pace())
    backfill.plan(job)
    return job


def finish(job: Job) -> Job:
    backfill.run_inline(job, lambda _progress: None)
    return job


def run(scope: Scope | None = None, kind: str = "metadata") -> Job:
    return finish(start(scope, kind=kind))


def counts(job: Job) -> tuple[int, int, int]:
    """Ready, failed, skipped."""
    now = progress(job)
    return now.ready, now.failed, now.skipped


def posters() -> int:
    """Stored ones."""
    folder = Path(default_storage.path("posters"))
    return sum(path.is_file() for path in folder.rglob("*"))


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
