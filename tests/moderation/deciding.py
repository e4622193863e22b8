"""Verdicts to decide with, and what to look at afterwards."""

from typing import Any

from chat.models import ActivityLog, Attachment
from chat.services.activity import Actor
from moderation import decisions
from moderation.decided_rows import CHANGED
from moderation.models import Decision
from moderation.verdict import Verdict

QUARANTINE = Verdict("quarantine", "violence", "seen in full", "Cut the last scene.")
REMOVE = Verdict("remove", "illegal")
RESTORE = Verdict("restore", internal_note="a film scene")
SHA = "ab" * 32


def log() -> list[str]:
    return list(ActivityLog.objects.order_by("id").values_list("action", flat=True))


def decide(attachment: Attachment, verdict: Verdict, actor: Actor, **kwargs: Any) -> Decision:
    """On the attachment as it is now."""
    attachment.refresh_from_db()
    outcome = decisions.decide(
        attachment.pk, attachment.decision_version, verdict, actor, **kwargs
    )
    attachment.refresh_from_db()
    (decision,) = [each for each in outcome.decided if each.attachment_id == attachment.pk]
    return decision


def state(attachment: Attachment) -> dict[str, Any]:
    attachment.refresh_from_db()
    return {name: getattr(attachment, name) for name in CHANGED}
