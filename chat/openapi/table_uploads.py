"""Sending files."""

from drf_spectacular.utils import OpenApiParameter, OpenApiRequest

from chat.openapi.bodies import UploadFormSerializer
from chat.openapi.errors import codes_with_status
from chat.openapi.examples import ATTACHMENT, USAGE
from chat.openapi.operation import (
    IDEMPOTENCY_ERRORS,
    IDEMPOTENCY_KEY,
    ROOM_ERRORS,
    SAME,
    TAGGED,
    Operation,
    Table,
    answer,
    header,
)
from chat.serializers_video import AttachmentSerializer
from chat.views_quota import UsageSerializer

UPLOAD_ERRORS = (
    "not_found",
    "incomplete_body",
    "too_many_files",
    *ROOM_ERRORS,
    *IDEMPOTENCY_ERRORS,
    *codes_with_status(413, 415, 422, 503, 507),
)
FORM = {
    "multipart/form-data": OpenApiRequest(
        UploadFormSerializer, encoding={"file": {"contentType": "video/*, application/*"}}
    )
}
PARAMETERS = (
    OpenApiParameter(
        "conversation",
        {"type": "integer", "format": "int64", "minimum": 1},
        OpenApiParameter.QUERY,
        description="May stand here instead of in the form. Here, or before the file in the form, "
        "it lets an upload be refused before the file is taken.",
    ),
    IDEMPOTENCY_KEY,
    header("Location", [201], "The attachment's address."),
)

UPLOADS: Table = {
    "POST /api/chat/videos/upload/": Operation(
        name="upload_video",
        summary="Upload a video",
        description="The answer comes when the video has been read: its metadata are complete and "
        "its thumbnail is ready. What is not a video, or cannot be decoded, is refused, and "
        "nothing of it is kept. With `content` it becomes part of a message.",
        request=FORM,
        answers={201: answer(AttachmentSerializer, "Kept.", ATTACHMENT)},
        errors=UPLOAD_ERRORS,
        parameters=PARAMETERS,
    ),
    "POST /api/chat/upload/": Operation(
        name="upload_file",
        summary="Upload any file",
        description="What is a video by its content is treated as one; everything else is kept as "
        "`image`, `audio` or `file`.",
        request=FORM,
        answers={201: answer(AttachmentSerializer, "Kept.", ATTACHMENT)},
        errors=UPLOAD_ERRORS,
        parameters=PARAMETERS,
    ),
    "GET /api/chat/quota/": Operation(
        name="get_quota",
        summary="How much room you have",
        description="What you may store, what you store, and what your uploads on their way will "
        "add at least.",
        answers={200: answer(UsageSerializer, "Yours.", USAGE), 304: SAME},
        parameters=TAGGED,
        errors=("precondition_failed",),
    ),
}
