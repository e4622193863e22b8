"""The list of videos, as a table or as a grid."""

from typing import Any

from django.contrib.auth.models import User
from django.db.models import Exists, OuterRef, QuerySet
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import render

from chat.models import Attachment, Conversation
from moderation.forms import filters_in
from moderation.list_walks import LAST, Asked, Listing, page_of
from moderation.long_lists import PAGE_SIZES, whole_number
from moderation.pictures import with_storyboards
from moderation.tables import InOrder, VideoTable
from moderation.video_filters import VideoFilter
from moderation.video_listing import listing
from moderation.video_orders import ORDERS, order_named
from moderation.views.pages import dashboard_page, render_page
from moderation.views.saved_views import tabs_of

SUGGESTIONS = 50
GRID = "grid"  # the value of `view` that shows tiles

# What the list shows of each row; the wide texts stay in the database.
SHOWN = (
    "original_name", "duration", "width", "height", "codec", "container", "audio_codec", "bitrate",
    "frame_rate", "size", "thumbnail", "placeholder", "processing_state", "failure_code",
    "visibility", "created_at", "conversation__title", "uploaded_by__username",
)  # fmt: skip


@dashboard_page
def videos(request: HttpRequest) -> HttpResponse:
    filters = VideoFilter(request.GET, Attachment.objects.videos(), request=request)
    sort, descending = order_named(request.GET.get("sort", ""))
    page = page_of(listing_of(filters, request.GET), asked(request.GET))
    may_run_jobs = request.user.has_perm("moderation.run_jobs")
    may_decide = request.user.has_perm("moderation.decide")
    columns = chosen_columns(request.GET)
    hidden = {*VideoTable.CHOOSABLE} - {*columns}
    table = VideoTable(
        InOrder(page.rows),
        order_by=f"{'-' if descending else ''}{sort}",
        exclude=[*hidden, *([] if may_run_jobs or may_decide else ["selected"])],
    )
    table.request = request
    is_grid = request.GET.get("view") == GRID
    context = {
        "filters": filters,
        "is_grid": is_grid,
        "saved": tabs_of(request),
        "storyboards": with_storyboards(page.rows) if is_grid else (),
        "table": table,
        "page": page,
        "page_sizes": PAGE_SIZES,
        "columns": [
            (name, table.base_columns[name].verbose_name or name.capitalize(), name in columns)
            for name in VideoTable.CHOOSABLE
        ],
        "usual_columns": VideoTable.USUAL,
        "may_run_jobs": may_run_jobs,
        "may_decide": may_decide,
        "may_select": may_run_jobs or may_decide,
        "active": list(filters_in(request.GET).items()),
    }
    return render_page(request, "moderation/videos.html", context)


def listing_of(filters: VideoFilter, query: QueryDict) -> Listing:
    """What matches, in the order that the address names."""
    sort, descending = order_named(query.get("sort", ""))
    return listing(filters, shown_videos(), ORDERS[sort], descending=descending)


def shown_videos() -> QuerySet[Attachment]:
    return Attachment.objects.videos().select_related("conversation", "uploaded_by").only(*SHOWN)


def asked(query: QueryDict) -> Asked:
    per_page = whole_number(query.get("per_page"), PAGE_SIZES[0])
    return Asked(
        per_page=per_page if per_page in PAGE_SIZES else PAGE_SIZES[0],
        page=whole_number(query.get("page"), 1),
        after=whole_number(query.get("after"), 0),
        before=whole_number(query.get("before"), 0),
        is_last=query.get("before") == LAST,
    )


def chosen_columns(query: QueryDict) -> tuple[str, ...]:
    """In the table's order, whatever the address's is; the usual ones where it names none."""
    asked = query.getlist("columns")
    return tuple(name for name in VideoTable.CHOOSABLE if name in asked) or VideoTable.USUAL


@dashboard_page
def suggestions(request: HttpRequest) -> HttpResponse:
    """What to write into the filters: asked for when somebody is about to."""
    context: dict[str, Any] = {"titles": recent_titles(), "uploaders": some_uploaders()}
    return render(request, "moderation/_suggestions.html", context)


def recent_titles() -> list[str]:
    """Newest first."""
    titles = Conversation.objects.exclude(title="").values_list("title", flat=True)
    return list(dict.fromkeys(titles[:SUGGESTIONS]))


def some_uploaders() -> list[str]:
    sent = Attachment.objects.filter(uploaded_by=OuterRef("pk"))
    people = User.objects.filter(Exists(sent)).order_by("username")
    return list(people.values_list("username", flat=True)[:SUGGESTIONS])
