"""The activity log: who did what, on which object, from where."""

from django.http import HttpRequest, HttpResponse

from chat.models import ActivityLog, Attachment
from moderation.filters import ActivityFilter
from moderation.long_lists import PAGE_SIZES, turn_to_page
from moderation.models import Job
from moderation.tables import ActivityTable
from moderation.views.pages import dashboard_page, render_page


@dashboard_page
def activity(request: HttpRequest) -> HttpResponse:
    filters = ActivityFilter(request.GET, ActivityLog.objects.all(), request=request)
    table = ActivityTable(filters.qs)
    turn_to_page(table, request)
    entries = [row.record for row in table.page.object_list]
    link_to_what_exists(entries)
    context = {"filters": filters, "table": table, "page_sizes": PAGE_SIZES}
    return render_page(request, "moderation/activity.html", context)


def link_to_what_exists(entries: list[ActivityLog]) -> None:
    """Mark each entry with ``object_exists``: the log outlives what it tells of."""
    attachments = [e.object_id for e in entries if e.object_type == "attachment" and e.object_id]
    jobs = [e.object_id for e in entries if e.object_type == "job" and e.object_id]
    jobs += [e.job_id for e in entries if e.job_id]
    found = Attachment.objects.videos().filter(pk__in=attachments)
    videos = set(found.values_list("pk", flat=True))
    known_jobs = set(Job.objects.filter(pk__in=jobs).values_list("pk", flat=True))
    exists = {"attachment": videos, "job": known_jobs}
    for entry in entries:
        entry.object_exists = entry.object_id in exists.get(entry.object_type, ())  # type: ignore[attr-defined]
        entry.job_exists = entry.job_id in known_jobs  # type: ignore[attr-defined]
