"""What is known of a file, its bytes and its pictures."""

from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiResponse

from chat.openapi.examples import ATTACHMENT, REPORT
from chat.openapi.operation import (
    IF_NONE_MATCH,
    SAME,
    TAGGED,
    Operation,
    Table,
    answer,
    binary,
    empty,
    head_of,
    header,
    request_header,
    sent,
)
from chat.serializers_video import AttachmentSerializer
from chat.views_reports import ReportCreateSerializer, ReportSerializer

BYTES = ("application/octet-stream", "video/*", "audio/*", "image/*")
JPEG, WEBP, MP4, VTT = ("image/jpeg",), ("image/jpeg", "image/webp"), ("video/mp4",), ("text/vtt",)
CURRENT = empty("The copy that `If-None-Match` or `If-Modified-Since` tells of is current.")
FILE_ERRORS = (
    "missing_file", "storage_error", "quarantined", "removed", "precondition_failed",
    "range_not_satisfiable",
)  # fmt: skip

CONDITIONS = (
    IF_NONE_MATCH,
    request_header("If-Modified-Since", "The `Last-Modified` of the copy one has."),
    header("ETag", [200, 206, 304], "A strong validator of the bytes."),
    header("Last-Modified", [200, 206], "When the bytes came to be."),
    header("Content-Disposition", [200, 206], "The file's name, by RFC 6266 and RFC 8187."),
)
RANGES = (
    request_header("Range", "One range: `bytes=0-1023`, `bytes=500-`, `bytes=-500`."),
    request_header("If-Range", "The `ETag` of the copy to go on with; another file comes whole."),
    *CONDITIONS,
    header("Accept-Ranges", [200, 206, 416], "`bytes`."),
    header("Content-Range", [206, 416], "`bytes 0-1023/7340032`; with 416 `bytes */7340032`."),
)


def file(
    name: str, summary: str, description: str, types: tuple[str, ...], **more: Any
) -> Operation:
    """GET of a stored file, whole or in part."""
    return Operation(
        name=name,
        summary=summary,
        description=description,
        answers={
            (200, *types): binary("The whole file."),
            (206, *types): binary("The range asked for."),
            304: CURRENT,
        },
        errors=FILE_ERRORS + tuple(more.get("errors", ())),
        parameters=RANGES,
    )


DOWNLOAD = file(
    "download_attachment",
    "The file, to save",
    "As it was uploaded; works for every kind of attachment. Several ranges at once, or a header "
    "that is not understood, answer the whole file.",
    BYTES,
)
STREAM = file(
    "stream_attachment",
    "The file, to show in place",
    "The same bytes, for `<video>`, `<audio>` and `<img>`; `stream_url` leads here. A playlist "
    "that calls itself a video is refused: a player would fetch whatever it names.",
    BYTES,
    errors=("not_a_video",),
)
THUMBNAIL = file(
    "get_thumbnail",
    "The thumbnail",
    "At most 640 × 640 pixels; WebP where that is smaller and `Accept` names it.",
    WEBP,
)
STORYBOARD = file(
    "get_storyboard",
    "The storyboard's pictures",
    "One sheet of small pictures from all over the video; which to show when is in the map.",
    JPEG,
    errors=("no_rendition",),
)
PREVIEW = file(
    "get_preview",
    "A small copy that browsers play",
    "H.264 and AAC, 480 pixels on the shorter side, made where the original does not play in "
    "browsers or is heavy.",
    MP4,
    errors=("no_rendition",),
)
MAP = Operation(
    name="get_storyboard_map",
    summary="The storyboard's map",
    description="WebVTT: from when to when each picture of the sheet is to be shown. Asked for "
    "with a token in the address, it has that token in its own addresses too.",
    answers={
        (200, *VTT): OpenApiResponse(OpenApiTypes.STR, "The map."),
        304: CURRENT,
    },
    errors=(
        "no_rendition",
        "missing_file",
        "storage_error",
        "quarantined",
        "removed",
        "precondition_failed",
    ),
    parameters=(
        IF_NONE_MATCH,
        header("ETag", [200, 304], "A strong validator."),
        header("Last-Modified", [200], "When it was made."),
    ),
)
FILES = {
    "/api/chat/videos/{attachment_id}/download/": DOWNLOAD,
    "/api/chat/videos/{attachment_id}/stream/": STREAM,
    "/api/chat/attachments/{attachment_id}/thumbnail/": THUMBNAIL,
    "/api/chat/attachments/{attachment_id}/storyboard/": STORYBOARD,
    "/api/chat/attachments/{attachment_id}/storyboard.vtt": MAP,
    "/api/chat/attachments/{attachment_id}/preview/": PREVIEW,
}

ATTACHMENTS: Table = {
    "GET /api/chat/videos/": Operation(
        name="list_videos",
        summary="The videos that you may see",
        description="Of all your conversations, newest first; follow `next` until it is null.",
        answers={200: answer(AttachmentSerializer(many=True), "A page.", ATTACHMENT), 304: SAME},
        parameters=TAGGED,
        errors=("precondition_failed",),
    ),
    "GET /api/chat/attachments/{attachment_id}/": Operation(
        name="get_attachment",
        summary="What is known of a file",
        description="While moderators hold it, every address in it is null. Asking again with "
        "`If-None-Match` costs next to nothing while nothing has changed.",
        answers={200: answer(AttachmentSerializer, "The attachment.", ATTACHMENT), 304: SAME},
        parameters=TAGGED,
        errors=("removed", "precondition_failed"),
    ),
    "DELETE /api/chat/attachments/{attachment_id}/": Operation(
        name="delete_attachment",
        summary="Delete a file",
        description="With everything made of it; who uploaded it may, and the conversation's "
        "owner, and not while moderators hold it.",
        answers={204: empty("Deleted.")},
        errors=("quarantined", "removed", "must_be_kept"),
    ),
    "POST /api/chat/attachments/{attachment_id}/report/": Operation(
        name="report_video",
        summary="Report a video to the moderators",
        description="One has one open report on a video: sent again it is changed. Once the "
        "moderators have decided, the next one is new.",
        request=ReportCreateSerializer,
        answers={
            200: answer(ReportSerializer, "Your open report, changed.", REPORT),
            201: answer(ReportSerializer, "A new report.", REPORT),
        },
        errors=("not_reportable", "quarantined", "removed"),
        examples=(
            sent("report", {"reason": "violence", "note": "At the end.", "time_seconds": 21.5}),
        ),
    ),
    **{f"GET {path}": operation for path, operation in FILES.items()},
    **{f"HEAD {path}": head_of(operation) for path, operation in FILES.items()},
}
