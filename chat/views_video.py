"""Uploading, listing, watching and deleting attachments."""

from collections.abc import Iterator
from contextlib import contextmanager

from django.db.models import Model
from django.http import QueryDict
from django.http.response import HttpResponseBase
from django.utils.cache import patch_cache_control, patch_vary_headers
from rest_framework.exceptions import UnsupportedMediaType, ValidationError
from rest_framework.generics import ListAPIView
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.reverse import reverse

from chat.api_views import AnyType, ApiView, IdField, NewestFirst
from chat.authentication import SignedAddressAuthentication
from chat.errors import ChatError, VideoError
from chat.filters import StrictFilters, VideoFilters
from chat.http_range import conditional
from chat.models import ActivityLog, Attachment, AttachmentQuerySet, Conversation
from chat.permissions import viewable_attachment, visible_attachment, visible_conversation
from chat.rendition import Rendition
from chat.serializers_video import AttachmentSerializer, UploadSerializer, attachment_tag
from chat.services import activity, attachments, idempotency, messages, quotas, uploads
from chat.services.idempotency import Claim, payload_sha256
from chat.services.quotas import Reservation
from chat.services.uploads import Received
from chat.stored_files import stored_file_response
from chat.video_list import videos_of

Action = ActivityLog.Action


class Arrival:
    """A form with files that is being received, then has been: ``received``."""

    received: Received

    def __init__(self, request: Request, claim: Claim, reservation: Reservation) -> None:
        self.request = request
        self.claim = claim
        self.reservation = reservation

    def admit(self) -> None:
        """Files that were kept when they came first take no more room."""
        if not self.claim.is_answered:
            self.reservation.admit(uploads.least_file_bytes(self.request._request))

    def follow(self, received_bytes: int) -> None:
        self.reservation.follow(received_bytes)
        self.claim.follow(received_bytes)

    def made_before(self) -> int | None:
        """The id of what the same request made when it was sent first."""
        address = self.request.get_full_path()
        sent = payload_sha256(address, self.received.fields, self.received)
        return self.claim.made_before(sent)

    def keep(self, kept: Model) -> None:
        """In the transaction that keeps the files."""
        self.reservation.keep(kept)
        self.claim.fulfil(kept)


class ReceivingView(ApiView):
    """A view that takes files: what can be refused is refused before their bytes are taken.

    In this order: who asks; whether they take part in the conversation (as soon as the address,
    or a form field before the file, names it); how long the body says it is; then, while it
    arrives, how long it is.
    """

    file_field = "file"
    max_files = 1
    conversation: Conversation | None = None

    def scope_of(self, request: Request) -> str:
        if request.content_type.startswith("multipart/form-data"):
            return "upload"
        return super().scope_of(request)

    @contextmanager
    def claiming(self, request: Request) -> Iterator[Claim]:
        """The right to do what is asked, for the block; see ``chat.services.idempotency``."""
        key = request.headers.get("Idempotency-Key")
        if key is not None and not idempotency.ALLOWED.fullmatch(key):
            raise ValidationError({"Idempotency-Key": ["1 to 255 visible ASCII characters."]})
        with idempotency.claimed(attachments.owner_of(self.actor), key) as claim:
            yield claim

    @contextmanager
    def receiving(self, request: Request) -> Iterator[Arrival]:
        """The body and the room promised to it, for the block; a file that is refused is told to
        the activity log."""
        try:
            with self.claiming(request) as claim:
                self.find_conversation(request.query_params)
                if not request.content_type.startswith("multipart/form-data"):
                    raise UnsupportedMediaType(request.content_type)
                with quotas.reserved(attachments.owner_of(self.actor)) as reservation:
                    arrival = Arrival(request, claim, reservation)
                    with uploads.receive(
                        request._request,
                        accepted=self.file_field,
                        max_files=self.max_files,
                        before_file=lambda fields: self.before_file(fields, arrival),
                        follow=arrival.follow,
                    ) as arrival.received:
                        self.find_conversation(arrival.received.fields)
                        if self.file_field in arrival.received.fields:
                            raise ValidationError({self.file_field: ["This is text, not a file."]})
                        reservation.settle(arrival.received.size)
                        yield arrival
        except ChatError as error:
            if isinstance(error, VideoError) or error.code == "quota_exceeded":
                attachments.record_refusal(error, self.actor, self.conversation)
            raise

    def before_file(self, fields: QueryDict, arrival: Arrival) -> None:
        self.find_conversation(fields)
        arrival.admit()

    def find_conversation(self, fields: QueryDict) -> None:
        if self.conversation is None and "conversation" in fields:
            try:
                conversation_id = IdField().run_validation(fields["conversation"])
            except ValidationError as error:
                raise ValidationError({"conversation": error.detail}) from error
            self.conversation = visible_conversation(self.request, conversation_id)


class AttachmentUploadView(ReceivingView):
    """Any file; what is a video by its content takes the video road."""

    only_videos = False

    def post(self, request: Request) -> Response:
        with self.receiving(request) as arrival:
            made_before = arrival.made_before()
            if made_before is not None:
                attachment = visible_attachment(request, made_before)
            else:
                attachment = self.keep(request, arrival)
        body = AttachmentSerializer(attachment, context={"request": request}).data
        location = reverse("chat:attachment", args=[attachment.pk], request=request)
        return Response(body, status=201, headers={"Location": location})

    def keep(self, request: Request, arrival: Arrival) -> Attachment:
        received = arrival.received
        form = UploadSerializer(data=request.query_params.dict() | received.fields.dict())
        form.is_valid(raise_exception=True)
        if form.validated_data["conversation"] != self.require_conversation().pk:
            raise ValidationError({"conversation": ["The address names another one."]})
        if self.file_field not in received.files:
            raise ValidationError({self.file_field: ["No file was sent."]}, "required")
        (file,) = received.files[self.file_field]
        return messages.keep_file(
            file,
            self.require_conversation(),
            self.actor,
            form.validated_data.get("content", ""),
            only_videos=self.only_videos,
            also=arrival.keep,
        )

    def require_conversation(self) -> Conversation:
        if self.conversation is None:
            raise ChatError("not_found")
        return self.conversation


class VideoUploadView(AttachmentUploadView):
    """A video: 201 with its metadata and poster, or the reason why not, and nothing kept."""

    only_videos = True


class VideoListView(ApiView, ListAPIView):
    """The videos that the caller may see, newest first."""

    queryset = Attachment.objects.none()  # of which model, for the schema: `get_queryset` asks
    serializer_class = AttachmentSerializer
    pagination_class = NewestFirst
    filter_backends = [StrictFilters]
    filterset_class = VideoFilters

    def get_queryset(self) -> AttachmentQuerySet:
        videos = videos_of(self.request.user)
        return videos.select_related("uploaded_by").prefetch_related("renditions")


class AttachmentView(ApiView):
    def get(self, request: Request, attachment_id: int) -> HttpResponseBase:
        """Cheap to ask again and again: 304, without making the answer, while nothing changed."""
        attachment = visible_attachment(request, attachment_id)
        tag = attachment_tag(attachment, request)
        answer = Response(headers={"ETag": tag})
        if (judged := conditional(request._request, tag, None, answer)) is not answer:
            patch_cache_control(judged, private=True, no_cache=True)
            return judged
        answer.data = AttachmentSerializer(attachment, context={"request": request}).data
        return answer

    def delete(self, request: Request, attachment_id: int) -> Response:
        attachments.delete(visible_attachment(request, attachment_id), self.actor)
        return Response(status=204)


class VideoDownloadView(ApiView):
    """The file, to save: bytes of any attachment, videos or not, with ranges."""

    throttle_scope = "transfer"
    content_negotiation_class = AnyType
    as_attachment = True
    visit: str = Action.ATTACHMENT_DOWNLOADED

    def get(self, request: Request, attachment_id: int) -> HttpResponseBase:
        attachment = viewable_attachment(request, attachment_id)
        response = stored_file_response(
            request._request,
            attachment.file,
            etag=attachment.sha256,
            content_type=attachment.content_type,
            filename=attachment.original_name,
            as_attachment=self.as_attachment,
            last_modified=attachment.created_at,
        )
        if request.method == "GET" and response.status_code in (200, 206):
            activity.record_visit(self.visit, self.actor, attachment)
        return response


class VideoStreamView(VideoDownloadView):
    """The file, to watch in place; the signed ``stream_url`` leads here."""

    authentication_classes = [SignedAddressAuthentication, *ApiView.authentication_classes]
    as_attachment = False
    visit = Action.ATTACHMENT_VIEWED


class ThumbnailView(ApiView):
    """The poster, as WebP for who accepts it; takes the token of ``stream_url`` too.  Not a view
    of the video: not logged."""

    authentication_classes = VideoStreamView.authentication_classes
    throttle_scope = "transfer"
    content_negotiation_class = AnyType

    def get(self, request: Request, attachment_id: int) -> HttpResponseBase:
        attachment = viewable_attachment(request, attachment_id)
        if not attachment.thumbnail:
            raise ChatError("not_found")
        webp = None
        if "image/webp" in request.headers.get("Accept", ""):
            webp = attachment.stored_rendition(Rendition.Kind.POSTER_WEBP)
        response = stored_file_response(
            request._request,
            webp.file if webp else attachment.thumbnail,
            content_type="image/webp" if webp else "image/jpeg",
            filename=f"{attachment.pk}.{'webp' if webp else 'jpg'}",
            as_attachment=False,
            last_modified=webp.created_at if webp else attachment.processed_at,
        )
        patch_vary_headers(response, ["Accept"])
        return response
