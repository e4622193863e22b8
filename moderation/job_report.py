"""What there is to say about a job on a command line: facts for programs, sentences for people."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from django.utils import timezone

from chat.models import ActivityLog
from moderation import health
from moderation.arguments import SOME_FAILED, STOPPED, printable
from moderation.models import Failure, Job
from moderation.progress import Progress, progress, skip_reasons
from moderation.steering import Pace
from moderation.words import duration_words

FAILURES_IN_JSON = 10_000
FAILURES_SHOWN = 20
HISTORY_SHOWN = 50

Action = ActivityLog.Action


def exit_status(job: Job, now: Progress) -> int:
    """How it went: 0 all ready or skipped, 1 some failed, 3 it stopped before its end."""
    if job.status != Job.Status.DONE:
        return STOPPED
    return SOME_FAILED if now.failed or now.dead else 0


def failed_by_code(job: Job) -> dict[str, int]:
    return {row["code"]: row["count"] for row in job.failures.by_code()}


def counts(numbers: dict[str, int]) -> str:
    """`` (3 not_a_video, 1 corrupt)``, or nothing."""
    words = ", ".join(f"{count:,} {name}" for name, count in numbers.items())
    return f" ({words})" if words else ""


def started_by(job: Job) -> str:
    """The account, or who used the command line."""
    if job.created_by is None and (entry := last_entry(job, Action.JOB_STARTED)):
        return entry.actor_name
    return job.started_by


def last_entry(job: Job, action: str) -> ActivityLog | None:
    return ActivityLog.objects.filter(
        object_type="job", object_id=job.pk, action=action
    ).first()  # the newest comes first


def facts(job: Job) -> dict[str, Any]:
    """A job in a list, for JSON; seconds are rounded."""
    now = progress(job)
    return {
        "job": job.pk,
        "kind": job.kind,
        "status": job.status,
        "scope": job.scope_words,
        "started_by": started_by(job),
        "total": now.total,
        "ready": now.ready,
        "skipped": now.skipped,
        "failed": now.failed,
        "dead": now.dead,
        "waiting": now.waiting,
        "workers_now": now.workers,
        "rate_per_second": now.rate_per_second and round(now.rate_per_second, 3),
        "eta_seconds": now.eta_seconds and round(now.eta_seconds, 1),
        "error": job.error,
        "created_at": job.created_at.isoformat(),
        "finished_at": job.finished_at and job.finished_at.isoformat(),
    }


def result(job: Job) -> dict[str, Any]:
    """How a run went so far, for JSON."""
    return {
        **facts(job),
        "skipped_by_reason": dict(skip_reasons(job)),
        "failed_by_code": failed_by_code(job),
        "failures": [
            {
                "id": failure.attachment_id,
                "original_name": failure.name,
                "code": failure.code,
                "detail": failure.detail,
                "state": failure.state,
            }
            for failure in failures(job)[:FAILURES_IN_JSON]
        ],
    }


def everything(job: Job) -> dict[str, Any]:
    """All of ``manage.py jobs show``, for JSON."""
    hours = [f"{clock:%H:%M}" for clock in (job.hours_from, job.hours_until) if clock]
    return {
        **result(job),
        "workers": job.workers,
        "items_per_second": job.items_per_second,
        "window": "-".join(hours) or None,
        "retry_of": job.retry_of_id,
        "interruptions": [
            {
                "at": interruption.created_at.isoformat(),
                "cause": interruption.cause,
                "worker": interruption.owner,
                "attachment": interruption.attachment_id,
                "detail": interruption.detail,
            }
            for interruption in job.interruptions.all()[:HISTORY_SHOWN]
        ],
        "history": [
            {
                "at": entry.created_at.isoformat(),
                "who": entry.actor_name,
                "action": entry.action,
                "outcome": entry.outcome,
                "details": entry.details,
            }
            for entry in history(job)
        ],
    }


def failures(job: Job) -> Any:
    return Failure.objects.filter(job=job).select_related("attachment")


def history(job: Job) -> Any:
    """What was done to the job, the newest first."""
    return ActivityLog.objects.filter(object_type="job", object_id=job.pk)[:HISTORY_SHOWN]


def failure_lines(job: Job, now: Progress) -> Iterator[str]:
    """The first of them."""
    for failure in failures(job)[:FAILURES_SHOWN]:
        yield f"  {failure.attachment_id:>8}  {failure.code}: {printable(failure.name)}"
    left = now.failed + now.dead + now.waiting - FAILURES_SHOWN
    if left > 0:
        yield f"  … and {left:,} more"


def outcome_line(job: Job, now: Progress) -> str:
    """``1,200 ready, 30 skipped (30 gone), 4 failed (3 not_a_video, 1 corrupt)``."""
    words = (
        f"{now.ready:,} ready, {now.skipped:,} skipped{counts(dict(skip_reasons(job)))}, "
        f"{now.failed + now.dead:,} failed{counts(failed_by_code(job))}"
    )
    if now.dead:
        words += f", {now.dead:,} of them given up after several tries"
    if now.waiting:
        words += f"; {now.waiting:,} to be tried again"
    return words


def show_lines(job: Job) -> Iterator[str]:
    """All of ``manage.py jobs show``, for people."""
    now = progress(job)
    yield f"Job {job.pk}: {job.get_kind_display()}, {printable(job.scope_words)}"
    yield f"Status:   {job.status}, {now.done:,} of {now.total:,} ({percent(now)})"
    yield f"Outcomes: {outcome_line(job, now)}"
    yield f"Pace:     {Pace.of(job).words() or 'no limit'}; {now.workers} at work now"
    if words := speed_words(now.rate_per_second, now.eta_seconds):
        yield f"Speed:    {words}"
    yield f"Started:  {moment(job.created_at)} by {printable(started_by(job))}"
    if job.finished_at:
        yield f"Ended:    {moment(job.finished_at)}"
    if job.error:
        yield f"Error:    {printable(job.error)}"
    if job.retry_of_id:
        yield f"Tries again what failed in job {job.retry_of_id}"
    if found := list(failure_lines(job, now)):
        yield "Failures:"
        yield from found
    interruptions = job.interruptions.all()[:HISTORY_SHOWN]
    if interruptions:
        yield "Interruptions, the newest first:"
    for interruption in interruptions:
        at = f" at attachment {interruption.attachment_id}" if interruption.attachment_id else ""
        by = f" ({interruption.owner})" if interruption.owner else ""
        line = f"{interruption.get_cause_display()}{by}{at}. {interruption.detail}".rstrip()
        yield f"  {moment(interruption.created_at)}  {printable(line)}"
    yield "History, the newest first:"
    for entry in history(job):
        details = ", ".join(f"{name} {value}" for name, value in sorted(entry.details.items()))
        action = Action(entry.action).label if entry.action in Action else entry.action
        line = f"{entry.actor_name} {action}{f' ({details})' if details else ''}"
        yield f"  {moment(entry.created_at)}  {printable(line)}"


def percent(now: Progress) -> str:
    """Rounded down: 100 % is all."""
    return f"{int(now.fraction * 100)} %"


def speed_words(rate_per_second: float | None, left_seconds: float | None) -> str:
    """``3.2 a second, 6 min 20 s left``; empty when not known."""
    parts = [f"{rate_per_second:.1f} a second"] if rate_per_second else []
    if left_seconds is not None:
        parts.append(f"{duration_words(left_seconds)} left")
    return ", ".join(parts)


def moment(at: datetime) -> str:
    return f"{timezone.localtime(at):%Y-%m-%d %H:%M:%S}"


def why_it_stopped(job: Job, now: Progress) -> Iterator[str]:
    """Of a job that did not come to its end: what happened, and how to go on."""
    to_go = f"with {now.left:,} to go" if job.planned_at else "before it was planned"
    if job.status == Job.Status.PAUSED:
        if job.error:
            yield f"Job {job.pk} is paused {to_go}, for the machine could not go on: {job.error}"
            yield "See to that first."
        else:
            by = last_entry(job, Action.JOB_PAUSED)
            yield f"Job {job.pk} is paused {to_go}{f', by {by.actor_name}' if by else ''}."
        yield from ways_to_go_on(job)
    elif job.status == Job.Status.CANCELLED:
        by = last_entry(job, Action.JOB_CANCELLED)
        yield f"Job {job.pk} was cancelled {to_go}{f', by {by.actor_name}' if by else ''}."
        yield "What is done stays; a new run finds the rest."
    elif job.status == Job.Status.FAILED:
        yield f"Job {job.pk} failed {to_go}: {job.error}"


def ways_to_go_on(job: Job) -> Iterator[str]:
    yield f"Go on here:            manage.py backfill_video_metadata --resume {job.pk}"
    yield f"or with the consumers: manage.py jobs resume {job.pk}, or its page in the dashboard"


def without_consumer() -> str:
    """A sentence, when nobody would work on what is left to the consumers; else empty."""
    for finding in health.consumers():
        if finding.name == "Consumer of jobs" and finding.state == "failed":
            return f"{finding.name}: {finding.words}"
    return ""
