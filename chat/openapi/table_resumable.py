"""Resumable uploads: tus 1.0."""

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiRequest

from chat.openapi.errors import codes_with_status
from chat.openapi.operation import Operation, Table, empty, header, request_header

VERSION = request_header("Tus-Resumable", "The protocol.", required=True, enum=["1.0.0"])
CHECKSUM = request_header("Upload-Checksum", "`sha256` or `sha1`, a blank, the digest in base64.")
NUMBER = "^[0-9]{1,18}$"
BYTES = {"application/offset+octet-stream": OpenApiRequest(OpenApiTypes.BINARY)}


def state(*statuses: int) -> tuple[OpenApiParameter, ...]:
    """Headers of an answer that tells how far an upload is."""
    told = list(statuses)
    return (
        header("Tus-Resumable", told, "`1.0.0`."),
        header("Upload-Offset", told, "Bytes that need not be sent again.", int),
        header("Upload-Expires", told, "When it is given up, unless more bytes come."),
        header("Attachment-Id", told, "Of a finished upload: the id of its attachment.", int),
        header("Content-Location", told, "Of a finished upload: its attachment's address."),
    )


COMMON_ERRORS = ("unsupported_tus_version",)
WRITING_ERRORS = (
    "invalid",
    "not_found",
    "incomplete_body",
    "offset_conflict",
    "upload_locked",
    "checksum_mismatch",
    "quota_exceeded",
    *codes_with_status(413, 415, 422, 503, 507),
    *COMMON_ERRORS,
)

RESUMABLE: Table = {
    "POST /api/chat/uploads/": Operation(
        name="create_upload",
        summary="Begin a resumable upload",
        description="What can be refused is refused now, before its bytes are sent; the first "
        "bytes may come along. Any client of [tus 1.0](https://tus.io/protocols/resumable-upload) "
        "will do; `OPTIONS` tells what the server can do.",
        request=BYTES,
        answers={201: empty("Begun; with all bytes along, finished.")},
        errors=(*WRITING_ERRORS, "too_many_uploads"),
        parameters=(
            VERSION,
            request_header(
                "Upload-Length", "Bytes of the whole file.", required=True, pattern=NUMBER
            ),
            request_header(
                "Upload-Metadata",
                "Pairs of a key and a value in base64, with commas: `conversation` (an id), "
                "`filename`, `filetype`, `kind` (`any` or `video`), `content` (makes a message).",
            ),
            CHECKSUM,
            OpenApiParameter(
                "conversation",
                {"type": "integer", "format": "int64", "minimum": 1},
                OpenApiParameter.QUERY,
                description="May stand here instead of in the metadata.",
            ),
            header("Location", [201], "The upload's address."),
            *state(201),
        ),
    ),
    "HEAD /api/chat/uploads/{upload_id}/": Operation(
        name="get_upload_offset",
        summary="How far an upload is",
        description="Never more than what is safely on the disk; the whole only once the "
        "attachment is there.",
        answers={200: empty("How far it is.")},
        errors=("not_found", "upload_expired", *COMMON_ERRORS),
        parameters=(
            VERSION,
            header("Upload-Length", [200], "Bytes of the whole file.", int),
            header("Upload-Metadata", [200], "As it was sent."),
            *state(200),
        ),
    ),
    "PATCH /api/chat/uploads/{upload_id}/": Operation(
        name="append_to_upload",
        summary="Send more of an upload",
        description="With the last byte the file is read and kept as by `upload/`, or refused "
        "with the same errors and nothing kept. Of a body that is cut off, what arrived is kept, "
        "unless it has a checksum.",
        request=BYTES,
        answers={204: empty("Taken.")},
        errors=(*WRITING_ERRORS, "unsupported_media_type", "upload_expired"),
        parameters=(
            VERSION,
            request_header(
                "Upload-Offset", "Where these bytes begin.", required=True, pattern=NUMBER
            ),
            CHECKSUM,
            *state(204),
        ),
    ),
    "DELETE /api/chat/uploads/{upload_id}/": Operation(
        name="delete_upload",
        summary="Give an upload up",
        description="An attachment that was made of it stays.",
        answers={204: empty("Gone.")},
        errors=("not_found", "upload_locked", *COMMON_ERRORS),
        parameters=(VERSION, header("Tus-Resumable", [204], "`1.0.0`.")),
    ),
}
