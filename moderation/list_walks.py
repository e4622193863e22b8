"""A page of a list in any of its orders, under any filter, of a million rows: found without
sorting or skipping them all.

There are two ways.  Where few rows match, they are found by the filters and sorted.  Where many
do, the index of the order is walked from where the page begins, and the rows that do not match are
left out; a page is named by the row before it, not by a number.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from django.db.models import F, Q, QuerySet
from django.db.models.expressions import OrderBy

from moderation.long_lists import bounded_count

# So many are found and sorted, and have numbered pages; more are walked through.
FEW = 2_500
# Rows of the index looked at in turns.  A walk that has found too little by then meets rows that
# the filters hardly ever leave: unless so many match that sorting is dearer, they are sorted.
WINDOWS = (0, 400, 4_000, 12_000)
STILL_SORTED = 100_000
LAST = "last"  # before it lies the last page

Rows = QuerySet[Any]


@dataclass(frozen=True, slots=True)
class Order:
    """``fields`` in the order of an index, after what all rows of the list have alike; the last
    is the id.  Rows that do not know the first (a number) come last, whatever the direction.

    ``narrowed_by``: the filters that the same index answers, or one that goes on like it.
    """

    fields: tuple[str, ...]
    nullable: bool = False
    narrowed_by: frozenset[str] = frozenset()

    def of_few(self, *, descending: bool) -> list[OrderBy]:
        return [
            F(name).desc(nulls_last=True) if descending else F(name).asc(nulls_last=True)
            for name in self.fields
        ]


@dataclass(frozen=True, slots=True)
class Run:
    """A range of the index: its rows and their order."""

    condition: Q
    fields: tuple[str, ...]

    def of(self, rows: Rows) -> Rows:
        return rows.filter(self.condition).order_by(*self.fields)


def runs(
    order: Order, *, descending: bool, backwards: bool = False, beyond: Any = None
) -> Iterator[Run]:
    """The ranges that make up a list from its start, or from its end backwards; or what is
    beyond a row of it."""
    first = order.fields[0]
    blocks = [(Q(), order.fields)]
    if order.nullable:
        blocks = [
            (Q(**{f"{first}__gte": 0}), order.fields),
            (Q(**{f"{first}__isnull": True}), order.fields[1:]),
        ]
    if backwards:
        blocks.reverse()
    downwards = descending != backwards
    sign, comparison = ("-", "lt") if downwards else ("", "gt")
    if beyond is not None:
        if order.nullable and (getattr(beyond, first) is None) != (first not in blocks[0][1]):
            blocks.pop(0)
        condition, fields = blocks.pop(0)
        for length in reversed(range(len(fields))):
            alike = {name: getattr(beyond, name) for name in fields[:length]}
            value = getattr(beyond, fields[length])
            if value is None:
                continue  # so is it in all that follow
            further = {f"{fields[length]}__{comparison}": value}
            yield Run(
                condition & Q(**alike, **further), tuple(sign + name for name in fields[length:])
            )
    for condition, fields in blocks:
        yield Run(condition, tuple(sign + name for name in fields))


def unchanged(rows: Rows) -> Rows:
    return rows


@dataclass(frozen=True)
class Listing:
    """``every`` row, with what is shown of it; the same narrowed by all filters, as they are best
    looked for (``sought``); narrowed by those alone that go with the order (``narrowed``), and
    what tests a row for the others, if there are any.

    ``count`` is at most ``limit + 1``, which means "more".
    """

    every: Rows
    sought: Rows
    narrowed: Rows
    test: Callable[[Rows], Rows] | None
    order: Order
    descending: bool
    limit: int
    count: int = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "count", bounded_count(self.sought, self.limit))

    @property
    def are_few(self) -> bool:
        return self.count <= FEW

    @property
    def few(self) -> Rows:
        """All that match, sorted; only where they are few."""
        return self._sorted(FEW)

    def _sorted(self, most: int) -> Rows:
        ids = self.sought.order_by().values("pk")[:most]
        found = self.every.filter(pk__in=ids)
        return found.order_by(*self.order.of_few(descending=self.descending))

    def walk(self, wanted: int, *, backwards: bool = False, beyond: Any = None) -> list[Any]:
        """The first so many from the start or the end, or beyond a row; in the list's order."""
        found: list[Any] = []
        for run in runs(
            self.order, descending=self.descending, backwards=backwards, beyond=beyond
        ):
            found += self._read(run, wanted - len(found))
            if len(found) >= wanted:
                break
        return found[::-1] if backwards else found

    def _read(self, run: Run, wanted: int) -> list[Any]:
        along = run.of(self.narrowed)
        if self.test is None:
            return list(along[:wanted])
        found: list[Any] = []
        for start, stop in pairwise(WINDOWS):
            window = self.every.filter(pk__in=along.values("pk")[start:stop])
            found += self.test(window).order_by(*run.fields)[: wanted - len(found)]
            if len(found) >= wanted or (not start and not along.values("pk")[stop:][:1].exists()):
                return found
        if bounded_count(self.sought, STILL_SORTED) <= STILL_SORTED:
            along = run.of(self.every.filter(pk__in=self.sought.order_by().values("pk")))
            return list(along[:wanted])
        return found + list(self.test(along)[len(found) : wanted])

    def beside(self, row: Any) -> tuple[Any, Any]:
        """The rows before and after this one, None where it is the first or the last."""
        if self.are_few:
            ids = list(self.few.values_list("pk", flat=True))
            place = ids.index(row.pk) if row.pk in ids else None
            if place is None:
                return None, None
            near = self.every.in_bulk(
                [*ids[max(0, place - 1) : place], *ids[place + 1 : place + 2]]
            )
            before = near.get(ids[place - 1]) if place else None
            return before, near.get(ids[place + 1]) if place + 1 < len(ids) else None
        before = self.walk(1, backwards=True, beyond=row)
        after = self.walk(1, beyond=row)
        return before[0] if before else None, after[0] if after else None


@dataclass(frozen=True, slots=True)
class Asked:
    """The page that an address asks for; ``after`` and ``before`` are ids of rows."""

    per_page: int
    page: int = 1
    after: int = 0
    before: int = 0
    is_last: bool = False


@dataclass(frozen=True, slots=True)
class ListPage:
    """``number`` of ``pages``, where they are few enough to be numbered; else whether there is
    something before and after."""

    rows: list[Any]
    count: int
    limit: int
    per_page: int
    number: int = 0
    pages: int = 0
    has_previous: bool = False
    has_next: bool = False

    @property
    def first_id(self) -> int:
        return int(self.rows[0].pk)

    @property
    def last_id(self) -> int:
        return int(self.rows[-1].pk)


def page_of(listing: Listing, asked: Asked) -> ListPage:
    """What is asked for; the first page where the address does not fit the list any more."""
    return numbered_page(listing, asked) if listing.are_few else walked_page(listing, asked)


def numbered_page(listing: Listing, asked: Asked) -> ListPage:
    size = asked.per_page
    pages = max(1, -(-listing.count // size))
    number = pages if asked.is_last else min(max(1, asked.page), pages)
    if near := asked.after or asked.before:
        # An address from when there were more: the page that now has what came next to it.
        ids = list(listing.few.values_list("pk", flat=True))
        if near in ids:
            place = ids.index(near) + (1 if asked.after else -1)
            number = min(max(0, place) // size + 1, pages)
    rows = list(listing.few[(number - 1) * size : number * size])
    return ListPage(
        rows, listing.count, listing.limit, size, number, pages, number > 1, number < pages
    )


def walked_page(listing: Listing, asked: Asked) -> ListPage:
    size = asked.per_page
    near = asked.after or asked.before
    row = listing.every.filter(pk=near).first() if near else None
    backwards = asked.is_last or (row is not None and not asked.after)
    rows = listing.walk(size + 1, backwards=backwards, beyond=row)
    if row is not None and len(rows) < (size if backwards else 1):
        # The first page is a whole one; past the end is the last.
        return walked_page(listing, Asked(size, is_last=not backwards))
    more = len(rows) > size
    rows = (rows[1:] if backwards else rows[:-1]) if more else rows
    return ListPage(
        rows,
        listing.count,
        listing.limit,
        size,
        has_previous=more if backwards else row is not None,
        has_next=(row is not None) if backwards else more,
    )
