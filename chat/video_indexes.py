"""The indexes by which lists of a million videos are found and ordered.

Along the index of an order the other filters are tested: it carries the columns that they ask
for, so that a row is looked at in its table only when it is shown.  A table's row is some twenty
times as dear as an entry of an index.
"""

from django.db import models
from django.db.models import F
from django.db.models.functions import Length

# What the orders' indexes carry: what filters ask for.
CARRIED = (
    "codec", "audio_codec", "container", "processing_state", "failure_code", "visibility",
    "conversation", "uploaded_by", "created_at", "duration", "size", "width", "height", "bitrate",
)  # fmt: skip
# The orders of the dashboard's list (see moderation.video_orders): index → fields, which come
# after ``kind`` and before the id, and what it carries besides.  Hardly a video without a poster
# has numbers: a walk along these meets all others first.
ORDERS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "video_by_date": (("created_at",), ()),
    "video_by_name": (("original_name",), ()),
    "video_by_duration": (("duration",), ("thumbnail",)),
    "video_by_size": (("size",), ()),
    "video_by_bitrate": (("bitrate",), ("thumbnail",)),
    "video_by_dimensions": (("width", "height", "created_at"), ("thumbnail",)),
    "video_by_codec": (("codec", "created_at"), ()),
    "video_by_state": (("processing_state", "created_at"), ()),
}
# Fields of which the list is narrowed to one value, newest first.
DATED = (
    "audio_codec", "container", "failure_code", "visibility", "uploaded_by", "conversation",
)  # fmt: skip


def carrying(name: str, fields: tuple[str, ...], besides: tuple[str, ...]) -> models.Index:
    others = [field for field in CARRIED if field not in fields]
    return models.Index(fields=["kind", *fields, "id", *others, *besides], name=name)


VIDEO_INDEXES = [
    *(carrying(name, *columns) for name, columns in ORDERS.items()),
    *(
        models.Index(fields=["kind", field, "created_at", "id"], name=f"video_{field}_date")
        for field in DATED
    ),
    models.Index(fields=["kind", "height", "id"], name="attachment_by_height"),
    models.Index("kind", F("width") - F("height"), "id", name="attachment_by_shape"),
    models.Index("kind", Length("thumbnail"), "created_at", "id", name="attachment_poster"),
]
