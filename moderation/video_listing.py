"""How the rows of the list of videos are found: by the filter that leaves fewest, or along the
index of the order.  Databases do not know which filter that is, so it is counted."""

from functools import reduce
from operator import and_
from typing import Any

from django.db.models import Q, QuerySet

from chat.index_scan import tested
from chat.models import Attachment
from moderation.list_walks import Listing, Order
from moderation.long_lists import COUNT_LIMIT, LIMIT_OF_SEVERAL, bounded_counts
from moderation.video_filters import VideoFilter
from moderation.video_orders import ORDERS

Rows = QuerySet[Any]


# So many rows are found by one filter and tested for the others: in the table, and in an index
# that carries what is tested.
FOUND, FOUND_IN_INDEX = 10_000, 25_000
IN_INDEX = frozenset().union(*(order.narrowed_by for order in ORDERS.values()))


def listing(filters: VideoFilter, every: Rows, order: Order, *, descending: bool) -> Listing:
    """The list in this order: of ``every`` row, those that the filters leave."""
    names = filters.in_force
    several = len(names) > 1
    limit = LIMIT_OF_SEVERAL if several else COUNT_LIMIT
    ranges = names & order.narrowed_by
    if not several and order.fields[0] == "created_at":
        ranges |= filters.one_value
    found: Rows | None = every
    count = None
    if several:
        best = quickest(filters)
        found = found_by(filters, every, best) if best else None
    else:
        found = found_by(filters, every, *names) if names else every
        counted = filters.ids_by(*names) if names else Attachment.objects.videos()
        (count,) = bounded_counts([counted], limit)
    return Listing(
        every=every,
        found=found,
        ranges=all_of(filters, ranges) or Q(),
        tests=all_of(filters, names - ranges),
        order=order,
        descending=descending,
        limit=limit,
        known_count=count,
    )


def quickest(filters: VideoFilter) -> str | None:
    """The filter by which the rows are found with the least work; None where by each of them it is
    more than walking along the order."""
    names = sorted(filters.in_force)
    limits = [FOUND_IN_INDEX if name in IN_INDEX else FOUND for name in names]
    counts = bounded_counts([filters.ids_by(name) for name in names], limits)
    shares = [count / limit for count, limit in zip(counts, limits, strict=True)]
    least, best = min(zip(shares, names, strict=True))
    return best if least <= 1 else None


def found_by(filters: VideoFilter, every: Rows, best: str) -> Rows:
    """Found by this filter, tested for the others."""
    found = filters.by_condition(every, best, None)
    rest = all_of(filters, filters.in_force - {best})
    return found if rest is None else found.filter(tested(rest))


def all_of(filters: VideoFilter, names: frozenset[str]) -> Q | None:
    conditions = [filters.condition(name) for name in sorted(names)]
    return reduce(and_, conditions) if conditions else None
