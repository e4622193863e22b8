"""What the list of videos can be sorted by: an index each (see ``chat.video_indexes``)."""

from moderation.list_walks import Order

ORDERS = {
    "added": Order(("created_at", "id"), narrowed_by=frozenset({"added", "date_from", "date_to"})),
    "name": Order(("original_name", "id")),
    "duration": Order(
        ("duration", "id"),
        unknown=("duration",),
        narrowed_by=frozenset({"duration_min", "duration_max"}),
    ),
    "size": Order(("size", "id"), narrowed_by=frozenset({"size_min", "size_max"})),
    "dimensions": Order(
        ("width", "height", "created_at", "id"),
        unknown=("width", "height"),
        narrowed_by=frozenset({"width_min", "width_max"}),
    ),
    "bitrate": Order(
        ("bitrate", "id"),
        unknown=("bitrate",),
        narrowed_by=frozenset({"bitrate_min", "bitrate_max"}),
    ),
    "codec": Order(("codec", "created_at", "id"), narrowed_by=frozenset({"codec"})),
    "state": Order(("processing_state", "created_at", "id"), narrowed_by=frozenset({"state"})),
}
DEFAULT_ORDER = "-added"


def order_named(sort: str) -> tuple[str, bool]:
    """(a name in ORDERS, whether it descends) of ``-size``; nonsense means the default."""
    if sort.removeprefix("-") not in ORDERS:
        sort = DEFAULT_ORDER
    return sort.removeprefix("-"), sort.startswith("-")
