"""Who works on which chunk: claims under a lease, commits behind a fence.

Any number of workers may claim at once, be killed, or freeze and come back beside their
replacement: an item's effects and the cursor that says it is done are written in one
transaction, which first checks that the claim still holds.

A chunk that keeps ending its worker is worked on one item at a time, until the item at the
cursor is known to be the one, and is given up.
"""

import os
import socket
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from django.conf import settings
from django.db import models, transaction
from django.db.models import F, Q
from django.utils import timezone

from moderation.models import Chunk, Job

SLICE_ITEMS = 25
# Claims without progress, this one included, from which on one item is worked on at a time, and
# from which on the item at the cursor is given up: it was alone in work when the last one ended.
ISOLATE_AT = 3
GIVE_UP_AT = 4


class LostChunk(Exception):
    """Another worker has claimed the chunk meanwhile, or it is gone: discard and go on."""


def owner_name() -> str:
    """This process, as the owner of a chunk."""
    return f"{socket.gethostname()[:60]}:{os.getpid()}"


def lease() -> timedelta:
    return timedelta(seconds=settings.JOB_LEASE_SECONDS)


@dataclass(slots=True)
class Claim:
    """One worker's hold on one chunk, from ``claim`` to ``release``."""

    chunk_id: int
    owner: str
    fence: int
    attachment_ids: list[int]
    cursor: int
    attempts: int
    done: int = 0  # items since the claim

    @property
    def is_open(self) -> bool:
        return self.cursor < len(self.attachment_ids)

    @property
    def isolated(self) -> bool:
        """Whether to work on one item at a time: one of the next ends workers."""
        return self.attempts >= ISOLATE_AT

    @property
    def gives_up(self) -> bool:
        """Whether the item at the cursor is the one, and is not tried again."""
        return self.attempts >= GIVE_UP_AT

    @property
    def last_id(self) -> int:
        """The last id that is done; 0 at the beginning."""
        return self.attachment_ids[self.cursor - 1] if self.cursor else 0

    def next_ids(self) -> list[int]:
        count = 1 if self.isolated else SLICE_ITEMS
        return self.attachment_ids[self.cursor : self.cursor + count]

    def advance(self, count: int, ready: int, failed: int, skipped: int) -> None:
        """Count ``count`` items as done and renew the lease, in the caller's transaction."""
        self._still_mine().update(
            cursor=self.cursor + count,
            attempts=self._attempts_after(count),
            lease_until=timezone.now() + lease(),
            ready=F("ready") + ready,
            failed=F("failed") + failed,
            skipped=F("skipped") + skipped,
        )

    def advanced(self, count: int) -> None:
        """The transaction with ``advance(count)`` is committed."""
        self.attempts = ISOLATE_AT if self._isolated_after(count) else 0
        self.cursor += count
        self.done += count

    def hold(self) -> None:
        """Lock the chunk in the caller's transaction.

        Raises:
            LostChunk: the claim holds no longer.
        """
        if not self._still_mine().update(lease_until=timezone.now() + lease()):
            raise LostChunk

    def release(self, *, blame: bool = False) -> None:
        """Let others claim at once.  With ``blame``, this claim counts as one that ended its
        worker."""
        changes: dict[str, object] = {"owner": "", "lease_until": timezone.now()}
        if not blame and not self.done:
            changes["attempts"] = max(0, self.attempts - 1)
        self._still_mine().update(**changes)

    def _isolated_after(self, count: int) -> bool:
        """Whether the stretch that may hold the item that ends workers goes on after these."""
        return self.isolated and not self.gives_up and self.done + count < SLICE_ITEMS

    def _attempts_after(self, count: int) -> int:
        return ISOLATE_AT - 1 if self._isolated_after(count) else 0

    def _still_mine(self) -> models.QuerySet[Chunk]:
        return Chunk.objects.filter(pk=self.chunk_id, owner=self.owner, fence=self.fence)


def claim(job_id: int, owner: str) -> Claim | None:
    """The first open chunk of a running job that nobody holds; None when there is none."""
    now = timezone.now()
    free = Chunk.objects.filter(job_id=job_id, cursor__lt=F("size")).filter(
        Q(lease_until=None) | Q(lease_until__lte=now)
    )
    with transaction.atomic():
        if not Job.objects.filter(pk=job_id, status=Job.Status.RUNNING).exists():
            return None
        chunk = free.select_for_update(skip_locked=True).order_by("pk").first()
        if chunk is None:
            return None
        chunk.owner = owner
        chunk.fence += 1
        chunk.attempts += 1
        chunk.lease_until = now + lease()
        chunk.save(update_fields=["owner", "fence", "attempts", "lease_until"])
    return Claim(chunk.pk, owner, chunk.fence, chunk.attachment_ids, chunk.cursor, chunk.attempts)


def release_dead() -> None:
    """Release the chunks whose owner ran on this machine and is no more, before their leases
    end.  Taking a living owner for dead costs time only: its fence stops it."""
    host = owner_name().rpartition(":")[0]
    held = Chunk.objects.filter(
        cursor__lt=F("size"), lease_until__gt=timezone.now(), owner__startswith=f"{host}:"
    )
    for pk, owner, fence in held.values_list("pk", "owner", "fence"):
        if not is_alive(int(owner.rpartition(":")[2])):
            mine = Chunk.objects.filter(pk=pk, owner=owner, fence=fence)
            mine.update(lease_until=timezone.now())


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
