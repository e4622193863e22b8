"""Jobs to look at, and their pages as a reader has them."""

import re
from collections.abc import Callable
from typing import Any

from django.contrib.auth.models import User
from django.utils import timezone

from chat.models import Attachment
from chat.services.activity import SYSTEM
from moderation import backfill, steering
from moderation.models import Chunk, Job
from moderation.scopes import Scope
from tests.moderation.pages import (
    signed_in,
)

URL = "/moderation/jobs/"
MakeVideo = Callable[..., Attachment]


def new_job(only: Any = "missing", **fields: Any) -> Job:
    job = steering.create_job(Job.Kind.METADATA, Scope(only=only), SYSTEM, "command")
    Job.objects.filter(pk=job.pk).update(**fields)
    job.refresh_from_db()
    return job


def finish(job: Job) -> Job:
    backfill.run_inline(job, lambda _progress: None)
    return job


def running_job(size: int = 10, **chunk: Any) -> Job:
    """Planned, with one chunk that stands like this."""
    job = new_job(status=Job.Status.RUNNING, total=size, planned_at=timezone.now())
    row = Chunk.of(job, range(1, size + 1))
    for name, value in chunk.items():
        setattr(row, name, value)
    row.save()
    return job


def text_of(response: Any) -> str:
    """The page's words, without tags."""
    return " ".join(re.sub(r"<[^>]*>", " ", response.content.decode()).split())


def page_of(user: User, job: Job) -> str:
    return text_of(signed_in(user).get(f"{URL}{job.pk}/"))
