"""What moderators decided: one row a video and decision, kept when the video is gone."""

from datetime import timedelta
from typing import Any
from uuid import uuid4

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone

from chat.models import Attachment
from chat.moderated import Reason


class Decision(models.Model):
    """One decision on one attachment.  Those taken together share a ``batch``.

    It is never changed but for ``undone_at``; undoing is a decision of its own, which ``undoes``
    the other.
    """

    class Action(models.TextChoices):
        QUARANTINE = "quarantine", "quarantined"
        RESTORE = "restore", "restored"
        REMOVE = "remove", "removed"
        DISMISS = "dismiss", "dismissed the reports"
        HOLD = "hold", "put under hold"
        RELEASE = "release", "released from hold"
        UNDO = "undo", "undone"

    # No database constraint: a decision stays known when the attachment is deleted.
    attachment = models.ForeignKey(
        Attachment, models.DO_NOTHING, db_constraint=False, related_name="decisions"
    )
    version = models.PositiveIntegerField(help_text="of the attachment, that this led to")
    batch = models.UUIDField(default=uuid4, db_index=True)
    action = models.CharField(max_length=12, choices=Action)
    reason = models.CharField(max_length=20, blank=True, choices=Reason)
    internal_note = models.TextField(blank=True)
    uploader_note = models.TextField(blank=True)
    decided_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+"
    )
    decided_by_name = models.CharField(max_length=150, help_text="as it was at the time")
    job = models.ForeignKey(
        "moderation.Job", null=True, on_delete=models.SET_NULL, related_name="decisions"
    )
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    before = models.JSONField(default=dict, help_text="what undoing brings back")
    undoes = models.OneToOneField(
        "self", null=True, on_delete=models.SET_NULL, related_name="undone_by"
    )
    undone_at = models.DateTimeField(null=True)
    # Of the attachment, for when it is gone.
    object_label = models.CharField(max_length=200)
    sha256 = models.CharField(max_length=64, blank=True, help_text="hex")
    size = models.PositiveBigIntegerField(help_text="bytes")

    class Meta:
        ordering = ["-id"]
        indexes = [
            models.Index(fields=["sha256", "-id"], name="decision_on_bytes"),
            models.Index(fields=["decided_by", "-id"], name="decision_of_person"),
        ]
        constraints = [
            models.UniqueConstraint(
                fields=["attachment", "version"], name="decision_once_per_version"
            ),
            models.CheckConstraint(
                condition=~Q(action__in=["quarantine", "remove"]) | ~Q(reason=""),
                name="decision_against_has_reason",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.object_label} {self.get_action_display()} by {self.decided_by_name}"

    def may_be_undone(self, now: Any = None) -> bool:
        """Whether it is recent enough and still stands; whether something was decided since is
        for ``undoing.undo`` to find."""
        until = self.created_at + timedelta(minutes=settings.DECISION_UNDO_MINUTES)
        return (
            self.undone_at is None
            and self.action != self.Action.UNDO
            and self.job_id is None
            and (now or timezone.now()) < until
        )
