"""Pages of a list by its keys: the deepest costs what the first does; new rows move nothing."""

from dataclasses import dataclass
from typing import Any

from django.db.models import QuerySet

from moderation.long_lists import bounded_counts


@dataclass(frozen=True, slots=True)
class KeysetPage:
    """Rows, newest first; keys to go on from, None at the list's ends; how many match, at most
    one more than were to be counted."""

    rows: list[Any]
    newer_than: int | None
    older_than: int | None
    count: int


def page_by_key(
    rows: QuerySet[Any],
    size: int,
    limit: int,
    *,
    before: int | None = None,
    after: int | None = None,
) -> KeysetPage:
    """The page of ``rows`` older than the key ``before``, or just newer than ``after`` (0: the
    oldest page), else the newest; counted up to ``limit``."""
    if after is not None:
        found = list(rows.filter(pk__gt=after).order_by("pk")[: size + 1])
        if len(found) > size:
            found = found[:size][::-1]
            first, last = found[0].pk, found[-1].pk
            count, older = bounded_counts([rows, rows.filter(pk__lt=last)], [limit, 0])
            return KeysetPage(found, first, last if older else None, count)
        before = None  # that is the newest page: show it whole
    there = rows if before is None else rows.filter(pk__lt=before)
    found = list(there.order_by("-pk")[: size + 1])
    beside = [] if before is None else [rows.filter(pk__gte=before)]
    count, *newer = bounded_counts([rows, *beside], [limit, *(0 for _ in beside)])
    shown = found[:size]
    return KeysetPage(
        rows=shown,
        newer_than=shown[0].pk if any(newer) and shown else None,
        older_than=shown[-1].pk if len(found) > size else None,
        count=count,
    )
