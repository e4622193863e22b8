"""The parts of a multipart/form-data body (RFC 7578), one after another as they arrive.

Django's parser passes without a word over a part whose header it cannot read: a file whose name is
not UTF-8 would be missing from a message that is sent.  Here what is not UTF-8 is replaced, and a
part without a name ends the request.
"""

import base64
import binascii
import re
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from django.utils.http import parse_header_parameters

from chat.errors import ChatError

MAX_PARTS = 100
MAX_HEAD_BYTES = 8 * 1024
BOUNDARY = re.compile(r"[ -~]{0,200}[!-~]")  # RFC 2046 allows 70, and fewer characters


class Readable(Protocol):
    def read(self) -> bytes:
        """The next bytes, as many as are good to have at once; empty at the end."""


@dataclass(frozen=True, slots=True)
class Part:
    """A form field, or a file; ``content`` is there until the next part is asked for."""

    name: str
    filename: str | None  # None of a form field
    content: Iterator[bytes]  # chunks, none empty


class Form:
    """The parts of a form.

    Raises:
        ChatError: ``parse_error``; here and while the parts are asked for.
    """

    def __init__(self, body: Readable, content_type: str) -> None:
        _, parameters = parse_header_parameters(content_type)
        boundary = parameters.get("boundary") or ""
        if not BOUNDARY.fullmatch(boundary):
            raise ChatError("parse_error", "The form's boundary is missing or cannot be one.")
        self.body = body
        self.delimiter = b"\r\n--" + boundary.encode("ascii")
        self.ahead = b"\r\n"  # read and not yet used; the first delimiter may begin the body

    def __iter__(self) -> Iterator[Part]:
        deque(self._content(), maxlen=0)  # before the first delimiter is nothing of the form
        for _ in range(MAX_PARTS):
            if self._ends():
                while self.body.read():  # that it is whole is told at its end
                    pass
                return
            name, filename, coding = described(self._head())
            content = self._content()
            yield Part(name, filename, decoded(content) if coding == "base64" else content)
            deque(content, maxlen=0)
        raise ChatError("parse_error", f"The form has more than {MAX_PARTS} parts.")

    def _ends(self) -> bool:
        """Whether the delimiter that was read is the last one."""
        while len(self.ahead) < 2:
            self._read_on()
        return self.ahead.startswith(b"--")

    def _head(self) -> bytes:
        while (end := self.ahead.find(b"\r\n\r\n")) < 0:
            if len(self.ahead) > MAX_HEAD_BYTES:
                break
            self._read_on()
        if not 0 <= end <= MAX_HEAD_BYTES:
            raise ChatError("parse_error", "The header of a part of the form is too long.")
        head, self.ahead = self.ahead[:end], self.ahead[end + 4 :]
        return head

    def _content(self) -> Iterator[bytes]:
        """What comes before the next delimiter, which is taken too."""
        while (end := self.ahead.find(self.delimiter)) < 0:
            # The last bytes may be the beginning of a delimiter.
            if (certain := len(self.ahead) - len(self.delimiter) + 1) > 0:
                chunk, self.ahead = self.ahead[:certain], self.ahead[certain:]
                yield chunk
            self._read_on()
        chunk, self.ahead = self.ahead[:end], self.ahead[end + len(self.delimiter) :]
        if chunk:
            yield chunk

    def _read_on(self) -> None:
        chunk = self.body.read()
        if not chunk:
            raise ChatError("parse_error", "The form does not end with its boundary.")
        self.ahead += chunk


def described(head: bytes) -> tuple[str, str | None, str]:
    """Name, file name and transfer encoding by the header of a part."""
    headers: dict[str, tuple[str, dict[str, str]]] = {}
    for line in head.decode(errors="replace").split("\r\n"):
        try:
            start, parameters = parse_header_parameters(line)
        except ValueError:  # a parameter in an encoding that there is not
            continue
        name, _, value = start.partition(":")
        headers[name.strip()] = (value.strip(), parameters)
    _, parameters = headers.get("content-disposition", ("", {}))
    if "name" not in parameters:
        raise ChatError("parse_error", "A part of the form has no name that can be read.")
    coding, _ = headers.get("content-transfer-encoding", ("", {}))
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
