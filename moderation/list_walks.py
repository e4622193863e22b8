"""A page of a list in any of its orders, under any filter, of a million rows: found without
sorting or skipping them all.

There are two ways.  Where few rows match, they are found by the filters and sorted.  Where many
do, the index of the order is walked from where the page begins, and the rows that do not match are
left out; a page is named by the row before it, not by a number.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from django.db.models import F, Q, QuerySet
from django.db.models.expressions import OrderBy

from chat.index_scan import Beyond, tested

# So many are found and sorted, and have numbered pages; more are walked through.  Sorting 10,000
# takes longer than nearly every walk.
FEW = 2_500
LAST = "last"  # before it lies the last page

Rows = QuerySet[Any]


@dataclass(frozen=True, slots=True)
class Order:
    """``fields`` in the order of an index, after what all rows of the list have alike; the last
    is the id.  Rows that do not know the ``unknown`` ones (numbers, the first of the fields) come
    last, whatever the direction.

    ``narrowed_by``: the filters that are ranges of the same index.
    """

    fields: tuple[str, ...]
    unknown: tuple[str, ...] = ()
    narrowed_by: frozenset[str] = frozenset()

    @property
    def blocks(self) -> "list[Block]":
        if not self.unknown:
            return [Block(Q(), self.fields)]
        known = Q(**{f"{self.unknown[0]}__gte": 0})
        unknown = Q(**{f"{name}__isnull": True for name in self.unknown})
        return [Block(known, self.fields), Block(unknown, self.fields[len(self.unknown) :], True)]

    def knows(self, row: Any) -> bool:
        return all(getattr(row, name) is not None for name in self.unknown)

    def of_few(self, *, descending: bool) -> list[OrderBy]:
        return [
            F(name).desc(nulls_last=True) if descending else F(name).asc(nulls_last=True)
            for name in self.fields
        ]


@dataclass(frozen=True, slots=True)
class Block:
    """Rows that know what the order begins with, or those that do not; ``fields`` order them."""

    condition: Q
    fields: tuple[str, ...]
    of_unknown: bool = False


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
    downwards = descending != backwards
    # By what is unknown in all of a block, too: so PostgreSQL sees its index's order.
    fields = tuple(f"-{name}" if downwards else name for name in order.fields)
    blocks = order.blocks[::-1] if backwards else order.blocks
    if beyond is not None:
        place = next(
            n for n, block in enumerate(blocks) if block.of_unknown != order.knows(beyond)
        )
        block, *blocks = blocks[place:]
        values = [getattr(beyond, name) for name in block.fields]
        further = Beyond(block.fields, values, downwards=downwards)
        yield Run(block.condition & Q(further), fields)
    for block in blocks:
        yield Run(block.condition, fields)


@dataclass(frozen=True)
class Listing:
    """``every`` row, with what is shown of it; those ``found`` by the filters, in no order, or
    None where no filter leaves few of them; what of the filters are ``ranges`` of the order's
    index; and what tests a row for the others, None where there are none.

    It is counted up to ``limit``, unless the count is known; one more means "more".
    """

    every: Rows
    found: Rows | None
    ranges: Q
    tests: Q | None
    order: Order
    descending: bool
    limit: int
    known_count: int | None = None

    @cached_property
    def count(self) -> int:
        return len(self.few_ids) if self.known_count is None else self.known_count

    @property
    def are_few(self) -> bool:
        return self.count <= min(FEW, self.limit)

    def few(self, start: int = 0, stop: int | None = None) -> list[Any]:
        """Of all that match, sorted, those from one place to another; only where they are few."""
        return self._rows(self.few_ids[start:stop])

    @cached_property
    def few_ids(self) -> list[int]:
        """Of all that match, sorted; where they are more than are counted, of one more of them."""
        if self.found is None:
            return self._first_ids
        ids = self.found.order_by().values("pk")[: self.limit + 1]
        # Sorted without a LIMIT: for one, databases walk the order's index until they met so many.
        rows = self.every.filter(pk__in=ids)
        rows = rows.order_by(*self.order.of_few(descending=self.descending))
        return list(rows.values_list("pk", flat=True))

    @cached_property
    def _first_ids(self) -> list[int]:
        """From the start of the walk."""
        ids: list[int] = []
        for run in runs(self.order, descending=self.descending):
            ids += self._along(run, self.limit + 1 - len(ids)).values_list("pk", flat=True)
            if len(ids) > self.limit:
                break
        return ids

    def _rows(self, ids: list[int]) -> list[Any]:
        by_id = self.every.in_bulk(ids)
        return [by_id[pk] for pk in ids if pk in by_id]

    def walk(self, wanted: int, *, backwards: bool = False, beyond: Any = None) -> list[Any]:
        """The first so many from the start or the end, or beyond a row; in the list's order."""
        found: list[Any] = []
        for run in runs(
            self.order, descending=self.descending, backwards=backwards, beyond=beyond
        ):
            ids = self._along(run, wanted - len(found)).values("pk")
            found += self.every.filter(pk__in=ids).order_by(*run.fields)
            if len(found) >= wanted:
                break
        return found[::-1] if backwards else found

    def _along(self, run: Run, wanted: int) -> Rows:
        rows = run.of(self.every.filter(self.ranges))
        return (rows if self.tests is None else rows.filter(tested(self.tests)))[:wanted]

    def start(self, wanted: int) -> list[Any]:
        """The first so many; what was counted by walking is not walked again."""
        if self.found is None and wanted <= self.limit:
            return self._rows(self._first_ids[:wanted])
        return self.walk(wanted)

    def beside(self, row: Any) -> tuple[Any, Any]:
        """The rows before and after this one, None where it is the first or the last."""
        if self.are_few:
            ids = self.few_ids
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
        ids = listing.few_ids
        if near in ids:
            place = ids.index(near) + (1 if asked.after else -1)
            number = min(max(0, place) // size + 1, pages)
    rows = listing.few((number - 1) * size, number * size)
    return ListPage(
        rows, listing.count, listing.limit, size, number, pages, number > 1, number < pages
    )


def walked_page(listing: Listing, asked: Asked) -> ListPage:
    size = asked.per_page
    near = asked.after or asked.before
    row = listing.every.filter(pk=near).first() if near else None
    backwards = asked.is_last or (row is not None and not asked.after)
    if row is None and not backwards:
        rows = listing.start(size + 1)
    else:
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
