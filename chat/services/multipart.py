"""The parts of a multipart/form-data body (RFC 7578), one after another as they arrive.

Django's parser passes without a word over a part whose header it cannot read: a file whose name is
not UTF-8 would be missing from a message that is sent.  Here what is not UTF-8 is replaced, and a
part without a name ends the request.
"""

import base64
import binascii
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import takewhile
from typing import Any, Protocol

from django.utils.http import parse_header_parameters
from multipart import MultipartError, MultipartSegment, PushMultipartParser

from chat.errors import ChatError

MAX_PARTS = 100
MAX_HEADER_BYTES = 8 * 1024


class Readable(Protocol):
    def read(self) -> bytes:
        """The next bytes, as many as are good to have at once; empty at the end."""


@dataclass(frozen=True, slots=True)
class Part:
    """A form field, or a file; ``content`` is there until the next part is asked for."""

    name: str
    filename: str | None  # None of a form field
    content: Iterator[bytes]  # chunks, none empty


def parts_of(body: Readable, content_type: str) -> Iterator[Part]:
    """The parts of a form, whose body is read to its end: that it is whole is told there.

    Raises:
        ChatError: ``parse_error``; also while the content of a part is read.
    """
    events = events_of(body, content_type)
    for segment in events:
        name, filename, coding = described(segment)
        content = takewhile(lambda event: event is not None, events)
        yield Part(name, filename, decoded(content) if coding == "base64" else content)
        deque(content, maxlen=0)


def events_of(body: Readable, content_type: str) -> Iterator[Any]:
    """Of each part its MultipartSegment, the chunks of its content, and None."""
    _, parameters = parse_header_parameters(content_type)
    try:
        with PushMultipartParser(
            parameters.get("boundary", ""),
            max_header_size=MAX_HEADER_BYTES,
            max_segment_count=MAX_PARTS,
            header_charset="latin-1",  # whatever the bytes; see `described`
        ) as parser:
            while chunk := body.read():
                yield from parser.parse(chunk)
    except MultipartError as error:
        raise ChatError("parse_error", f"The form cannot be read: {error}.") from error


def described(segment: MultipartSegment) -> tuple[str, str | None, str]:
    """Name, file name and transfer encoding by the header of a part."""
    disposition = segment.header("Content-Disposition").encode("latin-1").decode(errors="replace")
    try:
        _, parameters = parse_header_parameters(disposition)
    except ValueError:  # a parameter in an encoding that there is not
        parameters = {}
    if "name" not in parameters:
        raise ChatError("parse_error", "A part of the form has no name that can be read.")
    coding = segment.header("Content-Transfer-Encoding", "").strip().lower()
    return parameters["name"].strip(), parameters.get("filename"), coding


def decoded(content: Iterator[bytes]) -> Iterator[bytes]:
    """The bytes that came as base64; no form needs it, and some libraries send it."""
    rest = b""
    for chunk in content:
        digits = rest + b"".join(chunk.split())
        whole = len(digits) // 4 * 4
        rest = digits[whole:]
        try:
            plain = base64.b64decode(digits[:whole])
        except binascii.Error:
            rest = digits
            break
        if plain:
            yield plain
    if rest:
        raise ChatError("parse_error", "A part of the form is not base64, as it says.")
