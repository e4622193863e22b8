"""What is not kept for ever: the details of jobs that ended long ago, uploads that never did, and
ways in that expired.  And what a database has to be reminded of."""

from datetime import timedelta
from importlib import import_module

from axes.models import AccessAttempt
from django.conf import settings
from django.db import connection, transaction
from django.db.models import Sum
from django.utils import timezone
from knox.models import get_token_model

from chat.services import idempotency, quotas, resumable, uploads
from moderation.models import Chunk, Failure, Interruption, Job

# Of each index: four seconds for a million videos and five million entries.  From 1,000 SQLite
# learns too little of what lies beyond the first ones.
STATISTICS_ROWS = 100_000

COUNTS = ("size", "cursor", "ready", "failed", "dead", "skipped", "waiting", "busy_seconds")


def clear_old_details(older_than: timedelta | None = None) -> int:
    """Of jobs that ended more than JOB_KEEP_DAYS ago keep the numbers alone; returns how many.

    What a job did to an attachment stays in the activity log.
    """
    if older_than is None:
        older_than = timedelta(days=settings.JOB_KEEP_DAYS)
    before = timezone.now() - older_than
    old = Job.objects.filter(finished_at__lt=before, details_cleared_at=None)
    jobs = list(old.order_by("pk").values_list("pk", flat=True))
    return sum(_clear_details(pk) for pk in jobs)


def sweep_uploads() -> int:
    """Delete what is left of uploads that ended nowhere, and promises whose time is over; returns
    how many."""
    return sum(
        sweep()
        for sweep in (
            uploads.sweep_abandoned,
            resumable.sweep,
            quotas.sweep,
            idempotency.sweep,
        )
    )


def _clear_details(job_id: int) -> bool:
    """One chunk without ids takes the place of all; whether this call did it."""
    with transaction.atomic():
        jobs = Job.objects.filter(pk=job_id, details_cleared_at=None)
        if not jobs.update(details_cleared_at=timezone.now()):
            return False
        chunks = Chunk.objects.filter(job_id=job_id)
        sums = chunks.aggregate(**{f"sum_{name}": Sum(name, default=0) for name in COUNTS})
        for rows in (chunks, Failure.objects.filter(job_id=job_id)):
            rows.delete()
        Interruption.objects.filter(job_id=job_id).delete()
        Chunk.objects.create(job_id=job_id, **{name: sums[f"sum_{name}"] for name in COUNTS})
    return True


def clear_expired() -> None:
    """Delete tokens and sessions that have ended, and failed sign-ins that no longer count."""
    now = timezone.now()
    get_token_model().objects.filter(expiry__lt=now).delete()
    import_module(settings.SESSION_ENGINE).SessionStore.clear_expired()
    AccessAttempt.objects.filter(attempt_time__lt=now - settings.AXES_COOLOFF_TIME).delete()


def take_statistics() -> None:
    """Let SQLite count what its indexes leave, by which it chooses among them; PostgreSQL does so
    by itself.  A part of each index is read: writers wait for it.

    https://sqlite.org/lang_analyze.html#approx
    """
    if connection.vendor == "sqlite":
        with connection.cursor() as cursor:
            cursor.execute(f"PRAGMA analysis_limit={STATISTICS_ROWS}")
            cursor.execute("ANALYZE")
