"""The files of one video, for who may see the dashboard: its bytes, the copy that browsers play,
the poster, the storyboard."""

from pathlib import PurePath

from django.http import FileResponse, Http404, HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404, render
from django.utils.cache import get_conditional_response

from chat.errors import VideoError
from chat.models import ActivityLog, Attachment
from chat.rendition import Rendition
from chat.services.activity import Actor, record_visit
from chat.stored_files import stored_file_response
from moderation.views.pages import dashboard_page


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
        return no_file(request, attachment, error)
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
    response = rendition_response(request, attachment, Rendition.Kind.PREVIEW, "preview.mp4")
    if request.method == "GET" and response.status_code in (200, 206):
        actor = Actor.from_request(request)
        record_visit(ActivityLog.Action.ATTACHMENT_VIEWED, actor, attachment)
    return response


@dashboard_page
def video_storyboard(request: HttpRequest, attachment_id: int) -> HttpResponseBase:
    """The sheet of small pictures."""
    attachment = get_object_or_404(Attachment.objects.videos(), pk=attachment_id)
    return rendition_response(request, attachment, Rendition.Kind.STORYBOARD, "storyboard.jpg")


@dashboard_page
def video_storyboard_map(request: HttpRequest, attachment_id: int) -> HttpResponseBase:
    """Which picture of the sheet to show when (WebVTT)."""
    attachment = get_object_or_404(Attachment.objects.videos(), pk=attachment_id)
    kind = Rendition.Kind.STORYBOARD_MAP
    return rendition_response(request, attachment, kind, "storyboard.vtt")


def rendition_response(
    request: HttpRequest, attachment: Attachment, kind: str, name: str
) -> HttpResponseBase:
    rendition = attachment.stored_rendition(kind)
    if rendition is None:
        raise Http404
    try:
        return stored_file_response(
            request,
            rendition.file,
            content_type=rendition.content_type,
            filename=f"{attachment.pk}-{name}",
            as_attachment=False,
            last_modified=rendition.created_at,
        )
    except VideoError as error:
        return no_file(request, attachment, error)


def no_file(request: HttpRequest, attachment: Attachment, error: VideoError) -> HttpResponse:
    context = {"attachment": attachment, "error": error}
    return render(request, "moderation/no_file.html", context, status=error.status)


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
