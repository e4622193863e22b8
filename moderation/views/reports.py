"""What participants reported: one row a video, with counts, reasons and times in it."""

from django.http import HttpRequest, HttpResponse

from chat.models import ReportCase
from moderation.long_lists import PAGE_SIZES, turn_to_page
from moderation.report_filter import ReportFilter
from moderation.report_words import reports_of
from moderation.tables import ReportTable
from moderation.views.pages import dashboard_page, render_page

# What the list shows of each video; the wide texts stay in the database.
SHOWN = (
    "reports", "open_reports", "waiting_since", "last_at",
    "attachment__original_name", "attachment__duration", "attachment__thumbnail",
    "attachment__placeholder", "attachment__visibility", "attachment__on_hold",
    "attachment__processing_state", "attachment__failure_code",
    "attachment__conversation__title", "attachment__uploaded_by__username",
)  # fmt: skip


@dashboard_page
def reports(request: HttpRequest) -> HttpResponse:
    filters = ReportFilter(request.GET, ReportCase.objects.all(), request=request)
    cases = filters.qs.select_related("attachment__conversation", "attachment__uploaded_by")
    table = ReportTable(cases.only(*SHOWN), order_by=filters.usual_order)
    turn_to_page(table, request)
    rows = [row.record for row in table.page.object_list]
    gathered = reports_of([row.attachment_id for row in rows], filters.shown_reports)
    for row in rows:
        row.gathered = gathered.get(row.attachment_id)
    context = {"filters": filters, "table": table, "page_sizes": PAGE_SIZES}
    return render_page(request, "moderation/reports.html", context)
