"""What went wrong in jobs: attachments that could not be made ready, and what got in the way."""

from collections.abc import Mapping
from typing import Any

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone

from chat.models import Attachment


class FailureQuerySet(models.QuerySet["Failure"]):
    def by_code(self) -> Any:
        """[{"code", "count", "unhandled"}], most frequent first."""
        final = Q(handled_at=None) & ~Failure.CONDITIONS[Failure.State.WAITING]
        counts = {"count": models.Count("id"), "unhandled": models.Count("id", filter=final)}
        return self.values("code").annotate(**counts).order_by("-count", "code")

    def in_state(self, state: str) -> "FailureQuerySet":
        """Those in this ``Failure.State``."""
        return self.filter(Failure.CONDITIONS[state])

    def unhandled(self) -> "FailureQuerySet":
        return self.filter(handled_at=None).exclude(Failure.CONDITIONS[Failure.State.WAITING])


class Failure(models.Model):
    """An attachment that a job could not make ready, and why.

    Outcomes that may pass are tried again by the same job, with growing pauses; when the last try
    fails as well the failure is ``dead``.  A later success takes the row away.
    """

    class State(models.TextChoices):
        WAITING = "waiting", "waits for its next try"
        FAILED = "failed", "failed"
        DEAD = "dead", "given up"

    CONDITIONS: Mapping[str, Q] = {
        State.WAITING: Q(is_final=False),
        State.FAILED: Q(is_final=True, is_dead=False),
        State.DEAD: Q(is_dead=True),
    }

    job = models.ForeignKey("moderation.Job", models.CASCADE, related_name="failures")
    # No database constraint: what happened stays known when the attachment is deleted.
    attachment = models.ForeignKey(
        Attachment, models.DO_NOTHING, null=True, db_constraint=False, related_name="+"
    )
    code = models.CharField(max_length=30, help_text="a key of chat.errors.OUTCOMES")
    detail = models.TextField(blank=True, help_text="for operators")
    attempts = models.PositiveSmallIntegerField(default=1, help_text="tries so far")
    is_final = models.BooleanField(default=True, help_text="the job does not try again")
    is_dead = models.BooleanField(default=False, help_text="given up after several tries")
    next_try_at = models.DateTimeField(
        null=True, blank=True, help_text="null: final, or in a chunk that is being worked on"
    )
    handled_at = models.DateTimeField(null=True, blank=True)
    handled_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="+",
    )
    created_at = models.DateTimeField(default=timezone.now, help_text="of the last try")

    objects = FailureQuerySet.as_manager()

    class Meta:
        ordering = ["id"]
        constraints = [
            models.UniqueConstraint(
                fields=["job", "attachment"], name="failure_once_per_job_and_attachment"
            ),
            models.CheckConstraint(
                condition=Q(is_final=True, next_try_at=None) | Q(is_final=False, is_dead=False),
                name="failure_final_or_waiting",
            ),
        ]
        indexes = [
            models.Index(fields=["job", "code", "id"], name="failure_by_code"),
            models.Index(
                fields=["job", "next_try_at"],
                name="failure_waiting",
                condition=Q(is_final=False),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.code}: attachment {self.attachment_id}"

    @property
    def name(self) -> str:
        """The attachment's original name, or what there is instead of it."""
        if self.attachment is None:  # loaded with select_related
            return f"attachment {self.attachment_id}, deleted meanwhile"
        return self.attachment.original_name

    @property
    def state(self) -> str:
        if not self.is_final:
            return self.State.WAITING
        return self.State.DEAD if self.is_dead else self.State.FAILED


class Interruption(models.Model):
    """Something that got in a job's way: a worker that died, a full disk."""

    class Cause(models.TextChoices):
        WORKER_LOST = "worker_lost", "a worker died or froze"
        SLICE_FAILED = "slice_failed", "an error ended a slice"
        HALTED = "halted", "the machine could not go on"

    job = models.ForeignKey("moderation.Job", models.CASCADE, related_name="interruptions")
    cause = models.CharField(max_length=20, choices=Cause)
    owner = models.CharField(max_length=80, blank=True, help_text="host:pid of the worker")
    attachment_id = models.BigIntegerField(
        null=True, blank=True, help_text="the first that was in work"
    )
    detail = models.TextField(blank=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        ordering = ["-id"]
        indexes = [models.Index(fields=["job", "-id"], name="interruption_of_job")]

    def __str__(self) -> str:
        return f"{self.get_cause_display()} in job {self.job_id}"
