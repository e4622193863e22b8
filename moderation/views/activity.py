"""The activity log: who did what, on which object, from where."""

from datetime import timedelta
from typing import Any

from django.db.models import QuerySet, Value
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.utils.cache import patch_cache_control

from chat.models import ActivityLog, Attachment
from moderation.activity_filter import ActivityFilter
from moderation.keyset import page_by_key
from moderation.long_lists import PAGE_SIZES, whole_number
from moderation.models import Job
from moderation.tables import ActivityTable
from moderation.views.pages import dashboard_page, render_page

# An entry is shown live once those with a lower number have had the time to be committed.
SETTLING = timedelta(seconds=2)
LIVE_ROWS = 50  # that appear at once


@dashboard_page
def activity(request: HttpRequest) -> HttpResponse:
    filters = activity_filter(request)
    per_page = whole_number(request.GET.get("per_page"), PAGE_SIZES[0])
    per_page = per_page if per_page in PAGE_SIZES else PAGE_SIZES[0]
    before, after = request.GET.get("before"), request.GET.get("after")
    page = page_by_key(
        filters.qs,
        per_page,
        filters.count_limit,
        before=whole_number(before, 0) or None,
        after=whole_number(after, 0) if after else None,
    )
    context = {
        "filters": filters,
        "table": table_of(page.rows),
        "keyset": page,
        "count": page.count,
        "limit": filters.count_limit,
        "page_sizes": PAGE_SIZES,
        "per_page": per_page,
        "is_live": "live" in request.GET and not (before or after),
        "newest": page.rows[0].pk if page.rows else 0,
    }
    return render_page(request, "moderation/activity.html", context)


@dashboard_page
def activity_tail(request: HttpRequest) -> HttpResponse:
    """Entries newer than the number ``newer``, to go above those that are shown; 204 for none.

    The live page asks every few seconds.
    """
    newer = whole_number(request.GET.get("newer"), 0)
    settled = timezone.now() - SETTLING
    fresh = activity_filter(request).qs.filter(pk__gt=newer, created_at__lt=settled)
    rows = list(fresh.order_by("-pk")[: LIVE_ROWS + 1])
    if not rows:
        response = HttpResponse(status=204)
    else:
        context = {
            "table": table_of(rows[:LIVE_ROWS]),
            "newest": rows[0].pk,
            "is_live": True,
            "left_out": len(rows) > LIVE_ROWS,
        }
        response = render(request, "moderation/_activity_tail.html", context)
    patch_cache_control(response, private=True, no_store=True)
    return response


def activity_filter(request: HttpRequest) -> ActivityFilter:
    entries: QuerySet[Any] = ActivityLog.objects.all()
    return ActivityFilter(request.GET, entries, request=request)


def table_of(entries: list[ActivityLog]) -> ActivityTable:
    link_to_what_exists(entries)
    return ActivityTable(entries)


def link_to_what_exists(entries: list[ActivityLog]) -> None:
    """Mark each entry with ``object_exists``: the log outlives what it tells of."""
    attachments = [e.object_id for e in entries if e.object_type == "attachment" and e.object_id]
    jobs = [e.object_id for e in entries if e.object_type == "job" and e.object_id]
    jobs += [e.job_id for e in entries if e.job_id]
    videos = Attachment.objects.videos().order_by().filter(pk__in=attachments)
    known_jobs = Job.objects.order_by().filter(pk__in=jobs)
    found = videos.values_list(Value("attachment"), "pk").union(
        known_jobs.values_list(Value("job"), "pk"), all=True
    )
    exists = set(found)
    for entry in entries:
        entry.object_exists = (entry.object_type, entry.object_id) in exists  # type: ignore[attr-defined]
        entry.job_exists = ("job", entry.job_id) in exists  # type: ignore[attr-defined]
