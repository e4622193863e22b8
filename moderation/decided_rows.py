"""The attachments that are decided on: locked, changed with their version, brought back."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from django.db.models import F

from chat.models import Attachment
from chat.moderated import lock_contents
from moderation.models import Decision

AT_ONCE = 200  # attachments decided on in one transaction
# Fields of an attachment that decisions change, and that undoing brings back.
CHANGED = ("visibility", "decision_reason", "decision_note", "on_hold", "removed_at")


def locked(ids: Iterable[int]) -> dict[int, Attachment]:
    """The rows by id, in ascending order, for the caller's transaction; and their bytes."""
    rows = Attachment.objects.filter(pk__in=list(ids)).order_by("pk")
    found = {row.pk: row for row in rows.select_for_update(no_key=True)}
    lock_contents([row.sha256 for row in found.values() if row.sha256])
    return found


def newest_decisions(ids: Iterable[int]) -> dict[int, Decision | None]:
    """{attachment id: its newest decision}."""
    found: dict[int, Decision | None] = dict.fromkeys(ids)
    for decision in Decision.objects.filter(attachment__in=list(found)).order_by("version"):
        found[decision.attachment_id] = decision
    return found


def change(rows: Sequence[Attachment], changes: Mapping[str, Any]) -> None:
    """Of locked rows, which have the version that was looked at still."""
    versions = {row.decision_version for row in rows}
    stands = Attachment.objects.filter(
        pk__in=[row.pk for row in rows], decision_version__in=versions
    )
    changed = stands.update(**changes, decision_version=F("decision_version") + 1)
    if changed != len(rows):
        raise RuntimeError(f"{len(rows)} attachments were locked, {changed} changed.")


def state_of(row: Attachment, held_reason: str | None) -> dict[str, Any]:
    """What ``before`` keeps; ``held_reason`` of the bytes, None when they are not touched."""
    removed_at = row.removed_at and row.removed_at.isoformat()
    return {
        **{name: getattr(row, name) for name in CHANGED},
        "removed_at": removed_at,
        "held_reason": held_reason,
    }
