"""Before the work: a dry run that writes nothing, and cutting a job's frozen set into chunks."""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from math import ceil

from django.db import transaction
from django.db.models import Max
from django.utils import timezone

from chat.errors import VideoError
from chat.models import Attachment
from chat.services.interruption import Interrupted, interruptible
from moderation.models import Chunk, Job
from moderation.processing import processing_of
from moderation.scopes import Scope

CHUNK_ITEMS = 500
CHUNK_MIN_ITEMS = 5
SPREAD_CHUNKS = 16  # a small job is cut into so many or more, for several workers to share
LAST_CHUNK_SHARE = 4  # of what is left a chunk is no more than 1 in so many: see chunk_sizes
PLAN_ITEMS = 10_000  # read and written at once while planning
SAMPLES = 10
REHEARSAL_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Forecast:
    """What a job would do, found out without writing anything.

    ``scope`` is frozen: it leaves out what is uploaded later.  ``seconds_per_item`` is the mean
    of the ``measured`` samples that were really read, by one worker; None when there were none.
    """

    scope: Scope
    matched: int
    samples: tuple[Attachment, ...]
    measured: int
    seconds_per_item: float | None
    failures: dict[int, str]  # of the samples: {attachment id: outcome code}

    def estimate_seconds(self, workers: int) -> float | None:
        """How long the job would take so many workers."""
        if self.seconds_per_item is None:
            return None
        return self.matched * self.seconds_per_item / workers


def dry_run(
    kind: str, scope: Scope, *, measure: bool = True, seconds: float = REHEARSAL_SECONDS
) -> Forecast:
    """Count, list ten from all over the set, and measure how long these take: as many as can be
    read in about ``seconds``, the one that is not over then left out.

    Raises:
        ValueError: a filter of the scope is not valid.
    """
    if scope.until is None:
        scope = scope.frozen_at(Attachment.objects.aggregate(last=Max("pk"))["last"] or 0)
    matched = scope.count(kind)
    found = Attachment.objects.in_bulk(_sample_ids(scope, kind, matched))
    samples = tuple(found[pk] for pk in sorted(found))
    measured, spent, failures = 0, 0.0, {}
    processing = processing_of(kind, scope)
    started = time.monotonic()
    with interruptible(lambda: time.monotonic() > started + seconds):
        for sample in samples if measure else ():
            try:
                processing.rehearse(sample)
            except VideoError as error:
                failures[sample.pk] = error.code
            except Interrupted:
                break
            measured += 1
            spent = time.monotonic() - started
            if spent > seconds:
                break
    per_item = spent / measured if measured else None
    return Forecast(scope, matched, samples, measured, per_item, failures)


def _sample_ids(scope: Scope, kind: str, matched: int) -> list[int]:
    """Up to ten, spread over the ids of the set."""
    if matched <= SAMPLES or scope.limit is not None:
        return scope.next_ids(kind, 0, min(matched, SAMPLES))
    first = scope.next_ids(kind, 0, 1)[0]
    span = (scope.until or first) - first
    ids: list[int] = []
    for number in range(SAMPLES):
        after = first + span * number // SAMPLES - 1
        ids += scope.next_ids(kind, max(after, *ids[-1:], 0), 1)
    return ids


def plan_batch(job: Job) -> bool:
    """Plan the next ``PLAN_ITEMS`` of a job by ascending id; whether there may be more.  When
    there are none the job is set running.

    Goes on where an interrupted planning stopped; of several planners at once each batch is
    written by one.

    Raises:
        ValueError: a filter of the scope is not valid.
    """
    scope = Scope.from_json(job.scope)
    after, planned = _planned(job.pk)
    wanted = PLAN_ITEMS if scope.limit is None else min(PLAN_ITEMS, scope.limit - planned)
    ids = scope.next_ids(job.kind, after, wanted)
    is_last = len(ids) < wanted or planned + len(ids) == scope.limit
    with transaction.atomic():
        # The slow reading is done: what it started from must still hold.
        job = Job.objects.locked().get(pk=job.pk)
        if job.status != Job.Status.PLANNING:
            return False
        if _planned(job.pk)[0] != after:
            return True
        following = iter(ids)
        Chunk.objects.bulk_create(
            Chunk.of(job, list(islice(following, size)))
            for size in chunk_sizes(len(ids), is_first=not planned, is_last=is_last)
        )
        job.total = planned + len(ids)
        if is_last:
            job.status = Job.Status.RUNNING
            job.planned_at = timezone.now()
        job.save(update_fields=["total", "status", "planned_at"])
    return not is_last


def chunk_sizes(items: int, *, is_first: bool, is_last: bool) -> Iterator[int]:
    """How many of the next ``items`` of a job each chunk gets, in order.

    Towards the job's end chunks become small: else one worker would have a whole one before it
    when the others find nothing more to take on.
    """
    most = CHUNK_ITEMS
    if is_first and is_last:
        most = min(most, max(CHUNK_MIN_ITEMS, ceil(items / SPREAD_CHUNKS)))
    while items:
        share = max(CHUNK_MIN_ITEMS, ceil(items / LAST_CHUNK_SHARE)) if is_last else items
        size = min(most, share, items)
        yield size
        items -= size


def _planned(job_id: int) -> tuple[int, int]:
    """The last id planned and the number of ids planned."""
    last = Chunk.objects.filter(job_id=job_id).order_by("-pk").first()
    if last is None:
        return 0, 0
    return last.attachment_ids[-1], Job.objects.values_list("total", flat=True).get(pk=job_id)
