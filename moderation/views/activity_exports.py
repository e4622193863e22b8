"""The activity log as CSV and as JSON Lines: what the filters leave, streamed, however much."""

import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, cast

from django.contrib.auth.models import User
from django.http import HttpRequest, StreamingHttpResponse

from chat.models import ActivityLog
from chat.services import activity
from chat.services.activity import Actor
from moderation.views.activity import activity_filter
from moderation.views.job_exports import csv_response
from moderation.views.pages import dashboard_page

ROWS_AT_ONCE = 1_000
COLUMNS = (
    "id", "created_at", "actor_name", "actor_id", "job_id", "action", "outcome", "object_type",
    "object_id", "object_label", "conversation_id", "ip_address", "details",
)  # fmt: skip

Row = Sequence[Any]


@dashboard_page
def activity_csv(request: HttpRequest) -> StreamingHttpResponse:
    rows = exported(request, "csv")
    return csv_response("activity", COLUMNS, (csv_row(row) for row in rows))


@dashboard_page
def activity_jsonl(request: HttpRequest) -> StreamingHttpResponse:
    response = StreamingHttpResponse(
        json_lines(exported(request, "jsonl")), content_type="application/jsonl; charset=utf-8"
    )
    response.headers["Content-Disposition"] = 'attachment; filename="activity.jsonl"'
    response.headers["Cache-Control"] = "no-store"
    return response


def csv_row(row: Row) -> Row:
    number, created_at, *others, details = row
    written = json.dumps(details, ensure_ascii=False) if details else ""
    return (number, created_at.isoformat(), *("" if v is None else v for v in others), written)


def json_lines(rows: Iterable[Row]) -> Iterator[str]:
    for number, created_at, *others in rows:
        values = (number, created_at.isoformat(), *others)
        yield json.dumps(dict(zip(COLUMNS, values, strict=True)), ensure_ascii=False) + "\n"


def exported(request: HttpRequest, form: str) -> Iterator[Row]:
    """Rows of ``COLUMNS``, newest first, as they are now; that somebody took them is an entry."""
    if request.method == "HEAD":
        return iter(())
    filters = activity_filter(request)
    actor, user = Actor.from_request(request), cast("User", request.user)
    details = {"as": form, "filters": [words for _, words in filters.chips]}
    action = ActivityLog.Action.ACTIVITY_EXPORTED
    entry = activity.record(action, actor, user, details=details)
    return in_batches(filters.qs.values_list(*COLUMNS), before=entry.pk)


def in_batches(rows: Any, before: int) -> Iterator[Row]:
    """By key, each batch a query of its own: no transaction is held open by a slow client."""
    while batch := list(rows.filter(pk__lt=before).order_by("-pk")[:ROWS_AT_ONCE]):
        yield from batch
        before = batch[-1][0]
