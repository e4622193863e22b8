"""Pages of a list by its keys: the deepest costs what the first does; new rows move nothing."""

from dataclasses import dataclass
from typing import Any

from django.db.models import QuerySet


@dataclass(frozen=True, slots=True)
class KeysetPage:
    """Rows, newest first; keys to go on from, None at the list's ends."""

    rows: list[Any]
    newer_than: int | None
    older_than: int | None


def page_by_key(
    rows: QuerySet[Any], size: int, *, before: int | None = None, after: int | None = None
) -> KeysetPage:
    """The page of ``rows`` older than the key ``before``, or just newer than ``after`` (0: the
    oldest page), else the newest."""
    if after is not None:
        found = list(rows.filter(pk__gt=after).order_by("pk")[: size + 1])
        if len(found) == size + 1:
            return page_of(rows, found[:size][::-1], newer=True)
        before = None  # that is the newest page: show it whole
    older = rows if before is None else rows.filter(pk__lt=before)
    found = list(older.order_by("-pk")[: size + 1])
    newer = before is not None and rows.filter(pk__gte=before)[:1].exists()
    return page_of(rows, found[:size], newer=newer, older=len(found) > size)


def page_of(
    rows: QuerySet[Any], found: list[Any], *, newer: bool, older: bool | None = None
) -> KeysetPage:
    if older is None:
        older = rows.filter(pk__lt=found[-1].pk).order_by("-pk")[:1].exists()
    return KeysetPage(
        rows=found,
        newer_than=found[0].pk if newer and found else None,
        older_than=found[-1].pk if older else None,
    )
