"""What is made of a video: storyboard and preview, for who may see the video."""

from urllib.parse import quote

from django.http import HttpResponse
from django.http.response import HttpResponseBase
from rest_framework.request import Request

from chat.api_views import AnyType, ApiView
from chat.errors import ChatError, VideoError
from chat.http_range import conditional, file_headers
from chat.models import ActivityLog, Attachment
from chat.permissions import viewable_attachment
from chat.rendition import Rendition
from chat.services import activity
from chat.services.local_files import storage_failure
from chat.services.storyboard import SHEET_ADDRESS
from chat.stored_files import stored_file_response
from chat.views_video import VideoStreamView

Kind = Rendition.Kind


class RenditionView(ApiView):
    """One stored rendition; takes the token of ``stream_url`` too."""

    authentication_classes = VideoStreamView.authentication_classes
    throttle_scope = "transfer"
    content_negotiation_class = AnyType
    kind: str
    extension: str

    def get(self, request: Request, attachment_id: int) -> HttpResponseBase:
        return self.answer(request, viewable_attachment(request, attachment_id))

    def answer(self, request: Request, attachment: Attachment) -> HttpResponseBase:
        rendition = stored_rendition(attachment, self.kind)
        return stored_file_response(
            request._request,
            rendition.file,
            content_type=rendition.content_type,
            filename=f"{attachment.pk}{self.extension}",
            as_attachment=False,
            last_modified=rendition.created_at,
        )


class StoryboardView(RenditionView):
    kind = Kind.STORYBOARD
    extension = ".jpg"


class PreviewView(RenditionView):
    """A small copy that browsers play, in ranges; watching it is a view of the video."""

    kind = Kind.PREVIEW
    extension = ".mp4"

    def answer(self, request: Request, attachment: Attachment) -> HttpResponseBase:
        response = super().answer(request, attachment)
        if request.method == "GET" and response.status_code in (200, 206):
            action = ActivityLog.Action.ATTACHMENT_VIEWED
            activity.record_visit(action, self.actor, attachment)
        return response


class StoryboardMapView(RenditionView):
    """The WebVTT; the token that it was asked with is in the addresses in it too."""

    kind = Kind.STORYBOARD_MAP

    def answer(self, request: Request, attachment: Attachment) -> HttpResponseBase:
        rendition = stored_rendition(attachment, self.kind)
        try:
            with rendition.file.open("rb") as file:
                text = file.read().decode()
        except FileNotFoundError as error:
            raise VideoError("missing_file", f"{rendition.file.name} is not stored") from error
        except OSError as error:
            raise storage_failure(error) from error
        etag = f'"{(rendition.file.name or "").rpartition("/")[2]}"'
        if token := request.query_params.get("token"):
            text = text.replace(SHEET_ADDRESS, f"{SHEET_ADDRESS}?token={quote(token)}")
        headers = file_headers(etag, rendition.created_at)
        del headers["Accept-Ranges"]
        response = HttpResponse(text, content_type="text/vtt; charset=utf-8", headers=headers)
        return conditional(request._request, etag, None, response)


def stored_rendition(attachment: Attachment, kind: str) -> Rendition:
    """Raises ChatError ``no_rendition``."""
    rendition = attachment.stored_rendition(kind)
    if rendition is None:
        raise ChatError("no_rendition")
    return rendition
