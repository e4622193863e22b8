"""The engine of background jobs: plain functions, for the command and the queue alike.

The database is the record of all work.  A job is planned into chunks of frozen ids; workers
claim chunks, do the slow part outside any transaction, and commit each handful of items with
the cursor that says they are done.
"""

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from math import ceil
from typing import Any

from django.db import InterfaceError, OperationalError, transaction
from django.db.models import F, Sum
from django.utils import timezone

from chat.errors import VideoError
from chat.models import ActivityLog, Attachment
from chat.services import activity, fingerprinting
from chat.services.activity import Actor
from moderation.chunks import Claim, LostChunk, claim, owner_name
from moderation.models import Chunk, Failure, Job
from moderation.processing import Processing, processing_of
from moderation.scopes import Scope

logger = logging.getLogger(__name__)

CHUNK_ITEMS = 500
CHUNK_MIN_ITEMS = 5
SPREAD_CHUNKS = 16  # a small job is cut into so many, for several workers to share
PLAN_ITEMS = 10_000  # read and written at once while planning
CHECKPOINT_SECONDS = 1.0
SLICE_SECONDS = 2.0
# Outcomes that say nothing about the file: going on would only fail every other one as well.
HALTING = {"media_tools_missing", "media_sandbox_missing", "fingerprints_missing", "no_room"}


class Halted(Exception):
    """The machine, not a file, keeps the job from going on; the message says what."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a job is: attachments, attachments a second, seconds; ``fraction`` 0 to 1."""

    total: int
    ready: int
    failed: int
    skipped: int
    done: int
    fraction: float
    rate_per_second: float | None
    eta_seconds: float | None


def refusal(kind: str) -> str:
    """Why this machine cannot do jobs of the kind, as a sentence; empty when it can."""
    return fingerprinting.missing_because() if kind == Job.Kind.FINGERPRINTS else ""


def create_job(kind: str, scope: Scope, actor: Actor, started_from: str) -> Job:
    """A job to be planned; wakes nobody (see ``moderation.tasks.wake``)."""
    with transaction.atomic():
        job = Job.objects.create(
            kind=kind,
            scope=scope.to_json(),
            scope_words=scope.words(kind),
            created_by_id=actor.user.pk if actor.user else None,
            started_from=started_from,
        )
        activity.record(
            ActivityLog.Action.JOB_STARTED, actor, job, details={"scope": job.scope_words}
        )
    return job


def plan(job: Job, seconds: float = float("inf")) -> None:
    """Freeze the job's set into chunks, by ascending id, then set it running.

    Goes on where an interrupted planning stopped; stops after ``seconds`` with the job still in
    planning.  Of several planners at once each batch is written by one.
    """
    deadline = time.monotonic() + seconds
    scope = Scope.from_json(job.scope)
    try:
        while _plan_batch(job.pk, scope, job.kind) and time.monotonic() < deadline:
            pass
    except ValueError as error:
        _fail(job.pk, str(error))
    job.refresh_from_db()
    if job.status == Job.Status.RUNNING:
        finish_if_complete(job.pk)
        job.refresh_from_db()


def _plan_batch(job_id: int, scope: Scope, kind: str) -> bool:
    """Plan the next ``PLAN_ITEMS``; whether there may be more."""
    after, planned = _planned(job_id)
    wanted = PLAN_ITEMS if scope.limit is None else min(PLAN_ITEMS, scope.limit - planned)
    videos = scope.queryset(kind).filter(pk__gt=after).order_by("pk")
    ids = list(videos.values_list("pk", flat=True)[:wanted])
    is_last = len(ids) < wanted or planned + len(ids) == scope.limit
    size = CHUNK_ITEMS
    if is_last and not planned:
        size = min(size, max(CHUNK_MIN_ITEMS, ceil(len(ids) / SPREAD_CHUNKS)))
    with transaction.atomic():
        # The slow reading is done: what it started from must still hold.
        job = Job.objects.select_for_update().get(pk=job_id)
        if job.status != Job.Status.PLANNING:
            return False
        if _planned(job_id)[0] != after:
            return True
        Chunk.objects.bulk_create(
            Chunk(job=job, attachment_ids=part, size=len(part))
            for part in (ids[start : start + size] for start in range(0, len(ids), size))
        )
        job.total = planned + len(ids)
        if is_last:
            job.status = Job.Status.RUNNING
            job.started_at = timezone.now()
        job.save(update_fields=["total", "status", "started_at"])
    return not is_last


def _planned(job_id: int) -> tuple[int, int]:
    """The last id planned and the number of ids planned."""
    last = Chunk.objects.filter(job_id=job_id).order_by("-pk").first()
    if last is None:
        return 0, 0
    return last.attachment_ids[-1], Job.objects.values_list("total", flat=True).get(pk=job_id)


def work_slice(job_id: int, owner: str, seconds: float = SLICE_SECONDS) -> bool:
    """Claim one chunk and work on it for about ``seconds``, committing every second or so.

    Returns whether there may be more to do; False also when all that is left is in other hands,
    or the job is not running (paused, cancelled, finished).
    """
    held = claim(job_id, owner)
    if held is None:
        finish_if_complete(job_id)
        return False
    deadline = time.monotonic() + seconds
    worker = Worker(Job.objects.get(pk=job_id), held)
    blame = False
    try:
        running = True
        while running and held.is_open:
            worker.checkpoint()
            # Cancelling and pausing take effect here.
            running = Job.objects.filter(pk=job_id, status=Job.Status.RUNNING).exists()
            if time.monotonic() >= deadline:
                break
    except LostChunk:
        logger.warning("job %s: chunk %s was taken over", job_id, held.chunk_id)
        return True
    except Halted as halt:
        logger.error("job %s: %s", job_id, halt)
        _fail(job_id, str(halt))
        return False
    except (OperationalError, InterfaceError):
        raise  # the database's trouble, not the item's: whoever sweeps tries again
    except Exception as error:
        logger.exception("job %s: an item after id %s ended its slice", job_id, held.last_id)
        if held.gives_up:  # it could not even be given up
            _fail(job_id, f"After attachment {held.last_id}: {error!r}")
        blame = True
    finally:
        held.release(blame=blame)
    if not held.is_open:
        finish_if_complete(job_id)
    return running


@dataclass(slots=True)
class Worker:
    """Works on one claimed chunk of one job."""

    job: Job
    claim: Claim
    processing: Processing = field(init=False)

    def __post_init__(self) -> None:
        self.processing = processing_of(self.job)

    def checkpoint(self) -> None:
        """Do the next items, for about ``CHECKPOINT_SECONDS``, and commit them.

        Rows are not marked as processing meanwhile: the lease says so already, and a mark would
        cost another transaction and outlive a killed worker.
        """
        ids = self.claim.next_ids()
        wanted = Scope.from_json(self.job.scope).wanted(self.job.kind).in_bulk(ids)
        end = time.monotonic() + CHECKPOINT_SECONDS
        prepared: list[Any] = []
        count, halt = 0, None
        try:
            for pk in ids:
                each = self._prepare(wanted[pk]) if pk in wanted else None
                if each and each.error and each.error.code in HALTING:
                    halt = each.error
                    break
                if each:
                    prepared.append(each)
                count += 1
                if time.monotonic() >= end or self.claim.isolated:
                    break
            if count:
                self._commit(prepared, count)
        except BaseException:
            self.processing.discard_unrecorded(prepared)
            raise
        if count:
            self.claim.advanced(count)
        if halt:
            raise Halted(f"{halt.outcome.operator} {halt.detail}".strip())

    def _prepare(self, attachment: Attachment) -> Any:
        if self.claim.gives_up:
            detail = f"Ended its worker {self.claim.attempts - 1} times; not tried again."
            return self.processing.given_up(attachment, VideoError("decoder_crashed", detail))
        return self.processing.prepare(attachment)

    def _commit(self, prepared: Sequence[Any], count: int) -> None:
        """Write effects, failures and the cursor in one transaction; fence first.

        Raises:
            LostChunk: the claim holds no longer; nothing is written.
        """
        scope = Scope.from_json(self.job.scope)
        actor = Actor(job_id=self.job.pk)
        ready = 0
        failures: list[Failure] = []
        with transaction.atomic():
            self.claim.hold()
            rows = scope.wanted(self.job.kind).filter(pk__in=[p.attachment.pk for p in prepared])
            # Locked in one order.  What was removed or done by others meanwhile is not done twice.
            posters = dict(rows.order_by("pk").select_for_update().values_list("pk", "thumbnail"))
            for each in prepared:
                attachment = each.attachment
                if attachment.pk not in posters:
                    self.processing.discard(each)
                    continue
                attachment.thumbnail.name = posters[attachment.pk]
                if not self.processing.record(each, actor):
                    continue
                if each.error is None:
                    ready += 1
                else:
                    failures.append(
                        Failure(
                            job=self.job,
                            attachment=attachment,
                            code=each.error.code,
                            detail=each.error.detail[:2000],
                        )
                    )
            Failure.objects.bulk_create(
                failures,
                update_conflicts=True,
                unique_fields=["job", "attachment"],
                update_fields=["code", "detail", "created_at"],
            )
            self.claim.advance(count, ready, len(failures), skipped=count - ready - len(failures))


def finish_if_complete(job_id: int) -> bool:
    """Set a running job done when none of its chunks is open; whether this call did."""
    if Chunk.objects.filter(job_id=job_id, cursor__lt=F("size")).exists():
        return False
    with transaction.atomic():
        if not _leave(job_id, (Job.Status.RUNNING,), Job.Status.DONE):
            return False
        job = Job.objects.get(pk=job_id)
        now = progress(job)
        activity.record(
            ActivityLog.Action.JOB_FINISHED,
            Actor(job_id=job_id),
            job,
            details={"ready": now.ready, "failed": now.failed, "skipped": now.skipped},
        )
    return True


def cancel(job: Job, actor: Actor) -> bool:
    """Stop the job for good, within seconds; what is done stays.  False when it was over."""
    with transaction.atomic():
        changed = _leave(job.pk, Job.UNFINISHED, Job.Status.CANCELLED)
        if changed:
            activity.record(ActivityLog.Action.JOB_CANCELLED, actor, job)
    job.refresh_from_db()
    return changed


def _fail(job_id: int, error: str) -> None:
    with transaction.atomic():
        if _leave(job_id, Job.UNFINISHED, Job.Status.FAILED, error=error[:2000]):
            activity.record(
                ActivityLog.Action.JOB_FINISHED,
                Actor(job_id=job_id),
                Job.objects.get(pk=job_id),
                outcome=ActivityLog.Outcome.FAILED,
                details={"error": error[:2000]},
            )


def _leave(job_id: int, before: Sequence[str], after: str, **changes: str) -> bool:
    """Move the job to a final status if it has one of ``before``; whether this call did."""
    jobs = Job.objects.filter(pk=job_id, status__in=before)
    return bool(jobs.update(status=after, finished_at=timezone.now(), **changes))


def progress(job: Job) -> Progress:
    """Sums over the job's chunks: one query, however large the job."""
    sums = job.chunks.aggregate(*(Sum(name, default=0) for name in ("ready", "failed", "skipped")))
    ready, failed, skipped = sums["ready__sum"], sums["failed__sum"], sums["skipped__sum"]
    done = ready + failed + skipped
    rate = None
    if job.started_at:
        elapsed = (job.finished_at or timezone.now()) - job.started_at
        rate = done / max(elapsed, timedelta(milliseconds=1)).total_seconds() if done else None
    left = job.total - done
    return Progress(
        total=job.total,
        ready=ready,
        failed=failed,
        skipped=skipped,
        done=done,
        fraction=done / job.total if job.total else float(job.status == Job.Status.DONE),
        rate_per_second=rate,
        eta_seconds=left / rate if rate and not job.is_finished else None,
    )


def run_inline(job: Job, on_progress: Callable[[Progress], None]) -> None:
    """Plan and work on the job in this process until it is over, beside whoever else does."""
    plan(job)
    owner = owner_name()
    while not job.is_finished:
        on_progress(progress(job))
        if not work_slice(job.pk, owner, CHECKPOINT_SECONDS):
            job.refresh_from_db()
            if not job.is_finished:
                time.sleep(0.2)  # others hold what is left, or the job is paused
    on_progress(progress(job))
