"""Bytes that are held: what has the same SHA-256 and is sent later is quarantined at once."""

from collections.abc import Collection, Sequence

from chat.models import Attachment, HeldContent
from moderation.models import Decision
from moderation.verdict import Action, Verdict


def held_before(verdict: Verdict, rows: Sequence[Attachment]) -> dict[str, str]:
    """{sha256: why it is held; empty: it is not} of what the verdict is about to change."""
    if not verdict.touches_contents:
        return {}
    hashes = {row.sha256 for row in rows} - {""}
    held = HeldContent.objects.filter(sha256__in=hashes).values_list("sha256", "reason")
    return dict.fromkeys(hashes, "") | dict(held)


def hold_contents(verdict: Verdict, hashes: Collection[str]) -> None:
    if not verdict.touches_contents:
        return
    if verdict.action == Action.RESTORE:
        HeldContent.objects.filter(sha256__in=hashes).delete()
        return
    HeldContent.objects.bulk_create(
        [HeldContent(sha256=sha256, reason=verdict.reason) for sha256 in sorted(hashes)],
        update_conflicts=True,
        unique_fields=["sha256"],
        update_fields=["reason"],
    )


def give_contents_back(decisions: Sequence[Decision]) -> None:
    """Hold the bytes as before these decisions, unless someone decided on a copy since."""
    reasons = {
        each.sha256: each.before["held_reason"]
        for each in decisions
        if each.before["held_reason"] is not None
    }
    if not reasons:
        return
    batch, last = decisions[0].batch, max(each.pk for each in decisions)
    since = Decision.objects.filter(sha256__in=reasons, pk__gt=last, undone_at=None)
    since = since.exclude(batch=batch).exclude(action=Action.UNDO)
    for sha256 in set(since.values_list("sha256", flat=True)):
        del reasons[sha256]
    HeldContent.objects.filter(sha256__in=reasons).delete()
    HeldContent.objects.bulk_create(
        HeldContent(sha256=sha256, reason=reason) for sha256, reason in reasons.items() if reason
    )
