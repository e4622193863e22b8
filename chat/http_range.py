"""Byte ranges (RFC 9110 section 14) over a stored file: parse, clamp, slice, respond.

Knows no models.  ``range_response`` is the whole of it; the steps are pure and tested alone.
"""

import io
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import IO, Any

from django.conf import settings
from django.http import FileResponse, HttpRequest, HttpResponse, JsonResponse
from django.http.response import HttpResponseBase
from django.utils.cache import get_conditional_response, patch_vary_headers
from django.utils.http import content_disposition_header, http_date, parse_http_date_safe

from chat.errors import API_ERRORS

# What a browser may show in place.  Everything else is sent as an opaque download: nothing that a
# client uploaded is ever a page or a script under our origin.
INLINE_TYPES = frozenset(
    {
        "video/mp4", "video/quicktime", "video/3gpp", "video/webm", "video/x-matroska",
        "video/x-msvideo", "video/x-flv", "video/x-ms-wmv", "video/mp2t", "video/mpeg",
        "video/ogg", "image/jpeg", "image/png", "image/gif", "image/webp", "audio/mpeg",
        "audio/mp4", "audio/ogg", "audio/wav", "audio/flac", "audio/webm",
    }
)  # fmt: skip
OPAQUE_TYPE = "application/octet-stream"
BLOCK_BYTES = 256 * 1024

# Decimal digits of any size we store; more are garbage, not a position.
ONE_RANGE = re.compile(r"bytes=[ \t]*([0-9]{0,19})-([0-9]{0,19})[ \t]*", re.IGNORECASE | re.ASCII)


@dataclass(frozen=True, slots=True)
class ByteRange:
    """Positions as asked for, before the size is known: ``first-last``, ``first-`` or ``-last``.

    With ``first`` None, ``last`` is a suffix length.
    """

    first: int | None
    last: int | None


@dataclass(frozen=True, slots=True)
class Span:
    """Bytes that exist: ``length`` > 0 of them from ``start``."""

    start: int
    length: int


class Unsatisfiable(Exception):
    """The range asks for no byte of the file: 416."""


def parse_range(header: str) -> ByteRange | None:
    """The one range that ``header`` asks for, or None when it is to be ignored (200).

    Ignored, as RFC 9110 section 14.2 allows or demands: no header, another unit, bad syntax,
    last before first, and several ranges.  Several would need a multipart answer, which no player
    asks for and which lets a small request cost much; the first one alone would not be what the
    client asked, so it gets the whole file, which every client must understand.
    """
    match = ONE_RANGE.fullmatch(header)
    if not match:
        return None
    first, last = (int(digits) if digits else None for digits in match.groups())
    if first is None and last is None:
        return None
    if first is not None and last is not None and last < first:
        return None
    return ByteRange(first, last)


def clamp(wanted: ByteRange | None, size: int) -> Span | None:
    """The bytes of ``wanted`` that a file of ``size`` bytes has; None for the whole file.

    Raises:
        Unsatisfiable: none of them exists.
    """
    if wanted is None:
        return None
    if wanted.first is None:
        length = min(wanted.last or 0, size)
        if not wanted.last:
            raise Unsatisfiable
        # A suffix of an empty file is satisfiable, and empty: no Content-Range can say that.
        return Span(size - length, length) if length else None
    if wanted.first >= size:
        raise Unsatisfiable
    last = size - 1 if wanted.last is None else min(wanted.last, size - 1)
    return Span(wanted.first, last - wanted.first + 1)


def if_range_holds(header: str, etag: str, last_modified: datetime | None) -> bool:
    """Whether the client's copy is the one we have (RFC 9110 section 13.1.5).

    An entity tag must match strongly; a date exactly.
    """
    if not header:
        return True
    if header.startswith(('"', "W/")):
        return header == etag and not etag.startswith("W/")
    date = parse_http_date_safe(header)
    return (
        date is not None and last_modified is not None and date == int(last_modified.timestamp())
    )


class FileSlice:
    """A file from its position on, ended after ``length`` bytes.

    Has ``fileno`` where the file has one, so that the server can use sendfile (it takes the
    length from Content-Length); no ``seek`` and no ``tell``, which would reach past the end.
    """

    def __init__(self, file: IO[bytes], length: int) -> None:
        self.file = file
        self.left = length

    def read(self, size: int = -1) -> bytes:
        wanted = self.left if size < 0 else min(size, self.left)
        block = self.file.read(wanted) if wanted else b""
        self.left -= len(block)
        return block

    def fileno(self) -> int:
        try:
            return self.file.fileno()
        except AttributeError as error:  # a remote storage's file
            raise io.UnsupportedOperation("fileno") from error

    def close(self) -> None:
        self.file.close()


class SliceResponse(FileResponse):
    block_size = BLOCK_BYTES


def range_response(
    request: HttpRequest,
    file: Callable[[], IO[bytes]],
    *,
    size: int,
    content_type: str,
    etag: str,
    filename: str,
    as_attachment: bool,
    last_modified: datetime | None = None,
    accel_address: str = "",
) -> HttpResponseBase:
    """Answer a GET or HEAD for a stored file: 200, 206, 304, 412 or 416.

    Args:
        file: opens the file for reading; called only when its bytes are sent.
        size: bytes of the file.
        content_type: sent, and shown in place, only when one of ``INLINE_TYPES``.
        etag: a strong validator, in quotes.
        filename: the name for the person who saves it; any text.
        accel_address: where nginx finds the file (``X-Accel-Redirect``), when it is to send it.
    """
    inline = content_type in INLINE_TYPES
    headers = file_headers(etag, last_modified)
    headers["Content-Type"] = content_type if inline else OPAQUE_TYPE
    headers["Content-Disposition"] = disposition(filename, as_attachment or not inline)

    seconds = int(last_modified.timestamp()) if last_modified else None
    whole = HttpResponse(headers=headers)
    patch_vary_headers(whole, ["Authorization", "Cookie"])
    answer = conditional(request, etag, seconds, whole)
    if answer is not whole:
        return answer
    if request.method != "GET":  # RFC 9110 14.2: ranges are defined for GET alone
        whole.headers["Content-Length"] = str(size)
        return whole

    wanted = parse_range(request.headers.get("Range", ""))
    if not if_range_holds(request.headers.get("If-Range", ""), etag, last_modified):
        wanted = None
    try:
        span = clamp(wanted, size)
    except Unsatisfiable:
        return unsatisfiable(size, whole)
    if accel_address and nginx_agrees(request, span):
        file().close()  # it is there, and may be sent
        whole.headers["X-Accel-Redirect"] = accel_address
        return whole
    return sliced(file(), span, size, whole)


def conditional(
    request: HttpRequest, etag: str, seconds: int | None, answer: HttpResponseBase
) -> HttpResponseBase:
    """``answer``, or 304 or 412 by the request's preconditions (RFC 9110 section 13.2)."""
    judged = get_conditional_response(request, etag, seconds, answer)  # type: ignore[arg-type]
    if judged is None or judged.status_code != 412:
        return judged or answer
    return error_answer("precondition_failed", answer)


def error_answer(code: str, like: HttpResponseBase) -> HttpResponse:
    """An error in the API's form, kept as little as ``like``."""
    status, sentence = API_ERRORS[code]
    response: HttpResponse = JsonResponse({"detail": sentence, "code": code}, status=status)
    for name in ("Accept-Ranges", "Cache-Control", "ETag", "Vary", "X-Content-Type-Options"):
        if name in like.headers:
            response.headers[name] = like.headers[name]
    return response


def nginx_agrees(request: HttpRequest, span: Span | None) -> bool:
    """Whether nginx, which looks at these headers anew, would send the same.

    It answers 416 to ranges that are to be ignored, and cannot compare our entity tags.
    """
    if "If-Match" in request.headers or "If-Unmodified-Since" in request.headers:
        return False
    return span is not None or "Range" not in request.headers


def sliced(
    opened: IO[bytes], span: Span | None, size: int, like: HttpResponse
) -> HttpResponseBase:
    """200 with the whole file or 206 with ``span``, with the headers of ``like``."""
    start, length = (span.start, span.length) if span else (0, size)
    try:
        opened.seek(start)
        response = SliceResponse(
            FileSlice(opened, length), status=206 if span else 200, headers=dict(like.headers)
        )
    except BaseException:
        opened.close()
        raise
    # FileResponse writes its own idea of these when it is given a file.
    for name, value in {**like.headers, "Content-Length": str(length)}.items():
        response.headers[name] = value
    if span:
        response.headers["Content-Range"] = f"bytes {start}-{start + length - 1}/{size}"
    return response


def unsatisfiable(size: int, like: HttpResponse) -> HttpResponse:
    """416 in the API's error form, with the size that the client should have known."""
    response = error_answer("range_not_satisfiable", like)
    response.headers["Content-Range"] = f"bytes */{size}"
    return response


def file_headers(etag: str, last_modified: datetime | None) -> dict[str, Any]:
    """Headers of every answer that carries a file."""
    headers = {
        "Accept-Ranges": "bytes",
        # A browser may keep it, but asks here before each use: a video that is held back is gone
        # from every page at once.
        "Cache-Control": "private, no-cache",
        "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; sandbox",
        # <video> and <img> of another origin ask without CORS: only who is let in may show it.
        "Cross-Origin-Resource-Policy": (
            "cross-origin" if settings.CORS_ALLOWED_ORIGINS else "same-origin"
        ),
        "ETag": etag,
        "X-Content-Type-Options": "nosniff",
    }
    if last_modified is not None:
        headers["Last-Modified"] = http_date(last_modified.timestamp())
    return headers


def disposition(filename: str, as_attachment: bool) -> str:
    """Content-Disposition by RFC 6266 and 8187; a name without a form in UTF-8 loses the rest."""
    name = filename.encode("utf-8", "ignore").decode("utf-8")
    return content_disposition_header(as_attachment, name) or "inline"
