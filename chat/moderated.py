"""What moderators decided about an attachment, as the chat has to know it; and bytes that are held
whoever sends them.  Written by ``moderation.decisions``, which keeps the history."""

from django.db import connection, models
from django.utils import timezone


class Reason(models.TextChoices):
    """Why something is reported, held back or removed."""

    SEXUAL = "sexual", "sexual content"
    CHILD_SAFETY = "child_safety", "endangers a child"
    VIOLENCE = "violence", "violence or cruelty"
    HATE = "hate", "hate"
    HARASSMENT = "harassment", "harassment or threats"
    SELF_HARM = "self_harm", "self-harm"
    PRIVACY = "privacy", "shows someone's private matters"
    ILLEGAL = "illegal", "otherwise illegal"
    SPAM = "spam", "spam or fraud"
    OTHER = "other", "something else"


class Visibility(models.TextChoices):
    VISIBLE = "visible", "visible"
    QUARANTINED = "quarantined", "quarantined"
    REMOVED = "removed", "removed"


class Moderated(models.Model):
    """The moderators' word on a row: who may see it still, and whether its bytes must be kept.

    ``decision_version`` rises with every decision: who decides says on which version, so that of
    two at once the second finds out.
    """

    visibility = models.CharField(max_length=12, choices=Visibility, default=Visibility.VISIBLE)
    decision_version = models.PositiveIntegerField(default=0)
    decision_reason = models.CharField(
        max_length=20, blank=True, help_text="a Reason, while it is quarantined or removed"
    )
    decision_note = models.TextField(blank=True, help_text="to the uploader, with the reason")
    on_hold = models.BooleanField(default=False, help_text="its bytes must not be deleted")
    removed_at = models.DateTimeField(null=True, blank=True, help_text="null unless removed")
    erased_at = models.DateTimeField(
        null=True, blank=True, help_text="when the deletion of its bytes began: no way back"
    )

    class Meta:
        abstract = True

    @property
    def keeps_its_bytes(self) -> bool:
        """Whether nobody may delete them now: under hold, or removed and not yet erased."""
        removed = self.visibility == Visibility.REMOVED and self.erased_at is None
        return self.on_hold or removed


class HeldContent(models.Model):
    """Bytes that are quarantined as soon as someone sends them (again)."""

    sha256 = models.CharField(max_length=64, unique=True, help_text="hex")
    reason = models.CharField(max_length=20, choices=Reason)
    since = models.DateTimeField(default=timezone.now, editable=False)

    def __str__(self) -> str:
        return f"{self.sha256[:16]}… ({self.reason})"


def lock_contents(hashes: list[str]) -> None:
    """Until the end of the transaction nobody else decides on these bytes or takes them in.

    On SQLite a transaction that writes is alone anyway.
    """
    if connection.vendor != "postgresql" or not hashes:
        return
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_advisory_xact_lock(key) FROM ("
            " SELECT DISTINCT hashtextextended(sha256, 0) AS key FROM unnest(%s::text[]) AS sha256"
            " ORDER BY key) AS keys",
            [sorted(set(hashes))],
        )


def held_reason(sha256: str) -> str:
    """Why these bytes are held; empty when they are not.  Within the transaction that takes them
    in: a decision about them that is being made is waited for."""
    if not sha256:
        return ""
    lock_contents([sha256])
    held = HeldContent.objects.filter(sha256=sha256).values_list("reason", flat=True)
    return held.first() or ""
