"""Who works on which chunk: claims under a lease, commits behind a fence.

Any number of workers may claim at once, be killed, or freeze and come back beside their
replacement: an item's effects and the cursor that says it is done are written in one
transaction, which first checks that the claim still holds.

A chunk that lost its worker, or whose slice an error ended, is split: the items that may have been
in work stay in it, are worked on one at a time, and the one that keeps ending workers is given up;
the others go on elsewhere.
"""

import os
import socket
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

from django.conf import settings
from django.db import models, transaction
from django.db.models import F
from django.utils import timezone

from moderation.id_sets import pack_ids
from moderation.models import Chunk, Failure, Interruption, Job

# At most so many in one commit, where they take less than its second: with 25, two workers that
# read small videos were 3 % slower.
SLICE_ITEMS = 50
# Workers lost without progress from which on the item at the cursor is given up: but for the
# first it was alone in work when they ended.  So many do not follow each other by chance, not even
# where consumers are killed again and again as they start.
GIVE_UP_AT = 5

Skips = dict[str, list[int]]


class LostChunk(Exception):
    """Another worker has claimed the chunk meanwhile, or it is gone, or its job is over: discard
    and go on."""


def owner_name() -> str:
    """This process, as the owner of a chunk."""
    return f"{socket.gethostname()[:60]}:{os.getpid()}"


def lease(kind: str = "") -> timedelta:
    """For a job of this kind: longer than one video may take, with its second chance."""
    walls: dict[str, float] = {
        Job.Kind.STORYBOARDS: settings.STORYBOARD_WALL_SECONDS,
        Job.Kind.PREVIEWS: settings.PREVIEW_WALL_SECONDS,
    }
    return timedelta(seconds=settings.JOB_LEASE_SECONDS + 3 * walls.get(kind, 0))


@dataclass(slots=True)
class Tally:
    """How the items of one checkpoint ended."""

    ready: int = 0
    failed: int = 0
    dead: int = 0
    waiting: int = 0
    skips: Skips = field(default_factory=dict)

    @property
    def skipped(self) -> int:
        return sum(len(ids) for ids in self.skips.values())

    @property
    def count(self) -> int:
        return self.ready + self.failed + self.dead + self.waiting + self.skipped

    def skip(self, reason: str, attachment_id: int) -> None:
        self.skips.setdefault(str(reason), []).append(attachment_id)


@dataclass(slots=True)
class Claim:
    """One worker's hold on one chunk, from ``claim`` to ``release``."""

    chunk_id: int
    owner: str
    fence: int
    attachment_ids: list[int]
    cursor: int
    attempts: int
    job: Job
    is_retry: bool = False
    skips: Mapping[str, list[int]] = field(default_factory=dict)
    renew_at: float = 0.0  # of time.monotonic: half of the lease is over
    others: int = 0  # jobs that waited for a worker as well
    claimed_at: float = field(default_factory=time.monotonic)

    @property
    def is_open(self) -> bool:
        return self.cursor < len(self.attachment_ids)

    @property
    def isolated(self) -> bool:
        """Whether to work on one item at a time: one of these may end workers."""
        return self.attempts > 0

    @property
    def gives_up(self) -> bool:
        """Whether the item at the cursor is the one, and is not tried again."""
        return self.attempts >= GIVE_UP_AT

    @property
    def next_id(self) -> int | None:
        """The first id that is not done; None when all are."""
        return self.attachment_ids[self.cursor] if self.is_open else None

    def next_ids(self) -> list[int]:
        count = 1 if self.isolated else SLICE_ITEMS
        return self.attachment_ids[self.cursor : self.cursor + count]

    def advance(self, tally: Tally, busy_seconds: float) -> None:
        """Count the next items as done, so, and renew the lease, in the caller's transaction,
        which ``hold`` has begun."""
        changes: dict[str, object] = {"skips": self._skips_with(tally)} if tally.skips else {}
        self._still_mine().update(
            cursor=self.cursor + tally.count,
            attempts=min(self.attempts, 1),
            lease_until=timezone.now() + lease(self.job.kind),
            ready=F("ready") + tally.ready,
            failed=F("failed") + tally.failed,
            dead=F("dead") + tally.dead,
            skipped=F("skipped") + tally.skipped,
            waiting=F("waiting") + tally.waiting,
            busy_seconds=F("busy_seconds") + busy_seconds,
            **changes,
        )

    def advanced(self, tally: Tally) -> None:
        """The transaction with ``advance(tally)`` is committed."""
        self.attempts = min(self.attempts, 1)
        self.cursor += tally.count
        self.skips = self._skips_with(tally)

    def hold(self) -> None:
        """Renew the lease; in the caller's transaction, that locks the chunk.

        A lease that is over is not renewed, even if nobody has taken the chunk yet: another may
        have taken this worker's place under the job's limit.

        Raises:
            LostChunk: the claim holds no longer.
        """
        now, length = timezone.now(), lease(self.job.kind)
        if not self._still_mine().filter(lease_until__gt=now).update(lease_until=now + length):
            raise LostChunk
        self.renew_at = time.monotonic() + length.total_seconds() / 2

    def keeps(self) -> bool:
        """Whether it holds still; renews the lease when half of it is over.  To be called now and
        then while an item takes its time."""
        if time.monotonic() >= self.renew_at:
            try:
                self.hold()
            except LostChunk:
                return False
        return True

    def release(self, *, blame: bool = False) -> None:
        """Let others claim at once.  With ``blame``, one of the items that were in work has ended
        this slice: they are set apart, as after the loss of a worker."""
        with transaction.atomic():
            chunk = self._still_mine().select_for_update().first() if blame else None
            if chunk is not None:
                _set_apart(chunk)
                chunk.save()
            # No lease: it is over, whatever another machine's clock says.
            if self._still_mine().update(owner="", lease_until=None):
                self._let_others_catch_up()

    def _let_others_catch_up(self) -> None:
        """The job has its next turn when each that waited could have had as long a one: a slice
        ends with the item in work, which may be a transcode of minutes."""
        taken_seconds = (time.monotonic() - self.claimed_at) * self.others
        turn_at = timezone.now() + timedelta(seconds=taken_seconds)
        Job.objects.filter(pk=self.job.pk, turn_at__lt=turn_at).update(turn_at=turn_at)

    def _skips_with(self, tally: Tally) -> Skips:
        reasons = {*self.skips, *tally.skips}
        return {
            reason: [*self.skips.get(reason, ()), *tally.skips.get(reason, ())]
            for reason in sorted(reasons)
        }

    def _still_mine(self) -> models.QuerySet[Chunk]:
        return Chunk.objects.filter(pk=self.chunk_id, owner=self.owner, fence=self.fence)


def claim(owner: str, job_id: int | None = None) -> Claim | None:
    """A chunk of the running job whose turn it is (or of this one); None when there is nothing
    to take on.

    Jobs take turns, each as long as those of the others, whatever their sizes and kinds: the one
    with the earliest ``turn_at`` comes first.  (It is an order, no time to wait for.)
    """
    jobs = Job.objects.filter(status=Job.Status.RUNNING).with_work(timezone.now())
    if job_id is not None:
        jobs = jobs.filter(pk=job_id)
    waiting = list(jobs.order_by("turn_at", "pk").values_list("pk", flat=True))
    for pk in waiting:
        with transaction.atomic():
            if held := _claim_of(pk, owner):
                held.others = len(waiting) - 1
                return held
    return None


def _claim_of(job_id: int, owner: str) -> Claim | None:
    # The job's row is locked: the number of its workers is looked at by one at a time.
    job = Job.objects.locked().filter(pk=job_id, status=Job.Status.RUNNING).first()
    if job is None:
        return None
    now = timezone.now()  # the lock may have been waited for
    if job.workers is not None and Chunk.objects.held(now).filter(job=job).count() >= job.workers:
        return None
    chunk = _chunk_of_retries(job, now)  # first: they would else wait for the end of a long job
    if chunk is None:
        free = Chunk.objects.open().free(now).filter(job=job)
        chunk = free.select_for_update(skip_locked=True).order_by("pk").first()
    if chunk is None:
        return None
    if chunk.owner:  # it did not come back to release the chunk
        Interruption.objects.create(
            job_id=chunk.job_id,
            cause=Interruption.Cause.WORKER_LOST,
            owner=chunk.owner,
            attachment_id=chunk.attachment_ids[chunk.cursor],
        )
        _set_apart(chunk)
    chunk.owner = owner
    chunk.fence += 1
    chunk.lease_until = now + lease(job.kind)
    chunk.save()
    Job.objects.filter(pk=job.pk, turn_at__lt=now).update(turn_at=now)
    return Claim(
        chunk.pk,
        owner,
        chunk.fence,
        chunk.attachment_ids,
        chunk.cursor,
        chunk.attempts,
        job,
        chunk.is_retry,
        chunk.skips,
        time.monotonic() + lease(job.kind).total_seconds() / 2,
    )


def _set_apart(chunk: Chunk) -> None:
    """Leave the items that may have been in work, one of which ended it; the rest is a chunk of
    its own, for anyone to take.  The chunk is for the caller to save."""
    chunk.attempts += 1
    ids, end = chunk.attachment_ids, chunk.cursor + SLICE_ITEMS
    if rest := ids[end:]:
        Chunk.of(chunk.job, rest, is_retry=chunk.is_retry).save()
        chunk.packed_ids, chunk.size = pack_ids(ids[:end]), end


def _chunk_of_retries(job: Job, now: datetime) -> Chunk | None:
    """An unsaved chunk of failures whose next try is due."""
    due = Failure.objects.filter(job=job, is_final=False, next_try_at__lte=now)
    ids = list(due.order_by("attachment_id").values_list("attachment_id", flat=True)[:SLICE_ITEMS])
    if not ids:
        return None
    Failure.objects.filter(job=job, attachment__in=ids).update(next_try_at=None)
    return Chunk.of(job, [pk for pk in ids if pk is not None], is_retry=True)


def release_dead() -> int:
    """Release the chunks whose owner ran on this machine and is no more, before their leases
    end; how many.  Taking a living owner for dead costs time only: its fence stops it."""
    host = owner_name().rpartition(":")[0]
    now = timezone.now()
    held = Chunk.objects.held(now).filter(owner__startswith=f"{host}:")
    released = 0
    for pk, owner, fence in held.values_list("pk", "owner", "fence"):
        if not is_alive(int(owner.rpartition(":")[2])):
            mine = Chunk.objects.filter(pk=pk, owner=owner, fence=fence)
            released += mine.update(lease_until=now)
    return released


def is_alive(pid: int) -> bool:
    """Whether a process is there that is not merely waiting to be reaped (on Linux)."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(errors="replace")
    except OSError:  # no /proc here, or it ended just now
        return True
    return not stat.rpartition(")")[2].lstrip().startswith("Z")
