"""One video."""

from typing import Any

from django.http import HttpRequest, HttpResponse, JsonResponse, QueryDict
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.utils.cache import patch_cache_control
from django.views.decorators.cache import never_cache

from chat.models import ActivityLog, Attachment, Participant
from chat.services.activity import Actor, record_visit
from moderation.playback import playback_of
from moderation.video_filters import VideoFilter
from moderation.viewing import viewing_of
from moderation.views.decisions import decision_context
from moderation.views.pages import dashboard_page
from moderation.views.video_list import listing_of

HISTORY_ENTRIES = 25
# What browsers fetch ahead of a click, https://html.spec.whatwg.org/#speculation-rules.
NEIGHBOURS_AHEAD = {
    "prefetch": [{"where": {"selector_matches": ".neighbours a"}, "eagerness": "immediate"}]
}


@dashboard_page
def video(request: HttpRequest, attachment_id: int) -> HttpResponse:
    attachment = get_object_or_404(
        Attachment.objects.videos().select_related(
            "conversation", "uploaded_by", "message", "message__sender", "fingerprint"
        ),
        pk=attachment_id,
    )
    fetched_ahead = is_fetched_ahead(request)
    if not fetched_ahead:
        record_visit(ActivityLog.Action.ATTACHMENT_VIEWED, Actor.from_request(request), attachment)
    history = ActivityLog.objects.filter(object_type="attachment", object_id=attachment.pk)
    entries = list(history[: HISTORY_ENTRIES + 1])
    participants = Participant.objects.current().filter(conversation=attachment.conversation)
    response = render(
        request,
        "moderation/video.html",
        {
            "attachment": attachment,
            "is_fetched_ahead": fetched_ahead,
            "participants": participants.select_related("user").order_by("role", "id")[:50],
            "history": entries[:HISTORY_ENTRIES],
            "more_history": len(entries) > HISTORY_ENTRIES,
            "conversation_key": f"#{attachment.conversation_id}",
            "playback": playback_of(
                attachment, original_wanted=request.GET.get("play") == "original"
            ),
            "viewing": viewing_of(request, attachment),
            **neighbours(request, attachment),
            "may_run_jobs": request.user.has_perm("moderation.run_jobs"),
            **decision_context(request, attachment),
        },
    )
    response.headers["Speculation-Rules"] = f'"{reverse("moderation:videos-ahead")}"'
    return response


@dashboard_page
def neighbours_ahead(_request: HttpRequest) -> HttpResponse:
    response = JsonResponse(NEIGHBOURS_AHEAD, content_type="application/speculationrules+json")
    patch_cache_control(response, private=True, max_age=24 * 3600)
    return response


def is_fetched_ahead(request: HttpRequest) -> bool:
    """Whether the browser fetches the page of a neighbour in case one goes on to it.

    Nobody has seen that yet: when it is opened it says so, to ``video_opened``.  Pictures and the
    video itself are never fetched ahead, and playing is a view whatever the page was.
    """
    return "prefetch" in request.headers.get("Sec-Purpose", "")


@dashboard_page
@never_cache
def video_opened(request: HttpRequest, attachment_id: int) -> HttpResponse:
    """A page that was fetched ahead is in front of somebody now: it asks for this as for a
    picture, which works without JavaScript too."""
    attachment = get_object_or_404(Attachment.objects.videos(), pk=attachment_id)
    record_visit(ActivityLog.Action.ATTACHMENT_VIEWED, Actor.from_request(request), attachment)
    return HttpResponse(status=204)


def neighbours(request: HttpRequest, attachment: Attachment) -> dict[str, Any]:
    """The videos before and after this one in the list one came from, whose filters and order
    ``?from=`` has; nothing without it."""
    if "from" not in request.GET:
        return {}
    query = QueryDict(request.GET["from"])
    filters = VideoFilter(query, Attachment.objects.videos(), request=request)
    before, after = listing_of(filters, query).beside(attachment)
    return {"list_query": query.urlencode(), "before": before, "after": after}
