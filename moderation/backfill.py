"""The engine of background jobs: plain functions, for the command and the queue alike.

The database is the record of all work.  A job is planned into chunks of frozen ids; workers claim
chunks, do the slow part outside any transaction, and commit each handful of items with the cursor
that says they are done.  ``planning`` comes before, ``steering`` is what people do meanwhile.
"""

import logging
import time
from collections.abc import Callable

from django.db import (
    InterfaceError,
    InternalError,
    OperationalError,
    close_old_connections,
    connection,
)
from django.utils import timezone

from moderation.checkpoints import CHECKPOINT_SECONDS, Halted, Worker
from moderation.chunks import Claim, LostChunk, claim, owner_name, release_dead
from moderation.endings import fail, finish_if_complete, finish_what_is_complete, halt
from moderation.models import Interruption, Job
from moderation.planning import plan_batch
from moderation.progress import Progress, progress

logger = logging.getLogger(__name__)

SLICE_SECONDS = 2.0
# For one that no other job waits for: periodic work is in the same queue, and waits too.
LONGEST_SLICE_SECONDS = 10.0
IDLE_SECONDS = 0.2  # between looks at a job that has nothing to take on now
# It does not answer, or has given up a transaction: one of two that waited for each other, or
# (InternalError) one whose worker was frozen.
DATABASE_TROUBLE = (OperationalError, InterfaceError, InternalError)
PUT_DOWN_PAUSES_SECONDS = (0.1, 0.5, 1, 2, 4)


def work_slice(
    owner: str,
    seconds: float = SLICE_SECONDS,
    job_id: int | None = None,
    may_last: Callable[[Job], bool] = lambda _job: False,
) -> bool:
    """Work for about ``seconds`` on the job whose turn it is (or on this one): claim a chunk and
    commit every second or so.  Go on with it up to ``LONGEST_SLICE_SECONDS`` as long as it
    ``may_last``, which is asked between commits: to take on a chunk costs a worker as much as two
    videos.

    Returns whether there was anything to take on; False also when all that is left is in other
    hands, waits for a later try or hour, or is paused, cancelled or finished.
    """
    held = claim(owner, job_id)
    if held is None:
        finish_what_is_complete()
        return False
    job = held.job
    try:
        work_on(job, held, seconds, may_last)
    except LostChunk:
        logger.warning("job %s: chunk %s was taken over", job.pk, held.chunk_id)
    except Halted as reason:
        held.release()
        halt(job, held, str(reason))
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
            fail(job.pk, f"Attachment {held.next_id}: {error!r}")
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
        fail(job.pk, str(error))
    except DATABASE_TROUBLE:
        raise
    except Exception as error:  # or it would be planned for ever, in the way of all other jobs
        logger.exception("job %s cannot be planned", job.pk)
        fail(job.pk, repr(error))
    finish_if_complete(job.pk)
    job.refresh_from_db()


def work_on(job: Job, held: Claim, seconds: float, may_last: Callable[[Job], bool]) -> None:
    """Checkpoint after checkpoint, until ``seconds`` are over (see ``work_slice``), the chunk's
    end or a change of mind.

    Raises:
        LostChunk, Halted: see there.
    """
    worker = Worker(job, held)
    began = time.monotonic()
    deadline = began + seconds
    try:
        while held.is_open and worker.may_go_on():
            now = time.monotonic()
            # Before the last checkpoint, not after it: towards the end nothing is read ahead.  And
            # for no longer than that takes: a consumer that is told to stop waits for the end.
            if now + CHECKPOINT_SECONDS >= deadline and may_last(job):
                longer = now + 1.5 * CHECKPOINT_SECONDS
                deadline = max(deadline, min(longer, began + LONGEST_SLICE_SECONDS))
            worker.checkpoint(deadline)
            if time.monotonic() >= deadline and not worker.has_begun_next:
                return
    finally:
        worker.close()


def others_wait(job: Job) -> bool:
    """Whether there are other jobs of which a worker could take something on now."""
    others = Job.objects.exclude(pk=job.pk).filter(status__in=Job.IN_WORK)
    # Mostly there are none, and to put the whole question takes longer than the first half of it.
    return others.exists() and others.with_work(timezone.now()).exists()


def run_inline(job: Job, on_progress: Callable[[Progress], None]) -> None:
    """Plan and work on the job in this process until it is over or paused, beside whoever else
    does; ``job`` is read again before each ``on_progress``."""
    owner = owner_name()
    errors: list[Exception] = []

    def tell(_job: Job) -> bool:
        try:
            job.refresh_from_db()
            on_progress(progress(job))
        except DATABASE_TROUBLE:
            raise
        except Exception as error:  # of those who look on; no item is to be blamed for it
            errors.append(error)
        return not errors

    release_dead()
    while tell(job) and not job.is_finished and job.status != Job.Status.PAUSED:
        if plan_slice(CHECKPOINT_SECONDS, job.pk):
            pass
        elif not work_slice(owner, CHECKPOINT_SECONDS, job.pk, tell):
            job.refresh_from_db()
            if not job.is_finished:
                # Others hold what is left, one of them perhaps dead, or it waits for its hour.
                time.sleep(IDLE_SECONDS)
                release_dead()
    if errors:
        raise errors[0]
