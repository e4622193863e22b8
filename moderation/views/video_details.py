"""What the page of a video shows when asked: pictures to choose the poster from, the raw probe."""

import json

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.views.decorators.http import require_http_methods

from chat.errors import VideoError
from chat.models import ActivityLog, Attachment
from chat.rendition import Rendition
from chat.services.activity import Actor, record_visit
from chat.services.ffmpeg_engine import FfmpegEngine
from chat.services.local_files import local_path
from chat.services.media_limits import MediaLimits
from chat.services.poster_choice import choose_poster
from moderation.protection import count_reveal, protection_for
from moderation.storyboard_tiles import tiles_of
from moderation.viewing import moment
from moderation.views.pages import DECIDE, dashboard_page, guarded, render_page


@guarded(require_http_methods(["GET", "HEAD", "POST"]), DECIDE)
def poster(request: HttpRequest, attachment_id: int) -> HttpResponse:
    """The pictures of the storyboard, and the choice of one: a reveal like any other."""
    attachment = get_object_or_404(Attachment.objects.ready(), pk=attachment_id)
    if request.method == "POST":
        return choose(request, attachment)
    if protection_for(request).blur:
        count_reveal(request)
    record_visit(ActivityLog.Action.ATTACHMENT_VIEWED, Actor.from_request(request), attachment)
    context = {
        "attachment": attachment,
        "sheet": attachment.stored_rendition(Rendition.Kind.STORYBOARD),
        "tiles": tiles_of(attachment),
    }
    return render_page(request, "moderation/poster.html", context, partial="pictures")


def choose(request: HttpRequest, attachment: Attachment) -> HttpResponse:
    seconds = moment(request.POST.get("seconds", ""))
    try:
        if seconds is None:
            raise VideoError("no_decodable_frame", "no time was given")
        choose_poster(attachment, seconds, Actor.from_request(request))
    except VideoError as error:
        messages.error(request, f"The poster was not changed. {error.message}")
    else:
        messages.success(request, "The poster has been changed.")
    return redirect("moderation:video", attachment.pk)


@dashboard_page
def probe(request: HttpRequest, attachment_id: int) -> HttpResponse:
    """What ffprobe tells of the file, or why it tells nothing."""
    attachment = get_object_or_404(Attachment.objects.videos(), pk=attachment_id)
    record_visit(ActivityLog.Action.ATTACHMENT_VIEWED, Actor.from_request(request), attachment)
    told, error = "", None
    try:
        with local_path(attachment.file) as path:
            told = json.dumps(
                FfmpegEngine(MediaLimits.from_settings()).raw_probe(path),
                indent=2,
                ensure_ascii=False,
            )
    except VideoError as refused:
        error = refused
    context = {"attachment": attachment, "told": told, "error": error}
    return render_page(request, "moderation/probe.html", context, partial="told")
