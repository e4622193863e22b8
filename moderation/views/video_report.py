"""The report on one video, to print or keep with a case: all that is known, at one moment."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.utils import timezone

from chat.models import ActivityLog, Attachment, Participant
from chat.services.activity import Actor, record_visit
from moderation.protection import protection_for
from moderation.views.pages import dashboard_page

# What a document can hold; beyond it the report says where the rest is.
MOST_ENTRIES = 200


@dashboard_page
def video_report(request: HttpRequest, attachment_id: int) -> HttpResponse:
    """Exact times instead of relative ones, and the picture only as the reader has it shown."""
    attachment = get_object_or_404(
        Attachment.objects.videos().select_related(
            "conversation", "uploaded_by", "message", "message__sender"
        ),
        pk=attachment_id,
    )
    record_visit(ActivityLog.Action.ATTACHMENT_VIEWED, Actor.from_request(request), attachment)
    history = ActivityLog.objects.filter(object_type="attachment", object_id=attachment.pk)
    participants = Participant.objects.current().filter(conversation=attachment.conversation)
    context = {
        "attachment": attachment,
        "protection": protection_for(request),
        "printed_at": timezone.now(),
        "participants": participants.select_related("user").order_by("role", "id")[:MOST_ENTRIES],
        "reports": attachment.reports.select_related("reporter")[:MOST_ENTRIES],
        "decisions": attachment.decisions.select_related("job")[:MOST_ENTRIES],
        "history": history[:MOST_ENTRIES],
        "most": MOST_ENTRIES,
    }
    response = render(request, "moderation/video_report.html", context)
    response.headers["Cache-Control"] = "private, no-store"
    return response
