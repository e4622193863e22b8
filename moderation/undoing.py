"""Taking decisions back for a while: everything is as it was before, the reports open again."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID, uuid4

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from chat.models import ActivityLog
from chat.moderated import Visibility
from chat.services import activity, reports
from chat.services.activity import Actor
from moderation.decided_rows import AT_ONCE, CHANGED, change, locked, newest_decisions
from moderation.holding import give_contents_back
from moderation.models import Decision
from moderation.verdict import Action, Outcome


def undo(batch: UUID, actor: Actor) -> Outcome:
    """Take back what was decided together less than DECISION_UNDO_MINUTES ago: everything is as
    it was before, the reports open again.

    What was decided on since is left as it is, and is in ``overtaken``; what is too old or undone
    already is in ``unchanged``.
    """
    total = Outcome(uuid4())
    ids = list(
        Decision.objects.filter(batch=batch)
        .order_by("attachment_id")
        .values_list("attachment_id", flat=True)
    )
    for start in range(0, len(ids), AT_ONCE):
        with transaction.atomic(), activity.written_together():
            _undo(batch, ids[start : start + AT_ONCE], actor, total)
    return total


def _undo(batch: UUID, ids: Sequence[int], actor: Actor, total: Outcome) -> None:
    rows = locked(ids)
    decisions = {
        each.attachment_id: each
        for each in Decision.objects.filter(batch=batch, attachment__in=ids)
    }
    total.gone += [pk for pk in ids if pk not in rows]
    total.overtaken |= newest_decisions(
        pk
        for pk, row in rows.items()
        if row.decision_version != decisions[pk].version and decisions[pk].undone_at is None
    )
    now = timezone.now()
    undone = []
    for pk, row in rows.items():
        decision = decisions[pk]
        if pk in total.overtaken:
            continue
        erased = row.erased_at is not None and decision.before["visibility"] != Visibility.REMOVED
        if not decision.may_be_undone(now) or erased:
            total.unchanged.append(pk)
            continue
        undone.append((row, decision))
    for row, decision in undone:
        change([row], {name: decision.before[name] for name in CHANGED})
        activity.record(
            ActivityLog.Action.DECISION_UNDONE,
            actor,
            row,
            details={"decision": decision.action, "of": decision.decided_by_name},
        )
    which = [decision.pk for _row, decision in undone]
    Decision.objects.filter(pk__in=which).update(undone_at=now)
    total.decided += Decision.objects.bulk_create(
        Decision(
            attachment=row,
            version=decision.version + 1,
            batch=total.batch,
            action=Action.UNDO,
            decided_by=actor.user,
            decided_by_name=actor.name,
            created_at=now,
            undoes=decision,
            object_label=decision.object_label,
            sha256=row.sha256,
            size=row.size,
        )
        for row, decision in undone
    )
    reports.reopen(which)
    give_contents_back([decision for _row, decision in undone])


def undo_until(decision: Decision) -> datetime:
    return decision.created_at + timedelta(minutes=settings.DECISION_UNDO_MINUTES)
