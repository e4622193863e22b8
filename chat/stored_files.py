"""A stored file as an answer, for the API and the dashboard alike."""

from typing import IO, Any
from urllib.parse import quote

from django.conf import settings
from django.core.files.storage import FileSystemStorage
from django.db.models.fields.files import FieldFile
from django.http import HttpRequest
from django.http.response import HttpResponseBase

from chat.errors import VideoError
from chat.http_range import range_response
from chat.services.local_files import storage_failure

# How texts begin that a player takes for a list of other addresses (HLS, DASH, Smooth Streaming,
# SMIL, PLS) and fetches them all, as the person who watches.  No video begins like this.
PLAYLIST_STARTS = (b"#extm3u", b"<?xml", b"<mpd", b"<smooth", b"<smil", b"[playlist]")
LOOKED_AT_BYTES = 64


def stored_file_response(
    request: HttpRequest, file: FieldFile, *, as_attachment: bool, etag: str = "", **kwargs: Any
) -> HttpResponseBase:
    """A stored file through ``range_response``, which takes the rest.

    Stored names are never used twice, so that name and size are as strong a validator as the hash.

    Raises:
        VideoError: ``missing_file``, ``storage_error``; ``not_a_video`` for a playlist that would
            be shown in place.
    """
    if not file:
        raise VideoError("missing_file", "the row names no file")
    try:
        size = file.size
        return range_response(
            request,
            lambda: file.open("rb") if as_attachment else opened_to_show(file),
            size=size,
            etag=f'"{etag or stored_tag(file, size)}"',
            as_attachment=as_attachment,
            accel_address=accel_address(file),
            **kwargs,
        )
    except FileNotFoundError as error:
        raise VideoError("missing_file", f"{file.name} is not stored") from error
    except OSError as error:
        raise storage_failure(error) from error


def accel_address(file: FieldFile) -> str:
    """The file below nginx's internal location, if there is one and it is on this machine."""
    prefix = settings.ACCEL_REDIRECT_PREFIX
    if not prefix or not isinstance(file.storage, FileSystemStorage):
        return ""
    return quote(f"{prefix.rstrip('/')}/{file.name}")


def stored_tag(file: FieldFile, size: int) -> str:
    return f"{(file.name or '').rpartition('/')[2]}-{size}"


def opened_to_show(file: FieldFile) -> IO[bytes]:
    """The file, opened, unless it is a playlist: a player would follow it wherever it leads."""
    # By itself: the server sends from where the descriptor stands, which reading ahead moves.
    with file.storage.open(str(file.name)) as looked_at:
        start = looked_at.read(LOOKED_AT_BYTES).removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    if start.startswith(PLAYLIST_STARTS):
        raise VideoError("not_a_video", f"{file.name} is a playlist: not shown in place")
    opened: IO[bytes] = file.open("rb")
    return opened
