"""How far a job is, and what became of each of its items."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.core.cache import cache
from django.db.models import Count, F, Q, Sum
from django.utils import timezone

from moderation.models import Chunk, Failure, Job

NOT_REACHED = "not_reached"
READY = "ready"
RETRIED = "waiting"
# After the end of a job, a worker may still commit what it had in work.
SETTLED_AFTER = timedelta(minutes=15)


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a job is, in attachments; ``done`` have come to an end, ``waiting`` are tried again
    later.  ``rate_per_second`` is that of the workers at it now, by the time that they spent on
    what is done, so that pauses and stopped machines do not count; ``fraction`` is 0 to 1."""

    total: int
    ready: int
    failed: int
    dead: int
    skipped: int
    waiting: int
    workers: int
    fraction: float
    rate_per_second: float | None
    eta_seconds: float | None

    @property
    def done(self) -> int:
        return self.ready + self.failed + self.dead + self.skipped

    @property
    def left(self) -> int:
        return self.total - self.done


def progress(job: Job) -> Progress:
    """Two queries, however large the job."""
    return progress_of([job])[job.pk]


def progress_of(jobs: Sequence[Job]) -> dict[int, Progress]:
    """{job id: Progress}; two queries for all of them.

    That of a job which ended a while ago is remembered: a list of large old ones would add up
    ten thousands of chunks each time.
    """
    long_over = timezone.now() - SETTLED_AFTER
    keys = {
        job.pk: f"progress-of-job-{job.pk}-{job.finished_at.timestamp()}"
        for job in jobs
        if job.finished_at and job.finished_at < long_over
    }
    remembered = cache.get_many(keys.values())
    found = {pk: remembered[key] for pk, key in keys.items() if key in remembered}
    found |= _summed([job for job in jobs if job.pk not in found])
    cache.set_many({key: found[pk] for pk, key in keys.items() if key not in remembered})
    return found


def _summed(jobs: Sequence[Job]) -> dict[int, Progress]:
    at_work = Q(lease_until__gt=timezone.now(), cursor__lt=F("size")) & ~Q(owner="")
    sums = (
        Chunk.objects.filter(job__in=jobs)
        .values("job")
        .order_by("job")
        .annotate(
            *(Sum(name, default=0) for name in ("ready", "failed", "dead", "skipped")),
            busy=Sum("busy_seconds", default=0.0),
            first_tries=Sum("cursor", default=0),
            workers=Count("pk", filter=at_work),
        )
    )
    by_job = {row["job"]: row for row in sums}
    put_off = Failure.objects.filter(job__in=jobs, is_final=False)
    waiting = dict(put_off.values_list("job").order_by("job").annotate(Count("pk")))
    return {job.pk: _of(job, by_job.get(job.pk, {}), waiting.get(job.pk, 0)) for job in jobs}


def _of(job: Job, sums: Mapping[str, Any], waiting: int) -> Progress:
    ready, failed, dead, skipped = (
        sums.get(f"{name}__sum", 0) for name in ("ready", "failed", "dead", "skipped")
    )
    done, workers = ready + failed + dead + skipped, sums.get("workers", 0)
    rate = None
    if workers and sums["busy"] and not job.is_finished:
        rate = workers * sums["first_tries"] / sums["busy"]
        if job.items_per_second is not None:  # waiting for a turn is no work, and takes time
            rate = min(rate, job.items_per_second)
    left = job.total - done
    return Progress(
        total=job.total,
        ready=ready,
        failed=failed,
        dead=dead,
        skipped=skipped,
        waiting=waiting,
        workers=workers,
        fraction=done / job.total if job.total else float(job.status == Job.Status.DONE),
        rate_per_second=rate or None,
        eta_seconds=left / rate if rate and job.status == Job.Status.RUNNING else None,
    )


def skip_reasons(job: Job) -> list[tuple[str, int]]:
    """(Chunk.Skip, number of items), most frequent first."""
    numbers: Counter[str] = Counter()
    for skips in job.chunks.filter(skipped__gt=0).values_list("skips", flat=True).iterator():
        numbers.update({reason: len(ids) for reason, ids in skips.items()})
    return numbers.most_common()


def outcomes(job: Job) -> Iterator[tuple[int, str, str]]:
    """(attachment id, outcome, detail) of every item of the job's set, chunk by chunk.

    The outcome is ``ready``, a ``Chunk.Skip``, the code of a failure (``waiting`` while it is to
    be tried again), or ``not_reached``.
    """
    retried: dict[int, str] = {}  # how the second tries ended that did not fail
    for chunk in Chunk.objects.filter(job=job, is_retry=True).order_by("pk").iterator(200):
        done = chunk.attachment_ids[: chunk.cursor]
        retried |= dict.fromkeys(done, READY)
        retried |= {pk: reason for reason, ids in chunk.skips.items() for pk in ids}
    for chunk in Chunk.objects.filter(job=job, is_retry=False).order_by("pk").iterator(200):
        ids = chunk.attachment_ids
        done = ids[: chunk.cursor]
        skipped = {pk: reason for reason, ids in chunk.skips.items() for pk in ids}
        failures = {
            failure.attachment_id: failure
            for failure in Failure.objects.filter(job=job, attachment__in=done)
        }
        for pk in done:
            if failure := failures.get(pk):
                yield pk, failure.code if failure.is_final else RETRIED, failure.detail
            else:
                yield pk, skipped.get(pk) or retried.get(pk, READY), ""
        for pk in ids[chunk.cursor :]:
            yield pk, NOT_REACHED, ""
