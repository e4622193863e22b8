"""What people do with jobs: start, pause, resume, change, cancel, retry.  Each writes one entry to
the activity log, in the transaction of the change; workers read the job's row at every
checkpoint, so all of it takes effect within a second or so, and outlives restarts."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import time
from typing import Any

from django.db import transaction
from django.db.models import Case, Value, When
from django.utils import timezone

from chat.models import ActivityLog
from chat.services import activity, fingerprinting
from chat.services.activity import Actor
from moderation.endings import end_tries
from moderation.models import Failure, FailureQuerySet, Job
from moderation.scopes import Scope
from moderation.verdict import Verdict

Action = ActivityLog.Action
Status = Job.Status


@dataclass(frozen=True, slots=True)
class Pace:
    """How a job is to be worked on; None means no limit.

    ``workers`` at once, ``items_per_second`` by all of them together, and only between
    ``hours_from`` and ``hours_until`` (which may lie past midnight), of the time zone of the
    settings.
    """

    workers: int | None = None
    items_per_second: float | None = None
    hours_from: time | None = None
    hours_until: time | None = None

    def __post_init__(self) -> None:
        if self.workers is not None and not 1 <= self.workers <= 1000:
            raise ValueError(f"workers={self.workers} is out of range: 1 to 1000.")
        rate = self.items_per_second
        if rate is not None and not 0.001 <= rate <= 1_000_000:
            raise ValueError(f"items_per_second={rate} is out of range: 0.001 to 1,000,000.")
        if (self.hours_from is None) != (self.hours_until is None):
            raise ValueError("Say both when the hours begin and when they end.")
        if self.hours_from is not None and self.hours_from == self.hours_until:
            raise ValueError("The hours end when they begin: leave both out for the whole day.")

    @classmethod
    def of(cls, job: Job) -> "Pace":
        return cls(**{name: getattr(job, name) for name in cls.__slots__})

    def words(self) -> str:
        """``2 workers, at most 5 a second, from 22:00 to 06:00``; empty without a limit."""
        parts = []
        if self.workers is not None:
            parts.append("1 worker" if self.workers == 1 else f"{self.workers} workers")
        if self.items_per_second is not None:
            parts.append(f"at most {self.items_per_second:g} a second")
        if self.hours_from is not None and self.hours_until is not None:
            parts.append(f"from {self.hours_from:%H:%M} to {self.hours_until:%H:%M}")
        return ", ".join(parts)


def refusal(kind: str) -> str:
    """Why this machine cannot do jobs of the kind, as a sentence; empty when it can."""
    return fingerprinting.missing_because() if kind == Job.Kind.FINGERPRINTS else ""


def create_job(
    kind: str,
    scope: Scope,
    actor: Actor,
    started_from: str,
    *,
    pace: Pace = Pace(),
    counted: int | None = None,
    retry_of: Job | None = None,
    params: Mapping[str, Any] | None = None,
) -> Job:
    """A job to be planned; wakes nobody (see ``moderation.tasks.wake``).

    ``counted`` is what a dry run of the same scope counted.
    """
    with transaction.atomic():
        job = Job.objects.create(
            kind=kind,
            scope=scope.to_json(),
            params=params or {},
            scope_words=scope.words(kind),
            created_by_id=actor.user.pk if actor.user else None,
            started_from=started_from,
            counted=counted,
            retry_of=retry_of,
            **asdict(pace),
        )
        details: dict[str, Any] = {"scope": job.scope_words}
        if pace.words():
            details["pace"] = pace.words()
        details |= {name: value for name, value in (params or {}).items() if value}
        if retry_of:
            details["retry_of"] = retry_of.pk
        activity.record(Action.JOB_STARTED, actor, job, details=details)
    return job


def create_decisions_job(
    scope: Scope, verdict: Verdict, actor: Actor, *, counted: int | None = None
) -> Job:
    """A job that decides the same on each video of the scope; wakes nobody, as ``create_job``.

    ``scope`` is as of any job: ``Scope(only="all", filters=…, until=…)``, where ``until`` freezes
    what was counted.  What somebody decides on after the start is left as it is and skipped, and
    so is what stands like that already.  A whole job is not undone: a job with the opposite
    verdict does that.
    """
    return create_job(
        Job.Kind.DECISIONS, scope, actor, "dashboard", counted=counted, params=verdict.to_json()
    )


def pause(job: Job, actor: Actor) -> bool:
    """Have the workers put the job down within seconds.  False when it was not running."""
    return _steer(job, actor, Job.IN_WORK, Status.PAUSED, Action.JOB_PAUSED)


def resume(job: Job, actor: Actor) -> bool:
    """Go on with a paused job; follow with ``moderation.tasks.wake``.  False when it was not
    paused."""
    # As the row says, not as the caller read it before.
    after = Case(When(planned_at=None, then=Value(Status.PLANNING)), default=Value(Status.RUNNING))
    return _steer(job, actor, (Status.PAUSED,), after, Action.JOB_RESUMED, error="")


def cancel(job: Job, actor: Actor) -> bool:
    """Stop the job for good, within seconds; what is done stays.  False when it was over."""
    with transaction.atomic():
        changed = _steer(
            job,
            actor,
            Job.UNFINISHED,
            Status.CANCELLED,
            Action.JOB_CANCELLED,
            finished_at=timezone.now(),
        )
        if changed:
            end_tries(job)
    return changed


def change(job: Job, actor: Actor, pace: Pace) -> bool:
    """Work on the job at another pace from now on.  False when it was over, or is so already."""
    with transaction.atomic():
        now = Job.objects.locked().get(pk=job.pk)
        before = Pace.of(now)
        if now.is_finished or before == pace:
            return False
        changes: dict[str, Any] = asdict(pace)
        if before.items_per_second != pace.items_per_second:
            changes["next_item_at"] = timezone.now()  # nobody waits for the old rate's turn
        Job.objects.filter(pk=job.pk).update(**changes)
        details = {"from": before.words() or "no limit", "to": pace.words() or "no limit"}
        activity.record(Action.JOB_CHANGED, actor, job, details=details)
    job.refresh_from_db()
    return True


def retry(job: Job, actor: Actor, started_from: str, code: str = "") -> Job | None:
    """A new job over what failed for good in this one (with this code), which counts as handled
    then; None when there is nothing.  What this one counted stays as it was."""
    with transaction.atomic():
        failures = Failure.objects.filter(job=job).unhandled().select_for_update()
        if code:
            failures = failures.filter(code=code)
        found = list(failures.order_by("attachment_id").values_list("pk", "attachment_id"))
        if not found:
            return None
        scope = Scope(only="all", ids=tuple(attachment for _, attachment in found))
        again = create_job(job.kind, scope, actor, started_from, retry_of=job, params=job.params)
        for start in range(0, len(found), 1000):
            part = [pk for pk, _ in found[start : start + 1000]]
            _set_handled(Failure.objects.filter(pk__in=part), actor)
    return again


def mark_handled(job: Job, actor: Actor, failures: FailureQuerySet) -> int:
    """Note that someone has seen to these failures of the job; how many."""
    with transaction.atomic():
        count = _set_handled(failures.filter(job=job).unhandled(), actor)
        if count:
            activity.record(Action.FAILURES_HANDLED, actor, job, details={"count": count})
    return count


def _set_handled(failures: FailureQuerySet, actor: Actor) -> int:
    return failures.update(handled_at=timezone.now(), handled_by=actor.user)


def _steer(
    job: Job, actor: Actor, before: Sequence[str], after: str | Case, action: str, **changes: Any
) -> bool:
    """Move the job to ``after`` if it has one of ``before``; whether this call did."""
    with transaction.atomic():
        jobs = Job.objects.filter(pk=job.pk, status__in=before)
        changed = bool(jobs.update(status=after, **changes))
        if changed:
            activity.record(action, actor, job)
    job.refresh_from_db()
    return changed
