"""How far a job is, and what became of each of its items."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from django.db.models import Count, F, Q, Sum
from django.utils import timezone

from moderation.models import Chunk, Failure, Job

NOT_REACHED = "not_reached"
READY = "ready"
RETRIED = "waiting"


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
    now = timezone.now()
    at_work = Q(lease_until__gt=now, cursor__lt=F("size")) & ~Q(owner="")
    sums = job.chunks.aggregate(
        *(Sum(name, default=0) for name in ("ready", "failed", "dead", "skipped")),
        busy=Sum("busy_seconds", default=0.0),
        first_tries=Sum("cursor", default=0),
        workers=Count("pk", filter=at_work),
    )
    ready, failed, dead, skipped = (
        sums[f"{name}__sum"] for name in ("ready", "failed", "dead", "skipped")
    )
    done, workers = ready + failed + dead + skipped, sums["workers"]
    rate = None
    if workers and sums["busy"] and not job.is_finished:
        rate = workers * sums["first_tries"] / sums["busy"]
    left = job.total - done
    return Progress(
        total=job.total,
        ready=ready,
        failed=failed,
        dead=dead,
        skipped=skipped,
        waiting=job.failures.filter(is_final=False).count(),
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
