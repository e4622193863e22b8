"""What moderators do with videos: quarantine, restore, remove, dismiss reports, hold.

Each decision is one row of ``Decision`` and one entry of the activity log, in the transaction
that changes the attachment.  It is made on a version of the attachment: of two people who decide
at once the second learns what the first decided, and changes nothing.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

from django.db import transaction
from django.utils import timezone

from chat.models import Attachment
from chat.moderated import Visibility
from chat.services import activity, reports
from chat.services.activity import Actor
from moderation.decided_rows import AT_ONCE, change, locked, newest_decisions, state_of
from moderation.holding import held_before, hold_contents
from moderation.models import Decision, Job
from moderation.verdict import (
    AGAINST,
    LOGGED_AS,
    SETTLING,
    Action,
    DecidedMeanwhile,
    Outcome,
    Verdict,
)

MAX_COPIES = 100  # offered with a decision


def decide(
    attachment_id: int,
    version: int,
    verdict: Verdict,
    actor: Actor,
    *,
    copies: Mapping[int, int] | None = None,
    newer_copies_than: int | None = None,
) -> Outcome:
    """Decide on one attachment as it was in ``version``, and along with it on copies of the same
    bytes ({id: version}); copies that were decided on meanwhile are left, and told.

    ``newer_copies_than`` is the highest id when the copies were offered: those that came after
    are decided on as well.

    Raises:
        DecidedMeanwhile: the attachment has another version; nothing is written.
        Attachment.DoesNotExist
    """
    wanted: dict[int, int | None] = {**(copies or {}), attachment_id: version}
    with transaction.atomic(), activity.written_together():
        sha256 = Attachment.objects.values_list("sha256", flat=True).get(pk=attachment_id)
        outcome = _decide(wanted, verdict, actor, uuid4())
        if attachment_id in outcome.overtaken:
            raise DecidedMeanwhile(outcome.overtaken[attachment_id])
        if newer_copies_than is not None and sha256:
            # Uploads of these bytes wait for this transaction, and find them held.
            newer = Attachment.objects.filter(sha256=sha256, pk__gt=newer_copies_than)
            ids = newer.exclude(pk__in=wanted).values_list("pk", flat=True)[:AT_ONCE]
            outcome.add(_decide(dict.fromkeys(ids), verdict, actor, outcome.batch))
    return outcome


def decide_many(
    attachments: Mapping[int, int | None] | Iterable[int],
    verdict: Verdict,
    actor: Actor,
) -> Outcome:
    """Decide on many attachments, in transactions of ``AT_ONCE`` each; all share one batch, so
    that ``undoing.undo(outcome.batch, actor)`` takes all of it back.

    Args:
        attachments: {id: the version it was decided on}; an id without a version (None, or a
            plain list of ids) means whatever its version is.

    For up to some hundreds, in a request: see ``moderation.deciding`` for more.  What was
    decided before an error or a crash stays decided; doing it again does the rest.
    """
    versions = (
        dict(attachments) if isinstance(attachments, Mapping) else dict.fromkeys(attachments)
    )
    total = Outcome(uuid4())
    ids = sorted(versions)
    for start in range(0, len(ids), AT_ONCE):
        part = {pk: versions[pk] for pk in ids[start : start + AT_ONCE]}
        with transaction.atomic(), activity.written_together():
            outcome = _decide(part, verdict, actor, total.batch)
        total.add(outcome)
    return total


def decide_for_job(
    attachment_ids: Iterable[int], verdict: Verdict, job: Job, actor: Actor
) -> Outcome:
    """Within the transaction of the job's engine.  What was decided since the job was started is
    ``overtaken``: who started it could not know of it."""
    ids = list(attachment_ids)
    since = Decision.objects.filter(attachment__in=ids, created_at__gt=job.created_at)
    newer = {each.attachment_id: each for each in since.exclude(job=job).order_by("version")}
    wanted: dict[int, int | None] = dict.fromkeys(pk for pk in ids if pk not in newer)
    outcome = _decide(wanted, verdict, actor, uuid4(), job)
    outcome.overtaken |= newer
    return outcome


def _decide(
    versions: Mapping[int, int | None],
    verdict: Verdict,
    actor: Actor,
    batch: UUID,
    job: Job | None = None,
) -> Outcome:
    """In the caller's transaction."""
    outcome = Outcome(batch)
    rows = locked(versions)
    outcome.gone = [pk for pk in versions if pk not in rows]
    outdated = [pk for pk, row in rows.items() if versions[pk] not in (None, row.decision_version)]
    outcome.overtaken = newest_decisions(outdated)
    reported = reports.with_open_reports(rows) if verdict.action == Action.DISMISS else set()
    chosen = []
    for pk, row in rows.items():
        if pk in outcome.overtaken:
            continue
        if changes_something(verdict.action, row, is_reported=pk in reported):
            chosen.append(row)
        else:
            outcome.unchanged.append(pk)
    if not chosen:
        return outcome
    moment = timezone.now()
    held = held_before(verdict, chosen)
    person = job.created_by if job is not None else actor.user
    outcome.decided = Decision.objects.bulk_create(
        Decision(
            attachment=row,
            version=row.decision_version + 1,
            batch=batch,
            action=verdict.action,
            reason=verdict.reason,
            internal_note=verdict.internal_note,
            uploader_note=verdict.uploader_note,
            decided_by=person,
            decided_by_name=job.started_by if job is not None else actor.name,
            job=job,
            created_at=moment,
            before=state_of(row, held.get(row.sha256)),
            object_label=str(row)[:200],
            sha256=row.sha256,
            size=row.size,
        )
        for row in chosen
    )
    visibility_before = {row.pk: row.visibility for row in chosen}
    change(chosen, _changes(verdict, moment))
    hold_contents(verdict, {row.sha256 for row in chosen} - {""})
    settled = (
        reports.settle({each.attachment_id: each.pk for each in outcome.decided}, moment)
        if verdict.action in SETTLING
        else {}
    )
    for row in chosen:
        before = visibility_before[row.pk]
        details = _details(verdict, batch, before, settled.get(row.pk, 0))
        activity.record(LOGGED_AS[Action(verdict.action)], actor, row, details=details)
    return outcome


def changes_something(action: str, row: Attachment, *, is_reported: bool) -> bool:
    """Whether the action is open to a row as it stands; nothing brings erased bytes back."""
    erased = row.erased_at is not None
    match action:
        case Action.QUARANTINE:
            return row.visibility != Visibility.QUARANTINED and not erased
        case Action.RESTORE:
            return row.visibility != Visibility.VISIBLE and not erased
        case Action.REMOVE:
            return row.visibility != Visibility.REMOVED
        case Action.HOLD:
            return not row.on_hold and not erased
        case Action.RELEASE:
            return row.on_hold
    return is_reported


def copies_of(attachment: Attachment) -> list[Attachment]:
    """Others with the same bytes, newest first, at most ``MAX_COPIES``."""
    if not attachment.sha256:
        return []
    same = Attachment.objects.filter(sha256=attachment.sha256).exclude(pk=attachment.pk)
    return list(same.select_related("conversation", "uploaded_by").order_by("-pk")[:MAX_COPIES])


def _changes(verdict: Verdict, moment: datetime) -> dict[str, Any]:
    match verdict.action:
        case Action.DISMISS:
            return {}
        case Action.HOLD | Action.RELEASE:
            return {"on_hold": verdict.action == Action.HOLD}
    return {
        "visibility": {
            Action.QUARANTINE: Visibility.QUARANTINED,
            Action.RESTORE: Visibility.VISIBLE,
            Action.REMOVE: Visibility.REMOVED,
        }[Action(verdict.action)],
        "decision_reason": verdict.reason,
        "decision_note": verdict.uploader_note if verdict.action in AGAINST else "",
        "removed_at": moment if verdict.action == Action.REMOVE else None,
    }


def _details(verdict: Verdict, batch: UUID, visibility: str, settled: int) -> dict[str, Any]:
    details: dict[str, Any] = {"batch": str(batch)}
    if verdict.action in (Action.QUARANTINE, Action.RESTORE, Action.REMOVE):
        details["from"] = visibility
    if verdict.reason:
        details["reason"] = verdict.reason
    if settled:
        details["reports_settled"] = settled
    return details
