"""Resumable uploads: tus 1.0 (https://tus.io/protocols/resumable-upload), with creation,
creation-with-upload, expiration, checksum and termination."""

import base64
import binascii
import contextlib
import io
import re
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.utils.http import http_date
from rest_framework.exceptions import UnsupportedMediaType, ValidationError
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.reverse import reverse

from chat.api_views import MAX_ID, ApiView
from chat.errors import ChatError, VideoError
from chat.models import Conversation, ResumableUpload
from chat.permissions import visible_conversation
from chat.serializers_video import ResumableUploadSerializer
from chat.services import attachments, resumable, uploads
from chat.services.partial_file import CHECKSUMS, Checksum, offset_of
from chat.services.resumable import UNANNOUNCED
from chat.services.uploads import Body

VERSION = "1.0.0"
EXTENSIONS = "creation,creation-with-upload,expiration,checksum,termination"
PART = "application/offset+octet-stream"
OVERRIDE = "X-HTTP-Method-Override"
NOTHING = Body(io.BytesIO(), 0, 0)


class TusView(ApiView):
    """The part of the protocol that is the same for every address."""

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        wanted = request.headers.get(OVERRIDE, "").upper()
        if request.method == "POST" and wanted in ("PATCH", "DELETE"):
            request.method = wanted
        return super().dispatch(request, *args, **kwargs)

    def get_permissions(self) -> Sequence[Any]:
        return [] if self.request.method == "OPTIONS" else super().get_permissions()

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        taken = {*self.allowed_methods} - {"OPTIONS"}
        if request.method in taken and request.headers.get("Tus-Resumable") != VERSION:
            raise ChatError("unsupported_tus_version")

    def finalize_response(
        self, request: Request, response: Response, *args: Any, **kwargs: Any
    ) -> Response:
        answer = super().finalize_response(request, response, *args, **kwargs)
        answer.headers["Tus-Resumable"] = VERSION
        if answer.status_code == 412:
            answer.headers["Tus-Version"] = VERSION
        elif answer.status_code == 460:
            answer.reason_phrase = "Checksum Mismatch"
        return answer

    def options(self, request: Request, *args: Any, **kwargs: Any) -> Response:  # type: ignore[override]
        """What this server can do; asked without signing in."""
        headers = {
            "Allow": ", ".join(self.allowed_methods),
            "Tus-Version": VERSION,
            "Tus-Extension": EXTENSIONS,
            "Tus-Max-Size": str(settings.UPLOAD_MAX_BYTES),
            "Tus-Checksum-Algorithm": ",".join(CHECKSUMS),
        }
        return Response(status=204, headers=headers)

    def append(
        self,
        request: Request,
        upload: ResumableUpload,
        offset: int,
        body: Body | None,
        lease: timedelta | None = None,
    ) -> ResumableUpload:
        checksum = checksum_of(request)
        with uploads.stalls_end(request._request):
            return resumable.append(
                upload, self.actor, offset, body or NOTHING, checksum, lease=lease
            )


class ResumableUploadsView(TusView):
    """Begin an upload; its first bytes may come along."""

    throttle_scope = "upload"

    def post(self, request: Request) -> Response:
        if "Upload-Concat" in request.headers:
            raise ValidationError({"Upload-Concat": ["Send the file in one piece after another."]})
        size = whole_number(request, "Upload-Length")
        given = metadata_of(request)
        form = ResumableUploadSerializer(data={**given, **request.query_params.dict()})
        form.is_valid(raise_exception=True)
        wanted = form.validated_data
        conversation = visible_conversation(request, wanted["conversation"])
        body = None
        if request.content_type == PART:
            body = uploads.body_of(request._request, size)
        lease = None if body is None else UNANNOUNCED
        upload = self.create(request, conversation, size, wanted, lease)
        location = reverse("chat:resumable-upload", args=[upload.pk], request=request)
        if body is not None:
            try:
                upload = self.append(request, upload, 0, body, lease)
            except ChatError:
                with contextlib.suppress(ChatError):  # its address will not be known
                    resumable.delete(upload)
                raise
            resumable.announce(upload)
        headers = {"Location": location, **state_headers(upload)}
        return Response(status=201, headers=headers)

    def create(
        self,
        request: Request,
        conversation: Conversation,
        size: int,
        wanted: dict[str, Any],
        lease: timedelta | None,
    ) -> ResumableUpload:
        try:
            return resumable.create(
                self.actor,
                conversation,
                size,
                name=wanted.get("filename", ""),
                content_type=wanted.get("filetype", ""),
                content=wanted.get("content", ""),
                only_videos=wanted.get("kind") == "video",
                metadata=request.headers.get("Upload-Metadata", ""),
                lease=lease,
            )
        except ChatError as error:
            if isinstance(error, VideoError) or error.code == "quota_exceeded":
                attachments.record_refusal(error, self.actor, conversation)
            raise


class ResumableUploadView(TusView):
    """How far an upload is; more of it; its end."""

    throttle_scope = "transfer"

    def head(self, request: Request, upload_id: Any) -> Response:
        upload = self.visible_upload(upload_id)
        headers = {
            "Cache-Control": "private, no-store",
            "Upload-Length": str(upload.size),
            **state_headers(upload),
        }
        if upload.metadata:
            headers["Upload-Metadata"] = upload.metadata
        return Response(status=200, headers=headers)

    def patch(self, request: Request, upload_id: Any) -> Response:
        upload = self.visible_upload(upload_id)
        if request.content_type != PART:
            raise UnsupportedMediaType(request.content_type)
        offset = whole_number(request, "Upload-Offset")
        body = uploads.body_of(request._request, max(0, upload.size - offset))
        upload = self.append(request, upload, offset, body)
        return Response(status=204, headers=state_headers(upload))

    def delete(self, request: Request, upload_id: Any) -> Response:
        resumable.delete(self.visible_upload(upload_id, expired=True))
        return Response(status=204)

    def visible_upload(self, upload_id: Any, *, expired: bool = False) -> ResumableUpload:
        """One's own, in a conversation in which one still takes part."""
        upload = ResumableUpload.objects.filter(
            pk=upload_id,
            owner=attachments.owner_of(self.actor),
            conversation__in=Conversation.objects.visible_to(self.request.user),
        ).first()
        if upload is None:
            raise ChatError("not_found")
        if upload.has_expired and not expired:
            raise ChatError("upload_expired")
        return upload


def state_headers(upload: ResumableUpload) -> dict[str, str]:
    headers = {
        "Upload-Offset": str(offset_of(upload)),
        "Upload-Expires": http_date(upload.expires_at.timestamp()),
    }
    if upload.attachment_id is not None:
        headers["Attachment-Id"] = str(upload.attachment_id)
        headers["Content-Location"] = reverse("chat:attachment", args=[upload.attachment_id])
    return headers


def whole_number(request: Request, header: str) -> int:
    text = request.headers.get(header, "")
    if not re.fullmatch("[0-9]{1,19}", text) or int(text) > MAX_ID:
        raise ValidationError({header: ["A whole number of bytes is needed."]})
    return int(text)


def metadata_of(request: Request) -> dict[str, str]:
    """Upload-Metadata: pairs of a key and a value in base64, separated by commas."""
    found: dict[str, str] = {}
    if not request.headers.get("Upload-Metadata", "").isascii():
        raise ValidationError({"Upload-Metadata": ["Only ASCII is taken: values are base64."]})
    for pair in filter(
        None, (p.strip() for p in request.headers.get("Upload-Metadata", "").split(","))
    ):
        key, _, value = pair.partition(" ")
        try:
            found[key] = base64.b64decode(value.strip(), validate=True).decode()
        except (binascii.Error, ValueError) as error:
            raise ValidationError(
                {"Upload-Metadata": [f"The value of {key} is not base64 of UTF-8."]}
            ) from error
    return found


def checksum_of(request: Request) -> Checksum | None:
    header = request.headers.get("Upload-Checksum")
    if header is None:
        return None
    algorithm, _, value = header.strip().partition(" ")
    try:
        digest = base64.b64decode(value.strip(), validate=True)
    except binascii.Error as error:
        raise ValidationError({"Upload-Checksum": ["The digest is not base64."]}) from error
    if algorithm not in CHECKSUMS:
        raise ValidationError({"Upload-Checksum": [f"One of {', '.join(CHECKSUMS)} is needed."]})
    return Checksum(algorithm, digest)
