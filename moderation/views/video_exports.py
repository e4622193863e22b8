"""Videos as CSV: what the filters leave, or what was ticked, streamed, however many."""

from collections.abc import Iterator, Sequence
from typing import Any, cast

from django.contrib.auth.models import User
from django.http import HttpRequest, StreamingHttpResponse

from chat.models import ActivityLog, Attachment
from chat.services import activity
from chat.services.activity import Actor
from moderation.forms import filters_in, selected_ids
from moderation.list_walks import Listing
from moderation.video_filters import VideoFilter
from moderation.video_listing import listing
from moderation.video_orders import ORDERS, order_named
from moderation.views.job_exports import csv_response
from moderation.views.pages import dashboard_page

ROWS_AT_ONCE = 1_000
COLUMNS = (
    "id", "name", "conversation_id", "conversation", "uploader", "added", "bytes", "seconds",
    "width", "height", "codec", "sound", "container", "kbit_per_second", "frames_per_second",
    "state", "failure", "visibility", "sha256",
)  # fmt: skip


@dashboard_page
def videos_csv(request: HttpRequest) -> StreamingHttpResponse:
    """In the order of the list; that somebody took it is an entry of the activity log."""
    every = Attachment.objects.videos().select_related("conversation", "uploaded_by")
    ids = () if request.GET.get("everything") else selected_ids(request.GET)
    if ids:
        every = every.filter(pk__in=ids)
    filters = VideoFilter({} if ids else filters_in(request.GET), every)
    sort, descending = order_named(request.GET.get("sort", ""))
    found = listing(filters, every, ORDERS[sort], descending=descending)
    if request.method != "HEAD":
        details: dict[str, Any] = {"filters": [words for _, words in filters.chips]}
        if ids:
            details = {"videos": list(ids)}
        actor, user = Actor.from_request(request), cast("User", request.user)
        activity.record(ActivityLog.Action.VIDEOS_EXPORTED, actor, user, details=details)
    return csv_response("videos", COLUMNS, (row_of(video) for video in in_batches(found)))


def in_batches(found: Listing) -> Iterator[Attachment]:
    """Each batch is queries of its own: no transaction is held open by a slow client."""
    last = None
    while batch := found.walk(ROWS_AT_ONCE, beyond=last):
        yield from batch
        last = batch[-1]


def row_of(video: Attachment) -> Sequence[object]:
    values = (
        video.pk, video.original_name, video.conversation_id, video.conversation,
        video.uploaded_by, video.created_at.isoformat(timespec="seconds"), video.size,
        video.duration, video.width, video.height, video.codec, video.audio_codec,
        video.container, video.bitrate, video.frame_rate, video.processing_state,
        video.failure_code, video.visibility, video.sha256,
    )  # fmt: skip
    return ["" if value is None else value for value in values]
