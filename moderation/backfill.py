"""The engine of background jobs: plain functions, for the command and the queue alike.

The database is the record of all work.  A job is planned into chunks of frozen ids; workers claim
chunks, do the slow part outside any transaction, and commit each handful of items with the cursor
that says they are done.  ``planning`` comes before, ``steering`` is what people do meanwhile.
"""

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db import (
    InterfaceError,
    InternalError,
    OperationalError,
    close_old_connections,
    connection,
    transaction,
)
from django.utils import timezone

from chat.errors import VideoError
from chat.models import ActivityLog, Attachment
from chat.services import activity
from chat.services.activity import Actor
from chat.services.interruption import Interrupted, interruptible
from moderation.chunks import Claim, LostChunk, Tally, claim, owner_name, release_dead
from moderation.deciding import Due
from moderation.models import Chunk, Failure, Interruption, Job
from moderation.pace import wait_for_turn
from moderation.planning import plan_batch
from moderation.processing import Processing, processing_of
from moderation.progress import Progress, progress
from moderation.scopes import Scope

logger = logging.getLogger(__name__)

CHECKPOINT_SECONDS = 1.0
SLICE_SECONDS = 2.0
STEERING_SECONDS = 0.5  # between looks at the job while a file is worked on
IDLE_SECONDS = 0.2  # between looks at a job that has nothing to take on now
# It does not answer, or has given up a transaction: one of two that waited for each other, or
# (InternalError) one whose worker was frozen.
DATABASE_TROUBLE = (OperationalError, InterfaceError, InternalError)
PUT_DOWN_PAUSES_SECONDS = (0.1, 0.5, 1, 2, 4)
# Outcomes that say nothing about the file: going on would only fail every other one as well.
HALTING = {"media_tools_missing", "media_sandbox_missing", "fingerprints_missing", "no_room"}
# Those that may pass but had their second chance already (see ``with_second_chance``).
TRIED_TWICE = {"time_limit"}


class Halted(Exception):
    """The machine, not a file, keeps the job from going on; the message says what."""


def work_slice(owner: str, seconds: float = SLICE_SECONDS, job_id: int | None = None) -> bool:
    """Work for about ``seconds`` on the job whose turn it is (or on this one): claim a chunk and
    commit every second or so.

    Returns whether there was anything to take on; False also when all that is left is in other
    hands, waits for a later try or hour, or is paused, cancelled or finished.
    """
    held = claim(owner, job_id)
    if held is None:
        finish_what_is_complete()
        return False
    job = held.job
    try:
        work_on(job, held, time.monotonic() + seconds)
    except LostChunk:
        logger.warning("job %s: chunk %s was taken over", job.pk, held.chunk_id)
    except Halted as halt:
        held.release()
        _halt(job, held, str(halt))
    except DATABASE_TROUBLE:
        raise  # the database's, not the item's: it is tried again
    except Exception as error:
        logger.exception("job %s: the item with id %s ended its slice", job.pk, held.next_id)
        Interruption.objects.create(
            job=job,
            cause=Interruption.Cause.SLICE_FAILED,
            owner=owner,
            attachment_id=held.next_id,
            detail=repr(error)[:2000],
        )
        if held.gives_up:  # it could not even be given up
            _fail(job.pk, f"Attachment {held.next_id}: {error!r}")
        held.release(blame=True)
    except BaseException:
        # An interruption may come in the middle of a query: the connection takes no other then.
        connection.close()
        raise
    finally:
        put_down(held)
    if not held.is_open:
        finish_if_complete(job.pk)
    return True


def put_down(held: Claim) -> None:
    """Release the chunk; a database that does not answer is asked again for a while, since until
    the lease ends nobody else could take the chunk."""
    for pause in PUT_DOWN_PAUSES_SECONDS:
        try:
            held.release()
        except DATABASE_TROUBLE as error:
            logger.warning("chunk %s: %s", held.chunk_id, error)
            close_old_connections()
            time.sleep(pause)
        else:
            return


def plan_slice(seconds: float, job_id: int | None = None) -> bool:
    """Plan a job that waits for it, for about ``seconds``; False when there is none."""
    jobs = Job.objects.filter(status=Job.Status.PLANNING).with_work(timezone.now())
    if job_id is not None:
        jobs = jobs.filter(pk=job_id)
    job = jobs.order_by("turn_at", "pk").first()
    if job is None:
        return False
    plan(job, seconds)
    return True


def plan(job: Job, seconds: float = float("inf")) -> None:
    """Freeze the job's set into chunks, by ascending id, then set it running.

    Goes on where an interrupted planning stopped; stops after ``seconds`` with the job still in
    planning.
    """
    deadline = time.monotonic() + seconds
    try:
        while plan_batch(job) and time.monotonic() < deadline:
            pass
    except ValueError as error:
        _fail(job.pk, str(error))
    except DATABASE_TROUBLE:
        raise
    except Exception as error:  # or it would be planned for ever, in the way of all other jobs
        logger.exception("job %s cannot be planned", job.pk)
        _fail(job.pk, repr(error))
    finish_if_complete(job.pk)
    job.refresh_from_db()


def work_on(job: Job, held: Claim, deadline: float) -> None:
    """Checkpoint after checkpoint, until ``deadline`` (of ``time.monotonic``), the chunk's end or
    a change of mind.

    Raises:
        LostChunk, Halted: see there.
    """
    worker = Worker(job, held)
    while held.is_open and worker.may_go_on():
        worker.checkpoint(deadline)
        if time.monotonic() >= deadline:
            return


@dataclass(slots=True)
class Worker:
    """Works on one claimed chunk of one job."""

    job: Job
    claim: Claim
    scope: Scope = field(init=False)
    processing: Processing = field(init=False)

    def __post_init__(self) -> None:
        self.scope = Scope.from_json(self.job.scope)
        self.processing = processing_of(self.job.kind, self.scope, self.job)

    def may_go_on(self) -> bool:
        """Read the job's row again: whether it is running, now, and has room for this worker."""
        job = Job.objects.filter(pk=self.job.pk, status=Job.Status.RUNNING).first()
        now = timezone.now()
        if job is None or not job.is_within_hours(now):
            return False
        self.job = job
        if job.workers is None:
            return True
        held = Chunk.objects.held(now).filter(job=job).order_by("pk")
        first = held.values_list("pk", flat=True)[: job.workers]
        return self.claim.chunk_id in list(first)

    def is_called_off(self) -> bool:
        """What a worker asks while a file takes its time."""
        return not (self.may_go_on() and self.claim.keeps())

    def checkpoint(self, deadline: float) -> None:
        """Do the next items, for about ``CHECKPOINT_SECONDS``, and commit them.

        Rows are not marked as processing meanwhile: the lease says so already, and a mark would
        cost another transaction and outlive a killed worker.
        """
        ids = self.claim.next_ids()
        if not self.claim.gives_up:
            ids = ids[: wait_for_turn(self.job, len(ids), deadline)]
        if not ids:
            return
        started = time.monotonic()
        wanted = self.scope.wanted(self.job.kind).in_bulk(ids)
        prepared: list[Any] = []
        count, halt = 0, None
        try:
            with interruptible(self.is_called_off, STEERING_SECONDS):
                for pk in ids:
                    each = self._prepare(wanted[pk]) if pk in wanted else None
                    if each and each.error and each.error.code in HALTING:
                        halt = each.error
                        break
                    if each:
                        prepared.append(each)
                    count += 1
                    if time.monotonic() >= started + CHECKPOINT_SECONDS:
                        break
        except Interrupted:
            pass  # what came before it counts
        except BaseException:
            for each in prepared:  # without a question to the database, which may be the trouble
                self.processing.discard(each)
            raise
        try:
            if count:
                tally = self._commit(ids[:count], prepared, time.monotonic() - started)
                self.claim.advanced(tally)
        except BaseException:
            self.processing.discard_unrecorded(prepared)
            raise
        if halt:
            raise Halted(f"{halt.outcome.operator} {halt.detail}".strip())

    def _prepare(self, attachment: Attachment) -> Any:
        if self.claim.gives_up:
            detail = f"Workers that ended at it: {self.claim.attempts}."
            return self.processing.given_up(attachment, VideoError("worker_lost", detail))
        return self.processing.prepare(attachment)

    def _commit(self, ids: Sequence[int], prepared: Sequence[Any], busy_seconds: float) -> Tally:
        """Write effects, failures and the cursor in one transaction; fence first.

        Raises:
            LostChunk: the claim holds no longer; nothing is written.
        """
        tally = Tally()
        by_id = {each.attachment.pk: each for each in prepared}
        failures: list[Failure] = []
        with transaction.atomic(), activity.written_together():
            self.claim.hold()
            tries = self._tries(ids)
            rows = self.scope.wanted(self.job.kind).filter(pk__in=by_id)
            # Locked in one order.  What was removed or done by others meanwhile is not done twice.
            posters = dict(rows.order_by("pk").select_for_update().values_list("pk", "thumbnail"))
            left = [pk for pk in ids if pk not in posters]
            reasons = skip_reasons_of(left)
            for pk in ids:
                each = by_id.get(pk)
                if pk not in posters or each is None:
                    if each is not None:
                        self.processing.discard(each)
                    tally.skip(reasons.get(pk, Chunk.Skip.NOT_NEEDED), pk)
                elif failure := self._failure(each, tries.get(pk, 0) + 1):
                    if failure.is_final and not self._record(each, posters[pk]):
                        tally.skip(Chunk.Skip.GONE, pk)
                        continue
                    failures.append(failure)
                    tally.dead += failure.is_dead
                    tally.failed += failure.is_final and not failure.is_dead
                    tally.waiting += not failure.is_final
                elif self._record(each, posters[pk]):
                    tally.ready += 1
                else:
                    tally.skip(each.skip if isinstance(each, Due) else Chunk.Skip.GONE, pk)
            if (tries or tally.waiting) and self._is_over():
                for failure in failures:  # nobody tries these again
                    failure.is_final, failure.next_try_at = True, None
            self._write_failures(failures, set(tries))
            self.claim.advance(tally, busy_seconds)
        return tally

    def _record(self, prepared: Any, poster: str) -> bool:
        prepared.attachment.thumbnail.name = poster
        return self.processing.record(prepared, Actor(job_id=self.job.pk))

    def _is_over(self) -> bool:
        """Whether the job was cancelled meanwhile; the job is locked: what waits in it is changed
        by one at a time."""
        status = Job.objects.locked().values_list("status", flat=True).get(pk=self.job.pk)
        return status not in Job.UNFINISHED

    def _tries(self, ids: Sequence[int]) -> Mapping[int, int]:
        """Of those that failed before: {attachment id: tries}."""
        if not self.claim.is_retry:
            return {}
        failures = Failure.objects.filter(job=self.job, attachment__in=ids)
        return dict(failures.values_list("attachment_id", "attempts"))

    def _failure(self, prepared: Any, tries: int) -> Failure | None:
        """The row that tells of it: to be tried again, failed or dead; None for a success."""
        error: VideoError | None = prepared.error
        if error is None:
            return None
        pauses = settings.JOB_RETRY_SECONDS
        may_pass = not error.permanent and error.code not in TRIED_TWICE
        again = may_pass and tries <= len(pauses)
        return Failure(
            job=self.job,
            attachment=prepared.attachment,
            code=error.code,
            detail=error.detail[:2000],
            attempts=tries,
            is_final=not again,
            is_dead=(may_pass and not again) or self.claim.gives_up,
            next_try_at=timezone.now() + timedelta(seconds=pauses[tries - 1]) if again else None,
        )

    def _write_failures(self, failures: Sequence[Failure], tried_before: set[int]) -> None:
        Failure.objects.bulk_create(
            failures,
            update_conflicts=True,
            unique_fields=["job", "attachment"],
            update_fields=[
                "code", "detail", "attempts", "is_final", "is_dead", "next_try_at", "created_at",
            ],
        )  # fmt: skip
        if over := tried_before - {failure.attachment_id for failure in failures}:
            Failure.objects.filter(job=self.job, attachment__in=over).delete()


def skip_reasons_of(ids: Sequence[int]) -> dict[int, str]:
    """{id: Chunk.Skip} of attachments that are not wanted (any more)."""
    if not ids:
        return {}
    removed = Attachment.Visibility.REMOVED
    there = dict(Attachment.objects.filter(pk__in=ids).values_list("pk", "visibility"))
    skips = Chunk.Skip
    return {
        pk: skips.GONE
        if pk not in there
        else skips.REMOVED
        if there[pk] == removed
        else skips.NOT_NEEDED
        for pk in ids
    }


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


def _halt(job: Job, held: Claim, reason: str) -> None:
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


def _fail(job_id: int, error: str) -> None:
    with transaction.atomic():
        unfinished = Job.objects.unfinished().filter(pk=job_id)
        if unfinished.update(
            status=Job.Status.FAILED, finished_at=timezone.now(), error=error[:2000]
        ):
            activity.record(
                ActivityLog.Action.JOB_FINISHED,
                Actor(job_id=job_id),
                Job.objects.get(pk=job_id),
                outcome=ActivityLog.Outcome.FAILED,
                details={"error": error[:2000]},
            )


def run_inline(job: Job, on_progress: Callable[[Progress], None]) -> None:
    """Plan and work on the job in this process until it is over or paused, beside whoever else
    does; ``job`` is read again before each ``on_progress``."""
    owner = owner_name()
    release_dead()
    while not job.is_finished and job.status != Job.Status.PAUSED:
        on_progress(progress(job))
        if plan_slice(CHECKPOINT_SECONDS, job.pk):
            pass
        elif not work_slice(owner, CHECKPOINT_SECONDS, job.pk):
            job.refresh_from_db()
            if not job.is_finished:
                # Others hold what is left, one of them perhaps dead, or it waits for its hour.
                time.sleep(IDLE_SECONDS)
                release_dead()
        job.refresh_from_db()
    on_progress(progress(job))
