"""One video, its thumbnail, its bytes and a copy that browsers play."""

from pathlib import PurePath

from django.http import FileResponse, Http404, HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404, render
from django.utils.cache import get_conditional_response

from chat.errors import VideoError
from chat.models import ActivityLog, Attachment, Participant
from chat.rendition import Rendition
from chat.services.activity import Actor, record_visit
from chat.stored_files import stored_file_response
from moderation.playback import playback_of
from moderation.views.decisions import decision_context
from moderation.views.pages import dashboard_page

HISTORY_ENTRIES = 25


@dashboard_page
def video(request: HttpRequest, attachment_id: int) -> HttpResponse:
    attachment = get_object_or_404(
        Attachment.objects.videos().select_related(
            "conversation", "uploaded_by", "message", "message__sender", "fingerprint"
        ),
        pk=attachment_id,
    )
    record_visit(ActivityLog.Action.ATTACHMENT_VIEWED, Actor.from_request(request), attachment)
    history = ActivityLog.objects.filter(object_type="attachment", object_id=attachment.pk)
    entries = list(history[: HISTORY_ENTRIES + 1])
    participants = Participant.objects.current().filter(conversation=attachment.conversation)
    return render(
        request,
        "moderation/video.html",
        {
            "attachment": attachment,
            "participants": participants.select_related("user").order_by("role", "id")[:50],
            "history": entries[:HISTORY_ENTRIES],
            "more_history": len(entries) > HISTORY_ENTRIES,
            "conversation_key": f"#{attachment.conversation_id}",
            "playback": playback_of(
                attachment, original_wanted=request.GET.get("play") == "original"
            ),
            "may_run_jobs": request.user.has_perm("moderation.run_jobs"),
            **decision_context(request, attachment),
        },
    )


@dashboard_page
def video_stream(request: HttpRequest, attachment_id: int) -> HttpResponseBase:
    """The bytes, in ranges for a player; with ``?download=1`` as a download."""
    attachment = get_object_or_404(Attachment.objects.videos(), pk=attachment_id)
    download = "download" in request.GET
    try:
        response = stored_file_response(
            request,
            attachment.file,
            etag=attachment.sha256,
            content_type=attachment.content_type,
            filename=attachment.original_name,
            as_attachment=download,
            last_modified=attachment.created_at,
        )
    except VideoError as error:
        context = {"attachment": attachment, "error": error}
        return render(request, "moderation/no_file.html", context, status=error.status)
    if request.method == "GET" and response.status_code in (200, 206):
        action = ActivityLog.Action
        record_visit(
            action.ATTACHMENT_DOWNLOADED if download else action.ATTACHMENT_VIEWED,
            Actor.from_request(request),
            attachment,
        )
    return response


@dashboard_page
def video_preview(request: HttpRequest, attachment_id: int) -> HttpResponseBase:
    """The copy that browsers play, in ranges; watching it is a view of the video."""
    attachment = get_object_or_404(Attachment.objects.videos(), pk=attachment_id)
    preview = attachment.stored_rendition(Rendition.Kind.PREVIEW)
    if preview is None:
        raise Http404
    try:
        response = stored_file_response(
            request,
            preview.file,
            content_type=preview.content_type,
            filename=f"{attachment.pk}-preview.mp4",
            as_attachment=False,
            last_modified=preview.created_at,
        )
    except VideoError as error:
        context = {"attachment": attachment, "error": error}
        return render(request, "moderation/no_file.html", context, status=error.status)
    if request.method == "GET" and response.status_code in (200, 206):
        actor = Actor.from_request(request)
        record_visit(ActivityLog.Action.ATTACHMENT_VIEWED, actor, attachment)
    return response


@dashboard_page
def video_thumbnail(request: HttpRequest, attachment_id: int) -> HttpResponseBase:
    """The poster, or a drawing in its place when there is none."""
    attachment = get_object_or_404(Attachment.objects.only("thumbnail"), pk=attachment_id)
    # A poster's file name is new whenever the poster is.
    etag = f'"{PurePath(str(attachment.thumbnail.name)).name}"'
    response: HttpResponseBase | None = None
    try:
        if attachment.thumbnail:
            response = get_conditional_response(request, etag) or FileResponse(
                attachment.thumbnail.open("rb"), content_type="image/jpeg"
            )
    except FileNotFoundError:
        pass
    if response is None:
        response = render(request, "moderation/no_thumbnail.svg", content_type="image/svg+xml")
        response.headers["Cache-Control"] = "no-store"
    else:
        response.headers["ETag"] = etag
        response.headers["Cache-Control"] = "private, max-age=600"
    return response
