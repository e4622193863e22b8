"""Receiving a multipart body: streamed to disk, counted and hashed on the way.

Nothing of it outlives the request: what the caller does not move into the storage is deleted, on
success, refusal, a cut connection and a crash of our own alike.
"""

import contextlib
import hashlib
import html
import itertools
import logging
import os
import re
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, NoReturn

from django.conf import settings
from django.core.files.uploadedfile import UploadedFile
from django.http import HttpRequest, QueryDict

from chat.errors import ChatError, VideoError
from chat.services.local_files import storage_failure
from chat.services.multipart import Part, parts_of

logger = logging.getLogger(__name__)

CHUNK_BYTES = 1024 * 1024  # read, hashed and written at a time: all the memory an upload takes
PART_HEADERS_BYTES = 64 * 1024  # room for boundaries and part headers beside files and fields
NAME_PREFIX = "upload-"
ABANDONED_SECONDS = 24 * 3600


class ReceivedFile(UploadedFile):
    """A file of this request on our disk: ``name`` as the client said, ``size``, ``sha256``.

    The storage takes it with a rename, since it has a ``temporary_file_path``.
    """

    file: IO[bytes]
    name: str
    size: int

    def __init__(self, name: str) -> None:
        # No part of the client's name: media tools look at extensions.
        file = tempfile.NamedTemporaryFile(  # noqa: SIM115  (closed by `discard`)
            dir=settings.FILE_UPLOAD_TEMP_DIR, prefix=NAME_PREFIX, delete=False
        )
        super().__init__(file, shortened(name), size=0)
        self.path = Path(file.name)
        self.digest = hashlib.sha256()

    @property
    def sha256(self) -> str:
        return self.digest.hexdigest()

    def append(self, chunk: bytes) -> None:
        self.file.write(chunk)
        self.digest.update(chunk)
        self.size += len(chunk)

    def finish(self) -> None:
        """Bring the bytes to the disk: a row that names them is about to be committed."""
        self.file.flush()
        os.fsync(self.file.fileno())
        self.file.seek(0)

    def temporary_file_path(self) -> str:
        return str(self.path)

    def discard(self) -> None:
        """Close the file, and delete it unless the storage has taken it."""
        with contextlib.suppress(OSError):  # buffered bytes that a full disk does not take
            self.file.close()
        self.path.unlink(missing_ok=True)


def cleaned(name: str) -> str:
    """A file's name as a client says it: no folders, nothing that cannot be printed, and not too
    long; empty when nothing is left."""
    last = re.split(r"[/\\]", name)[-1]
    printable = shortened("".join(filter(str.isprintable, last)).strip())
    return "" if printable in (".", "..") else printable


def shortened(name: str, length: int = 255) -> str:
    """At most ``length`` characters, the extension kept."""
    if len(name) <= length:
        return name
    stem, extension = os.path.splitext(name)
    extension = extension[:20]
    return stem[: length - len(extension)] + extension


@dataclass(slots=True)
class Received:
    """What the body held: form fields, and files by field name in the order they came."""

    fields: QueryDict
    files: dict[str, list[ReceivedFile]] = field(default_factory=dict)

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(file.size for files in self.files.values() for file in files)


class Reception:
    """Takes a form: text into memory, the files of the field ``accepted`` to the disk; other files
    are read past.

    ``before_file`` is called with the text so far when a file begins, before one of its bytes is
    kept; ``follow`` with the bytes of all files so far, before the last of them are.
    """

    def __init__(
        self,
        accepted: str,
        max_files: int,
        before_file: Callable[[QueryDict], None],
        follow: Callable[[int], None],
    ) -> None:
        self.accepted = accepted
        self.max_files = max_files
        self.before_file = before_file
        self.follow = follow
        self.received = Received(QueryDict(mutable=True))
        self.begun: list[ReceivedFile] = []
        self.text_bytes = 0
        self.file_bytes = 0

    def take(self, part: Part) -> None:
        if part.filename is None:
            self.take_text(part)
        elif part.name == self.accepted:
            self.take_file(part, part.filename)

    def take_text(self, part: Part) -> None:
        text = b""
        for chunk in part.content:
            self.text_bytes += len(chunk)
            if self.text_bytes > settings.DATA_UPLOAD_MAX_MEMORY_SIZE:
                raise VideoError("too_large", "the text of a form passed its limit")
            text += chunk
        self.received.fields.appendlist(part.name, text.decode(errors="replace"))

    def take_file(self, part: Part, name: str) -> None:
        content = part.content
        if not name:
            first = next(content, b"")
            if not first:  # a page's file input in which nothing was chosen
                return
            content = itertools.chain([first], content)
        if len(self.begun) == self.max_files:
            raise ChatError("too_many_files")
        self.before_file(self.received.fields)
        file = ReceivedFile(cleaned(html.unescape(name)) or "file")
        self.begun.append(file)
        for chunk in content:
            self.file_bytes += len(chunk)
            if self.file_bytes > settings.UPLOAD_MAX_BYTES:
                raise VideoError("too_large", f"passed {settings.UPLOAD_MAX_BYTES} on the way")
            self.follow(self.file_bytes)
            file.append(chunk)
        file.finish()
        self.received.files.setdefault(part.name, []).append(file)

    def discard(self) -> None:
        for file in self.begun:
            file.discard()


class Body:
    """The request's body, bounded by ``limit`` bytes and known to be whole when it ends.

    A body cut off behind the file would otherwise pass with a form field missing or cut in two.
    """

    def __init__(self, stream: IO[bytes], announced: int | None, limit: int) -> None:
        self.stream = stream
        self.announced = announced
        self.limit = limit
        self.received = 0

    def read(self, size: int = CHUNK_BYTES) -> bytes:
        try:
            data = self.stream.read(size)
        except Exception as error:  # each server has its own errors for a connection that ends
            logger.info("upload ended early after %s bytes: %r", self.received, error)
            raise ChatError("incomplete_body") from error
        self.received += len(data)
        if self.received > self.limit:
            raise VideoError("too_large", f"the body passed {self.limit} bytes")
        if not data and self.announced is not None and self.received < self.announced:
            raise ChatError("incomplete_body")
        return data


@contextlib.contextmanager
def receive(
    request: HttpRequest,
    *,
    accepted: str,
    max_files: int,
    before_file: Callable[[QueryDict], None],
    follow: Callable[[int], None],
) -> Iterator[Received]:
    """The files of field ``accepted`` and the form fields of a multipart request, for the block.

    ``before_file`` (called with the form fields so far) may refuse, by raising, before the first
    byte of a file is kept, and ``follow`` (called with the bytes of all files so far) at any time.

    Raises:
        VideoError: ``too_large`` (by Content-Length, or while it arrives), ``no_room``,
            ``storage_error``.
        ChatError: ``incomplete_body``, ``parse_error``, ``too_many_files``.
    """
    reception = Reception(accepted, max_files, before_file, follow)
    try:
        with refusals(), stalls_end(request):
            body = body_of(request, settings.UPLOAD_MAX_BYTES + beside_files())
            if body is None:
                raise ChatError("parse_error")
            for part in parts_of(body, request.META["CONTENT_TYPE"]):
                reception.take(part)
        yield reception.received
    finally:
        reception.discard()


def beside_files() -> int:
    """Bytes of a form that are not in files, at most."""
    return settings.DATA_UPLOAD_MAX_MEMORY_SIZE + PART_HEADERS_BYTES


def least_file_bytes(request: HttpRequest) -> int:
    """What the files of a form have together at least, by the announced length."""
    return max(0, (announced_length(request) or 0) - beside_files())


def body_of(request: HttpRequest, limit: int) -> Body | None:
    """A body of announced length or chunked; None when there is neither.

    Raises:
        VideoError: ``too_large``, when it is announced with more than ``limit`` bytes.
    """
    announced = announced_length(request)
    if announced is not None:
        if announced > limit:
            raise VideoError("too_large", f"Content-Length {announced} passes {limit}")
        return Body(request, announced, limit)  # type: ignore[arg-type]  # it has read()
    if is_chunked(request):
        # Django's own stream takes a body without Content-Length for an empty one; the server
        # that sets this flag ends its stream where the last chunk ends.
        return Body(request.META["wsgi.input"], None, limit)
    return None


def whole_body(request: HttpRequest, limit: int) -> bytes:
    """All of a body without files.

    Raises:
        VideoError: ``too_large``.
        ChatError: ``incomplete_body``.
    """
    body = body_of(request, limit)
    if body is None:
        return b""
    with stalls_end(request):
        return b"".join(iter(body.read, b""))


@contextlib.contextmanager
def stalls_end(request: HttpRequest) -> Iterator[None]:
    """Within the block a client that sends nothing for UPLOAD_STALL_SECONDS counts as gone.

    Of a connection that was lost without a word, the server would otherwise never know, and the
    thread (of a resumable upload, the lock too) would be held for ever.  Elsewhere than below
    gunicorn this is the business of the server in front.
    """
    connection = request.META.get("gunicorn.socket")
    if connection is None:
        yield
        return
    before = connection.gettimeout()
    connection.settimeout(settings.UPLOAD_STALL_SECONDS)
    try:
        yield
    finally:
        connection.settimeout(before)


def announced_length(request: HttpRequest) -> int | None:
    try:
        length = int(request.META.get("CONTENT_LENGTH") or "")
    except ValueError:
        return None
    return length if length >= 0 else None


def is_chunked(request: HttpRequest) -> bool:
    coding = request.META.get("HTTP_TRANSFER_ENCODING", "").lower()
    return "chunked" in coding and bool(request.META.get("wsgi.input_terminated"))


@contextlib.contextmanager
def refusals() -> Iterator[None]:
    """Turn what the disk raises into errors of ours."""
    try:
        yield
    except OSError as error:
        disk_failure(error)


def disk_failure(error: OSError) -> NoReturn:
    logger.error("an upload could not be written: %s", error)
    raise storage_failure(error) from error


def sweep_abandoned(older_than_seconds: float = ABANDONED_SECONDS) -> int:
    """Delete what a killed web worker left behind; returns how many files."""
    swept = 0
    for path in abandoned(older_than_seconds):
        path.unlink(missing_ok=True)
        swept += 1
    return swept


def abandoned(older_than_seconds: float = ABANDONED_SECONDS) -> Iterator[Path]:
    """A file that is still being received was written to a moment ago."""
    oldest = time.time() - older_than_seconds
    for path in Path(settings.FILE_UPLOAD_TEMP_DIR).glob(f"{NAME_PREFIX}*"):
        with contextlib.suppress(FileNotFoundError):
            if path.stat().st_mtime < oldest:
                yield path
