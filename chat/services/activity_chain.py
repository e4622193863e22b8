"""The chain over the activity log: what makes a change behind the triggers visible.

Each entry gets a *seal*, with a number of its own, in the order of sealing::

    entry digest = SHA-256(canonical entry)
    hash of N    = SHA-256(hash of N-1 ‖ N as 8 bytes, big-endian ‖ entry digest of N)

where the hash before the first seal is 32 zero bytes.  The *canonical entry* is the JSON array of
the columns in ``COLUMNS``, in that order, as UTF-8: no spaces, keys of objects sorted, everything
beyond ASCII escaped, times as ``2026-11-24T23:05:00.123456+00:00`` in UTC.

Entries are sealed seconds after they are committed, by ``seal_some``, and not by who writes them:
a chain is one line, and writers that each waited for its end would wait for each other.  A trigger
lists what is to be sealed, so nothing that commits late is passed over.
"""

import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC
from hashlib import sha256
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import Exists, OuterRef

from chat.models import ActivityLog, ActivitySeal, UnsealedEntry

COLUMNS = (
    "id", "created_at", "action", "outcome", "actor_id", "actor_name", "job_id", "ip_address",
    "object_type", "object_id", "object_label", "conversation_id", "details",
)  # fmt: skip
FIRST_PREVIOUS = bytes(32)
Bytes = bytes | memoryview  # as databases give them back
# Few enough that a web worker's write does not notice them on SQLite.
SEALED_AT_ONCE = 500
VERIFIED_AT_ONCE = 2_000


def canonical(row: Sequence[Any]) -> bytes:
    """The bytes of an entry that its hash is over; ``row`` has the values of ``COLUMNS``."""
    number, created_at, *others = row
    written = created_at.astimezone(UTC).isoformat(timespec="microseconds")
    values = [number, written, *others]
    return json.dumps(values, sort_keys=True, separators=(",", ":")).encode()


def link(previous_hash: bytes, number: int, entry_digest: bytes) -> bytes:
    return sha256(previous_hash + number.to_bytes(8, "big") + entry_digest).digest()


# --- Sealing ------------------------------------------------------------------------------------


class SealedByAnotherError(Exception):
    """Of several that seal at once, one does it; the others find their entries gone."""


def seal_some(limit: int = SEALED_AT_ONCE) -> int:
    """Seal the oldest entries that wait, in the order of their ids; returns how many.

    Any number may run at once: an entry is sealed by whoever takes it off the list.
    """
    # One that is gone stays on the list, for `verify_activity_log` to name.
    there = Exists(ActivityLog.objects.filter(pk=OuterRef("pk")))
    waiting = UnsealedEntry.objects.filter(there).values_list("entry_id", flat=True)
    rows = ActivityLog.objects.filter(pk__in=list(waiting[:limit])).order_by("pk")
    # Before the transaction: entries do not change, and on SQLite everybody waits for it.
    digests = {row[0]: sha256(canonical(row)).digest() for row in rows.values_list(*COLUMNS)}
    if not digests:
        return 0
    try:
        with transaction.atomic():
            taken, _ = UnsealedEntry.objects.filter(pk__in=list(digests)).delete()
            if taken != len(digests):
                raise SealedByAnotherError
            ActivitySeal.objects.bulk_create(seals(head(), digests))
    except (SealedByAnotherError, IntegrityError):
        return 0
    return taken


def seal_for(seconds: float) -> None:
    """Until nothing waits, or the time is over."""
    until = time.monotonic() + seconds
    while seal_some() and time.monotonic() < until:
        pass


def seals(last: "Head", digests: dict[int, bytes]) -> Iterator[ActivitySeal]:
    number, previous = last.number, last.hash
    for entry_id, entry_digest in digests.items():
        number += 1
        own = link(previous, number, entry_digest)
        yield ActivitySeal(number=number, entry_id=entry_id, previous_hash=previous, hash=own)
        previous = own


# --- The head -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Head:
    """The last seal: written down elsewhere, it proves later what was sealed until then."""

    number: int
    hash: bytes

    def __str__(self) -> str:
        return f"{self.number}:{self.hash.hex()}"

    @classmethod
    def parse(cls, text: str) -> "Head":
        """Raises ValueError for what ``str`` of a head does not look like."""
        number, _, digest = text.strip().partition(":")
        found = cls(int(number), bytes.fromhex(digest))
        if found.number < 0 or len(found.hash) != 32:
            raise ValueError(f"{text!r} is no head")
        return found

    @property
    def is_in_the_chain(self) -> bool:
        if self.number == 0:
            return self.hash == FIRST_PREVIOUS
        stored = ActivitySeal.objects.filter(pk=self.number).values_list("hash", flat=True).first()
        return stored is not None and bytes(stored) == self.hash


def head(until: int | None = None) -> Head:
    """The last seal (of those up to the number ``until``); number 0 when there is none."""
    chain = ActivitySeal.objects.order_by("-number")
    if until is not None:
        chain = chain.filter(number__lte=until)
    last = chain.values_list("number", "hash").first()
    return Head(last[0], bytes(last[1])) if last else Head(0, FIRST_PREVIOUS)


# --- Verifying ----------------------------------------------------------------------------------


class BrokenChainError(Exception):
    """The log is not what was sealed; the message names the first entry or seal."""


@dataclass(frozen=True, slots=True)
class Span:
    """Numbers of the first and last seal to look at."""

    first: int
    last: int

    @classmethod
    def of_entries(cls, first: int | None, last: int | None) -> "Span":
        """Of the seals of entries ``first`` to ``last`` (ids; None: the ends of the chain)."""
        by_entry = ActivitySeal.objects.values_list("number", flat=True)
        start = by_entry.filter(entry_id__gte=first).order_by("entry_id").first() if first else 1
        if last is None:
            return cls(start or head().number + 1, head().number)
        end = by_entry.filter(entry_id__lte=last).order_by("-entry_id").first()
        return cls(start or head().number + 1, end or 0)


def verify(span: Span) -> Iterator[int]:
    """Follow the chain over ``span``; yields how many seals were found right, batch by batch.

    Memory is bounded by a batch.  Raises ``BrokenChainError``.
    """
    last = head(until=span.first - 1)
    if last.number != span.first - 1:
        raise BrokenChainError(f"Seal {last.number + 1} is missing.")
    while last.number < span.last:
        following = ActivitySeal.objects.filter(number__gt=last.number, number__lte=span.last)
        stored = following.values_list("number", "entry_id", "previous_hash", "hash")
        batch = list(stored.order_by("number")[:VERIFIED_AT_ONCE])
        if not batch:
            raise BrokenChainError(f"Seal {last.number + 1} is missing.")
        last = verify_batch(last, batch)
        yield len(batch)


def verify_batch(last: Head, batch: Sequence[tuple[int, int, Bytes, Bytes]]) -> Head:
    rows = ActivityLog.objects.filter(pk__in=[entry_id for _, entry_id, _, _ in batch])
    entries = {row[0]: row for row in rows.values_list(*COLUMNS).order_by()}
    for number, entry_id, previous_hash, own_hash in batch:
        if number != last.number + 1:
            raise BrokenChainError(f"Seal {last.number + 1} is missing.")
        if bytes(previous_hash) != last.hash:
            raise BrokenChainError(
                f"Entry {entry_id} (seal {number}) does not follow the one sealed before it:"
                " seals were reordered, or one was written anew."
            )
        if entry_id not in entries:
            raise BrokenChainError(f"Entry {entry_id} (seal {number}) is missing.")
        digest = sha256(canonical(entries[entry_id])).digest()
        if link(last.hash, number, digest) != bytes(own_hash):
            raise BrokenChainError(f"Entry {entry_id} (seal {number}) was altered.")
        last = Head(number, bytes(own_hash))
    return last


def verify_no_stranger(first: int | None, last: int | None) -> None:
    """Every entry is sealed or waits for its seal, and what waits is there.

    Raises ``BrokenChainError``.
    """
    entries = ActivityLog.objects.order_by("pk")
    waiting = UnsealedEntry.objects.order_by("pk")
    if first is not None:
        entries, waiting = entries.filter(pk__gte=first), waiting.filter(pk__gte=first)
    if last is not None:
        entries, waiting = entries.filter(pk__lte=last), waiting.filter(pk__lte=last)
    strangers = entries.filter(
        ~Exists(ActivitySeal.objects.filter(entry_id=OuterRef("pk"))),
        ~Exists(UnsealedEntry.objects.filter(pk=OuterRef("pk"))),
    )
    for entry_id in strangers.values_list("pk", flat=True)[:1]:
        raise BrokenChainError(f"Entry {entry_id} was slipped in, or lost its seal.")
    lost = waiting.filter(~Exists(ActivityLog.objects.filter(pk=OuterRef("pk"))))
    for entry_id in lost.values_list("pk", flat=True)[:1]:
        raise BrokenChainError(f"Entry {entry_id}, which waited for its seal, is missing.")
