"""Writing to the activity log: who did what to which object, from where, with what outcome.

Call ``record`` inside the transaction of the change it tells of.
"""

import contextlib
from collections.abc import Iterator
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.contrib.auth.models import User
from django.db import models
from django.http import HttpRequest
from django.utils import timezone

from chat.models import ActivityLog, Conversation
from chat.services.client_address import client_address

# A player asks for one file in many ranges; those within this time are one download.
SAME_VISIT = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class Actor:
    """Who acts: a person from an address, a background job, or (all empty) the system itself."""

    user: User | None = None
    ip_address: str | None = None
    job_id: int | None = None
    command: str = ""

    @classmethod
    def from_request(cls, request: HttpRequest) -> "Actor":
        user = request.user if isinstance(request.user, User) else None
        return cls(user=user, ip_address=client_address(request))

    @property
    def name(self) -> str:
        """What the log shows for the actor, kept even when the account is deleted."""
        if self.user is not None:
            return self.user.get_username()
        if self.job_id is not None:
            return f"job {self.job_id}"
        return self.command or "system"


SYSTEM = Actor()


def entry(
    action: str,
    actor: Actor,
    obj: models.Model,
    *,
    outcome: str = ActivityLog.Outcome.OK,
    details: dict[str, Any] | None = None,
) -> ActivityLog:
    """One unsaved entry about ``obj`` (a conversation, message, attachment, job or user)."""
    return ActivityLog(
        action=action,
        actor=actor.user,
        actor_name=actor.name,
        job_id=actor.job_id,
        ip_address=actor.ip_address,
        object_type=obj._meta.model_name or "",
        object_id=obj.pk,
        object_label=str(obj)[:200],
        conversation_id=conversation_id_of(obj),
        outcome=outcome,
        details=details or {},
    )


_together: ContextVar[list[ActivityLog] | None] = ContextVar("together", default=None)


def record(action: str, actor: Actor, obj: models.Model, **kwargs: Any) -> ActivityLog:
    """Append one entry; takes what ``entry`` takes."""
    line = entry(action, actor, obj, **kwargs)
    lines = _together.get()
    if lines is None:
        line.save()
    else:
        lines.append(line)
    return line


@contextlib.contextmanager
def written_together() -> Iterator[None]:
    """Entries that are recorded within are written at its end, with one statement.  To be used
    within the transaction of the changes that they tell of."""
    lines: list[ActivityLog] = []
    token = _together.set(lines)
    try:
        yield
    finally:
        _together.reset(token)
    ActivityLog.objects.bulk_create(lines)


def record_visit(action: str, actor: Actor, obj: models.Model) -> ActivityLog | None:
    """Append an entry for a view or download, once per actor, object and ``SAME_VISIT``."""
    recent = ActivityLog.objects.filter(
        object_type=obj._meta.model_name or "",
        object_id=obj.pk,
        action=action,
        actor=actor.user,
        ip_address=actor.ip_address,
        created_at__gt=timezone.now() - SAME_VISIT,
    )
    return None if recent.exists() else record(action, actor, obj)


def conversation_id_of(obj: models.Model) -> int | None:
    """The conversation an object belongs to, or is."""
    if isinstance(obj, Conversation):
        return obj.pk
    conversation_id: int | None = getattr(obj, "conversation_id", None)
    return conversation_id
