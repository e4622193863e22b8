"""Protection of the people who look: the blurred picture, their choice, the count of reveals."""

import base64
import binascii

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.cache import patch_cache_control
from django.utils.http import url_has_allowed_host_and_scheme

from chat.models import ActivityLog, Attachment
from chat.services.activity import Actor, record_visit
from moderation.blurred import blurred_png
from moderation.protection import MEASURES, break_is_due, choose, count_reveal, revealed_by
from moderation.views.pages import dashboard_action, dashboard_page

A_YEAR_SECONDS = 365 * 24 * 3600


@dashboard_page
def blurred(request: HttpRequest, placeholder: str) -> HttpResponse:
    """What is shown instead of a poster; ``placeholder`` is its ThumbHash, base64 for addresses.
    With ``?grey`` without colour."""
    try:
        content = base64.urlsafe_b64decode(placeholder + "=" * (-len(placeholder) % 4))
        picture = blurred_png(base64.b64encode(content).decode(), greyscale="grey" in request.GET)
    except (ValueError, binascii.Error) as error:
        raise Http404 from error
    response = HttpResponse(picture, content_type="image/png")
    patch_cache_control(response, private=True, max_age=A_YEAR_SECONDS, immutable=True)
    return response


@dashboard_action
def revealed(request: HttpRequest, attachment_id: int) -> HttpResponse:
    """A picture or video was revealed: an entry in the log, and a break suggested in time."""
    attachment = get_object_or_404(Attachment.objects.videos(), pk=attachment_id)
    record_visit(ActivityLog.Action.ATTACHMENT_VIEWED, Actor.from_request(request), attachment)
    count_reveal(request)
    count = revealed_by(request)
    context = {"revealed": count, "due": break_is_due(count)}
    return render(request, "moderation/_break.html", context)


@dashboard_action
def protect(request: HttpRequest) -> HttpResponse:
    """Keep what a person has ticked; with ``usual`` go back to the organisation's choice."""
    if "usual" in request.POST:
        choose(request.user, dict.fromkeys(MEASURES))  # type: ignore[arg-type]
    else:
        choose(request.user, {name: name in request.POST for name in MEASURES})  # type: ignore[arg-type]
    messages.success(request, "Your protection has been changed.")
    target = request.POST.get("next", "")
    if not url_has_allowed_host_and_scheme(target, allowed_hosts=None):
        target = reverse("moderation:videos")
    return redirect(target)
