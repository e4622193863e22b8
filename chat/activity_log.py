"""The activity log: who did what.  Written by ``chat.services.activity``, and by nothing else."""

from typing import TYPE_CHECKING, Any, NoReturn

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone

if TYPE_CHECKING:
    from chat.models import Conversation

# What many entries have in common: index → field, and whether others have none.
SHARED = {
    "type": ("object_type", False),
    "name": ("actor_name", False),
    "actor": ("actor", True),
    "job": ("job_id", True),
    "conversation": ("conversation", True),
    "address": ("ip_address", True),
}


class ActivityLogQuerySet(models.QuerySet["ActivityLog"]):
    """Refuses early what the database refuses as well (see ``chat.append_only``)."""

    def update(self, **_kwargs: Any) -> NoReturn:
        raise TypeError("The activity log is append-only: entries are never changed.")

    def delete(self) -> NoReturn:
        raise TypeError("The activity log is append-only: entries are never deleted.")


class ActivityLog(models.Model):
    """Who did what, on which object, from where, with what outcome; append-only.

    The references carry no database constraint and survive what they point to: an entry is
    never changed, not even when an account or a conversation is deleted.
    """

    class Action(models.TextChoices):
        SIGNED_IN = "signed_in", "signed in"
        SIGN_IN_FAILED = "sign_in_failed", "failed to sign in"
        SIGNED_OUT = "signed_out", "signed out"
        CONVERSATION_CREATED = "conversation_created", "created conversation"
        CONVERSATION_CHANGED = "conversation_changed", "changed conversation"
        CONVERSATION_DELETED = "conversation_deleted", "deleted conversation"
        PARTICIPANT_ADDED = "participant_added", "added participant"
        PARTICIPANT_CHANGED = "participant_changed", "changed a role in"
        PARTICIPANT_REMOVED = "participant_removed", "removed participant"
        MESSAGE_SENT = "message_sent", "sent message"
        MESSAGE_EDITED = "message_edited", "edited message"
        MESSAGE_DELETED = "message_deleted", "deleted message"
        ATTACHMENT_UPLOADED = "attachment_uploaded", "uploaded"
        ATTACHMENT_REFUSED = "attachment_refused", "was refused an upload"
        ATTACHMENT_IMPORTED = "attachment_imported", "imported"
        ATTACHMENT_VIEWED = "attachment_viewed", "viewed"
        ATTACHMENT_DOWNLOADED = "attachment_downloaded", "downloaded"
        ATTACHMENT_DELETED = "attachment_deleted", "deleted"
        ATTACHMENT_REPORTED = "attachment_reported", "reported"
        ATTACHMENT_QUARANTINED = "attachment_quarantined", "quarantined"
        ATTACHMENT_RESTORED = "attachment_restored", "restored"
        ATTACHMENT_REMOVED = "attachment_removed", "removed"
        ATTACHMENT_ERASED = "attachment_erased", "erased the bytes of"
        REPORTS_DISMISSED = "reports_dismissed", "dismissed the reports on"
        HOLD_SET = "hold_set", "put under hold"
        HOLD_RELEASED = "hold_released", "released from hold"
        DECISION_UNDONE = "decision_undone", "undid a decision on"
        ATTACHMENT_PROCESSED = "attachment_processed", "processed"
        POSTER_CHOSEN = "poster_chosen", "chose the poster of"
        RENDITIONS_MADE = "renditions_made", "made renditions of"
        ATTACHMENT_FINGERPRINTED = "attachment_fingerprinted", "fingerprinted"
        ATTACHMENT_VERIFIED = "attachment_verified", "verified"
        USER_CREATED = "user_created", "created account"
        USER_CHANGED = "user_changed", "changed account"
        USER_DELETED = "user_deleted", "deleted account"
        GROUP_CREATED = "group_created", "created group"
        GROUP_CHANGED = "group_changed", "changed group"
        GROUP_DELETED = "group_deleted", "deleted group"
        ROLES_CHANGED = "roles_changed", "changed the roles of"
        ACCOUNT_ACTIVATED = "account_activated", "let in again"
        ACCOUNT_DEACTIVATED = "account_deactivated", "deactivated"
        SECOND_FACTOR_SET = "second_factor_set", "set up a second factor for"
        SECOND_FACTOR_FAILED = "second_factor_failed", "gave a wrong code for"
        SECOND_FACTOR_REMOVED = "second_factor_removed", "switched off the second factor of"
        QUOTA_CHANGED = "quota_changed", "changed the quota of"
        RECOVERY_CODES_MADE = "recovery_codes_made", "made new recovery codes for"
        VIDEOS_EXPORTED = "videos_exported", "exported a list of videos"
        ACTIVITY_EXPORTED = "activity_exported", "exported the activity log"
        JOB_STARTED = "job_started", "started job"
        JOB_PAUSED = "job_paused", "paused job"
        JOB_RESUMED = "job_resumed", "resumed job"
        JOB_CHANGED = "job_changed", "changed the pace of job"
        FAILURES_HANDLED = "failures_handled", "marked failures handled of job"
        JOB_CANCELLED = "job_cancelled", "cancelled job"
        JOB_FINISHED = "job_finished", "finished job"

    class Outcome(models.TextChoices):
        OK = "ok", "done"
        REFUSED = "refused", "refused"
        FAILED = "failed", "failed"

    created_at = models.DateTimeField(default=timezone.now, editable=False)
    action = models.CharField(max_length=40, help_text="an Action")
    outcome = models.CharField(max_length=10, choices=Outcome, default=Outcome.OK)
    actor = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        null=True,
        on_delete=models.DO_NOTHING,
        db_constraint=False,
        related_name="+",
    )
    actor_name = models.CharField(max_length=150, help_text="as it was at the time")
    job_id = models.BigIntegerField(null=True, blank=True)
    ip_address = models.GenericIPAddressField(null=True, blank=True)
    object_type = models.CharField(max_length=30)
    object_id = models.BigIntegerField(null=True, blank=True)
    object_label = models.CharField(max_length=200, blank=True)
    conversation: "models.ForeignKey[Conversation | None, Conversation | None]" = (
        models.ForeignKey(
            "chat.Conversation",
            null=True,
            on_delete=models.DO_NOTHING,
            db_constraint=False,
            related_name="+",
        )
    )
    details = models.JSONField(default=dict, blank=True)

    objects = ActivityLogQuerySet.as_manager()

    class Meta:
        ordering = ["-id"]
        indexes = [
            # One for each filter of the activity page, in the order in which it pages.  Those that
            # many entries have in common carry what these are most often narrowed by further.
            models.Index(fields=["object_id", "object_type", "-id"], name="activity_of_object"),
            models.Index(fields=["action", "-id", "outcome"], name="activity_of_action"),
            models.Index(fields=["outcome", "-id", "action"], name="activity_of_outcome"),
            models.Index(fields=["created_at"], name="activity_by_time"),
            *(
                models.Index(
                    fields=[field, "-id", "action", "outcome"],
                    name=f"activity_of_{name}",
                    condition=Q(**{f"{field}__isnull": False}) if may_lack else None,
                )
                for name, (field, may_lack) in SHARED.items()
            ),
        ]

    def __str__(self) -> str:
        return f"{self.actor_name} {self.action_label} {self.object_label}"

    def save(self, *args: Any, **kwargs: Any) -> None:
        if not self._state.adding:
            raise TypeError("The activity log is append-only: entries are never changed.")
        super().save(*args, **kwargs)

    def delete(self, *args: Any, **kwargs: Any) -> NoReturn:
        raise TypeError("The activity log is append-only: entries are never deleted.")

    @property
    def action_label(self) -> str:
        return str(self.Action(self.action).label)


class UnsealedEntry(models.Model):
    """An entry that waits for its seal; put here by a trigger, whoever wrote the entry."""

    # An AutoField for its compact column; the number is always given.
    entry_id = models.BigAutoField(primary_key=True)

    class Meta:
        ordering = ["entry_id"]

    def __str__(self) -> str:
        return f"entry {self.entry_id}"


class ActivitySeal(models.Model):
    """A link of the chain over the log; see ``chat.services.activity_chain``.

    Numbers rise by one in the order of sealing: nearly, but not always, the order of entries' ids.
    """

    number = models.BigAutoField(primary_key=True)
    entry_id = models.BigIntegerField(unique=True)
    previous_hash = models.BinaryField(max_length=32)
    hash = models.BinaryField(max_length=32)

    class Meta:
        ordering = ["number"]

    def __str__(self) -> str:
        return f"seal {self.number} of entry {self.entry_id}"
