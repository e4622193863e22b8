"""What moderators do with videos: quarantine, restore, remove, dismiss reports, hold; and undo.

Each decision is one row of ``Decision`` and one entry of the activity log, in the transaction
that changes the attachment.  It is made on a version of the attachment: of two people who decide
at once the second learns what the first decided, and changes nothing.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from django.conf import settings
from django.db import transaction
from django.db.models import F
from django.utils import timezone

from chat.models import ActivityLog, Attachment, HeldContent
from chat.moderated import Reason, Visibility, lock_contents
from chat.services import activity, reports
from chat.services.activity import Actor
from moderation.models import Decision, Job

Action = Decision.Action

AT_ONCE = 200  # attachments decided on in one transaction
MAX_COPIES = 100  # offered with a decision

AGAINST = (Action.QUARANTINE, Action.REMOVE)
LOGGED_AS = {
    Action.QUARANTINE: ActivityLog.Action.ATTACHMENT_QUARANTINED,
    Action.RESTORE: ActivityLog.Action.ATTACHMENT_RESTORED,
    Action.REMOVE: ActivityLog.Action.ATTACHMENT_REMOVED,
    Action.DISMISS: ActivityLog.Action.REPORTS_DISMISSED,
    Action.HOLD: ActivityLog.Action.HOLD_SET,
    Action.RELEASE: ActivityLog.Action.HOLD_RELEASED,
}
SETTLING = (Action.QUARANTINE, Action.RESTORE, Action.REMOVE, Action.DISMISS)
# Fields of an attachment that decisions change, and that undoing brings back.
CHANGED = ("visibility", "decision_reason", "decision_note", "on_hold", "removed_at")


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is decided, and why.

    ``reason`` (a ``Reason``) goes with quarantine and removal alone.  ``hold_same_bytes``: what
    has the same SHA-256 and is sent later is quarantined at once; restoring lifts that.

    Raises:
        ValueError: a quarantine or a removal without a reason.
    """

    action: str
    reason: str = ""
    internal_note: str = ""
    uploader_note: str = ""
    hold_same_bytes: bool = True

    def __post_init__(self) -> None:
        if self.action not in LOGGED_AS:
            raise ValueError(f"action={self.action!r} is not one of {', '.join(LOGGED_AS)}.")
        if self.action in AGAINST and self.reason not in Reason.values:
            raise ValueError(f"reason={self.reason!r} is not one of {', '.join(Reason.values)}.")
        if self.action not in AGAINST:
            object.__setattr__(self, "reason", "")

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(slots=True)
class Outcome:
    """What became of a decision on several attachments.

    ``overtaken`` holds the newest decision on each that somebody else decided on meanwhile (None
    where it is not known); ``unchanged`` the ids of those that are so already, ``gone`` of those
    that do not exist.
    """

    batch: UUID
    decided: list[Decision] = field(default_factory=list)
    overtaken: dict[int, Decision | None] = field(default_factory=dict)
    unchanged: list[int] = field(default_factory=list)
    gone: list[int] = field(default_factory=list)

    def add(self, other: "Outcome") -> None:
        self.decided += other.decided
        self.overtaken |= other.overtaken
        self.unchanged += other.unchanged
        self.gone += other.gone


class DecidedMeanwhile(Exception):
    """Somebody else decided on the attachment first; nothing was written."""

    def __init__(self, latest: Decision | None) -> None:
        self.latest = latest
        super().__init__(str(latest or "changed meanwhile"))


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
    that ``undo(outcome.batch, actor)`` takes all of it back.

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
    rows = _locked(versions)
    outcome.gone = [pk for pk in versions if pk not in rows]
    outdated = [pk for pk, row in rows.items() if versions[pk] not in (None, row.decision_version)]
    outcome.overtaken = _newest(outdated)
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
    held = _held_before(verdict, chosen)
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
            before=_state_of(row, held.get(row.sha256)),
            object_label=str(row)[:200],
            sha256=row.sha256,
            size=row.size,
        )
        for row in chosen
    )
    visibility_before = {row.pk: row.visibility for row in chosen}
    _change(chosen, _changes(verdict, moment))
    _hold_contents(verdict, {row.sha256 for row in chosen} - {""})
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
    rows = _locked(ids)
    decisions = {
        each.attachment_id: each
        for each in Decision.objects.filter(batch=batch, attachment__in=ids)
    }
    total.gone += [pk for pk in ids if pk not in rows]
    total.overtaken |= _newest(
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
        _change([row], {name: decision.before[name] for name in CHANGED})
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
    _give_contents_back([decision for _row, decision in undone])


def copies_of(attachment: Attachment) -> list[Attachment]:
    """Others with the same bytes, newest first, at most ``MAX_COPIES``."""
    if not attachment.sha256:
        return []
    same = Attachment.objects.filter(sha256=attachment.sha256).exclude(pk=attachment.pk)
    return list(same.select_related("conversation", "uploaded_by").order_by("-pk")[:MAX_COPIES])


def _locked(ids: Iterable[int]) -> dict[int, Attachment]:
    """The rows by id, in ascending order, for the caller's transaction; and their bytes."""
    rows = Attachment.objects.filter(pk__in=list(ids)).order_by("pk")
    found = {row.pk: row for row in rows.select_for_update(no_key=True)}
    lock_contents([row.sha256 for row in found.values() if row.sha256])
    return found


def _newest(ids: Iterable[int]) -> dict[int, Decision | None]:
    """{attachment id: its newest decision}."""
    found: dict[int, Decision | None] = dict.fromkeys(ids)
    for decision in Decision.objects.filter(attachment__in=list(found)).order_by("version"):
        found[decision.attachment_id] = decision
    return found


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


def _change(rows: Sequence[Attachment], changes: Mapping[str, Any]) -> None:
    """Of locked rows, which have the version that was looked at still."""
    versions = {row.decision_version for row in rows}
    stands = Attachment.objects.filter(
        pk__in=[row.pk for row in rows], decision_version__in=versions
    )
    changed = stands.update(**changes, decision_version=F("decision_version") + 1)
    if changed != len(rows):
        raise RuntimeError(f"{len(rows)} attachments were locked, {changed} changed.")


def _state_of(row: Attachment, held_reason: str | None) -> dict[str, Any]:
    """What ``before`` keeps; ``held_reason`` of the bytes, None when they are not touched."""
    removed_at = row.removed_at and row.removed_at.isoformat()
    return {
        **{name: getattr(row, name) for name in CHANGED},
        "removed_at": removed_at,
        "held_reason": held_reason,
    }


def _held_before(verdict: Verdict, rows: Sequence[Attachment]) -> dict[str, str]:
    """{sha256: why it is held; empty: it is not} of what the verdict is about to change."""
    if not _touches_contents(verdict):
        return {}
    hashes = {row.sha256 for row in rows} - {""}
    held = HeldContent.objects.filter(sha256__in=hashes).values_list("sha256", "reason")
    return dict.fromkeys(hashes, "") | dict(held)


def _touches_contents(verdict: Verdict) -> bool:
    against = verdict.action in AGAINST and verdict.hold_same_bytes
    return against or verdict.action == Action.RESTORE


def _hold_contents(verdict: Verdict, hashes: Collection[str]) -> None:
    if not _touches_contents(verdict):
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


def _give_contents_back(decisions: Sequence[Decision]) -> None:
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


def _details(verdict: Verdict, batch: UUID, visibility: str, settled: int) -> dict[str, Any]:
    details: dict[str, Any] = {"batch": str(batch)}
    if verdict.action in (Action.QUARANTINE, Action.RESTORE, Action.REMOVE):
        details["from"] = visibility
    if verdict.reason:
        details["reason"] = verdict.reason
    if settled:
        details["reports_settled"] = settled
    return details


def undo_until(decision: Decision) -> datetime:
    return decision.created_at + timedelta(minutes=settings.DECISION_UNDO_MINUTES)
