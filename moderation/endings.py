"""How jobs come to an end, or to a halt, by themselves."""

import logging

from django.db import transaction
from django.utils import timezone

from chat.models import ActivityLog
from chat.services import activity
from chat.services.activity import Actor
from moderation.chunks import Claim
from moderation.models import Chunk, Failure, Interruption, Job
from moderation.progress import progress

logger = logging.getLogger(__name__)


def finish_what_is_complete() -> None:
    """Among all running jobs: whoever did the last of it may not have lived to say so."""
    for pk in Job.objects.filter(status=Job.Status.RUNNING).values_list("pk", flat=True):
        finish_if_complete(pk)


def finish_if_complete(job_id: int) -> bool:
    """Set a running job done when none of its chunks is open and nothing waits for another try;
    whether this call did."""
    if not _is_complete(job_id):
        return False
    with transaction.atomic():
        # Locked, and looked at again: nobody plans it or claims of it meanwhile.
        job = Job.objects.locked().filter(pk=job_id, status=Job.Status.RUNNING).first()
        if job is None or not _is_complete(job_id):
            return False
        job.status, job.finished_at = Job.Status.DONE, timezone.now()
        job.save(update_fields=["status", "finished_at"])
        now = progress(job)
        counts = {name: getattr(now, name) for name in ("ready", "failed", "dead", "skipped")}
        activity.record(ActivityLog.Action.JOB_FINISHED, Actor(job_id=job_id), job, details=counts)
    return True


def _is_complete(job_id: int) -> bool:
    return not (
        Chunk.objects.open().filter(job_id=job_id).exists()
        or Failure.objects.filter(job_id=job_id, is_final=False).exists()
    )


def halt(job: Job, held: Claim, reason: str) -> None:
    """Pause the job: somebody has to see to the machine first."""
    logger.error("job %s: %s", job.pk, reason)
    with transaction.atomic():
        running = Job.objects.filter(pk=job.pk, status=Job.Status.RUNNING)
        if running.update(status=Job.Status.PAUSED, error=reason[:2000]):
            Interruption.objects.create(
                job=job,
                cause=Interruption.Cause.HALTED,
                owner=held.owner,
                attachment_id=held.next_id,
                detail=reason[:2000],
            )
            activity.record(
                ActivityLog.Action.JOB_PAUSED,
                Actor(job_id=job.pk),
                job,
                outcome=ActivityLog.Outcome.FAILED,
                details={"error": reason[:2000]},
            )


def fail(job_id: int, error: str) -> None:
    """End the job: it cannot be done, whoever tries."""
    with transaction.atomic():
        unfinished = Job.objects.unfinished().filter(pk=job_id)
        if unfinished.update(
            status=Job.Status.FAILED, finished_at=timezone.now(), error=error[:2000]
        ):
            job = Job.objects.get(pk=job_id)
            end_tries(job)
            activity.record(
                ActivityLog.Action.JOB_FINISHED,
                Actor(job_id=job_id),
                job,
                outcome=ActivityLog.Outcome.FAILED,
                details={"error": error[:2000]},
            )


def end_tries(job: Job) -> None:
    """Of a job that is over: what waits for another try gets none, and counts as failed.

    In the transaction that ended the job; whoever is at such a try now commits it no more.
    """
    waiting = Failure.objects.filter(job=job, is_final=False)
    ids = [pk for pk in waiting.values_list("attachment_id", flat=True) if pk is not None]
    if ids:
        count = waiting.update(is_final=True, next_try_at=None)
        counted = Chunk.of(job, sorted(ids), is_retry=True)
        counted.cursor, counted.failed = counted.size, count
        counted.save()
