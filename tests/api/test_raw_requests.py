"""Requests that no library sends, byte by byte to a real server: refused or understood, never an
error of ours, and nothing of them in the headers of the answer."""

import json
import re
import socket
from contextlib import closing, suppress
from http.client import HTTPResponse
from typing import Any

import pytest

from tests.api.server import ApiServer

JSON = "Content-Type: application/json"
FORM = "Content-Type: multipart/form-data; boundary=x"
CHUNKED = "Transfer-Encoding: chunked"
PART = "Content-Type: application/offset+octet-stream"
LENGTH, SIZE, METADATA = "Content-Length: ", "Upload-Length: ", "Upload-Metadata: "
FILE = b'name="file"; filename="a"'
HELLO = b'{"content": "Hello"}'
TAKEN, REFUSED, EITHER = {201}, {400}, {201, 400}
END = b"0\r\n\r\n"


def chunks(*parts: bytes) -> bytes:
    return b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in parts)


def field(disposition: bytes, content: bytes, *headers: bytes) -> bytes:
    lines = (b"--x", b"Content-Disposition: form-data; " + disposition, *headers, b"", content)
    return b"\r\n".join(lines) + b"\r\n"


def whole(content: bytes) -> bytes:
    return field(FILE, content) + b"--x--\r\n"


def named(parameters: bytes) -> bytes:
    return field(b'name="file"; ' + parameters, b"abc") + b"--x--\r\n"


def text(content: bytes, *headers: bytes) -> bytes:
    return field(b'name="content"', content, *headers) + b"--x--\r\n"


def encoded(content: bytes) -> bytes:
    coding = b"Content-Transfer-Encoding: base64"
    return field(FILE, content, coding) + b"--x--\r\n"


# Headers, body, and the statuses that are right.  A length is put before the body where there is
# none, nor a coding, among the headers.
MESSAGES: dict[str, tuple[list[str], bytes, set[int]]] = {
    "chunks": ([JSON, CHUNKED], chunks(HELLO) + END, TAKEN),
    "a chunk a byte": ([JSON, CHUNKED], chunks(*(bytes([b]) for b in HELLO)) + END, TAKEN),
    "extension of a chunk": ([JSON, CHUNKED], b"14;a=b\r\n" + HELLO + b"\r\n" + END, EITHER),
    "trailer": ([JSON, CHUNKED], chunks(HELLO) + b"0\r\nX: y\r\n\r\n", TAKEN),
    "no hexadecimal": ([JSON, CHUNKED], b"zz\r\n" + HELLO, REFUSED),
    "negative chunk": ([JSON, CHUNKED], b"-14\r\n" + HELLO, REFUSED),
    "endless chunk": ([JSON, CHUNKED], b"F" * 20 + b"\r\n" + HELLO, REFUSED),
    "cut chunk": ([JSON, CHUNKED], b"ff\r\n" + HELLO, REFUSED),
    "chunks and length": ([JSON, CHUNKED, LENGTH + "5"], chunks(HELLO) + END, REFUSED),
    "two lengths": ([JSON, LENGTH + "5", LENGTH + "20"], HELLO, REFUSED),
    "length with a sign": ([JSON, LENGTH + "+20"], HELLO, REFUSED),
    "list of lengths": ([JSON, LENGTH + "20, 20"], HELLO, REFUSED),
    "unknown coding": ([JSON, "Transfer-Encoding: x"], HELLO, {400, 501}),
    "chunked twice": ([JSON, CHUNKED, CHUNKED], chunks(HELLO) + END, REFUSED),
    "length by underscore": ([JSON, "Content_Length: 3"], HELLO, EITHER),
    "folded header": ([JSON, "X: a\r\n b"], HELLO, REFUSED),
    "two types": ([JSON, FORM], HELLO, {400, 415}),
    "UTF-16": ([JSON], HELLO.decode().encode("utf-16"), REFUSED),
    "byte order mark": ([JSON], b"\xef\xbb\xbf" + HELLO, REFUSED),
    "Latin-1": ([JSON + "; charset=latin-1"], b'{"content": "\xe4"}', TAKEN),
    **{
        f"charset {name}": ([f"{JSON}; charset={name}"], HELLO, TAKEN)
        for name in ("hex", "rot13", "idna", "punycode", "undefined", "utf-7", "utf-16", "klingon")
    },
    "type in no charset": ([JSON + "; a*=klingon''x"], HELLO, {415}),
    "charset of null": ([JSON + "; charset*=utf-8''%00"], HELLO, TAKEN),
    "charset of half a pair": ([JSON + "; charset*=utf-7''+2AA-"], HELLO, TAKEN),
    "null": ([JSON], rb'{"content": "a\u0000"}', REFUSED),
    "half a pair": ([JSON], rb'{"content": "\ud800"}', REFUSED),
    "100,000 brackets": ([JSON], b'{"content": ' + b"[" * 100_000, REFUSED),
    "4,000 digits": ([JSON], b'{"attachments": [' + b"9" * 4000 + b"]}", REFUSED),
    "key of bytes": ([JSON, "Idempotency-Key: \xff"], HELLO, REFUSED),
    "unknown charset": ([FORM], text(b"a", b"Content-Type: text/plain; charset=klingon"), EITHER),
    "text of bytes": ([FORM], text(b"\xff\xfe"), EITHER),
}
UPLOADS: dict[str, tuple[list[str], bytes, set[int]]] = {
    "two files": ([FORM], field(FILE, b"a") * 2 + b"--x--", REFUSED),
    "another conversation": ([FORM], field(b'name="conversation"', b"9") + whole(b"a"), REFUSED),
    "name with a line": ([FORM], named(b'filename="a\r\nX-Evil: y"'), EITHER),
    "name of null": ([FORM], named(b'filename="\0"'), TAKEN),
    "name of bytes": ([FORM], named(b'filename="\xff\xfe"'), TAKEN),
    "name of dots": ([FORM], named(b'filename=".."'), TAKEN),
    "name without end": ([FORM], named(b"filename=" + b"a" * 100_000), REFUSED),
    "name by RFC 8187": ([FORM], named(b"filename*=UTF-8''%ff%00%0d%0aX-Evil:y"), EITHER),
    "name of nothing": ([FORM], named(b"filename*=x"), EITHER),
    "base64": ([FORM], encoded(b"YWJj"), TAKEN),
    "no base64": ([FORM], encoded(b"!"), {400, 422}),
    "2,000 fields": ([FORM], field(b'name="a"', b"") * 2000 + b"--x--", REFUSED),
    "150 files": ([FORM], field(b'name="o"; filename="a"', b"") * 150 + b"--x--", REFUSED),
    "long header": ([FORM], b"--x\r\n" + b"A" * 100_000 + b"\r\n\r\n--x--", REFUSED),
    "long boundary": ([FORM + "x" * 300], b"x", REFUSED),
    "open boundary": ([FORM.replace("=x", '="x')], b"x", REFUSED),
    "boundary in no charset": ([FORM.replace("=", "*=klingon''")], whole(b"a"), {415}),
    "form in chunks": ([FORM, CHUNKED], chunks(whole(b"abc")) + END, TAKEN),
    "form in cut chunks": ([FORM, CHUNKED], chunks(whole(b"abc"))[:60], REFUSED),
}
RESUMABLE: dict[str, tuple[list[str], bytes, set[int]]] = {
    "part in chunks": ([PART, SIZE + "4", CHUNKED], chunks(b"ab", b"cd") + END, TAKEN),
    "too many chunks": ([PART, SIZE + "4", CHUNKED], chunks(b"abc", b"de") + END, {413}),
    "no chunk": ([PART, SIZE + "4", CHUNKED], b"zz\r\nab", REFUSED),
    "two sizes": ([SIZE + "4", SIZE + "5"], b"", REFUSED),
    "metadata twice": ([SIZE + "4", METADATA + "kind eA==", METADATA + "kind eQ=="], b"", REFUSED),
    "name of a null": ([SIZE + "4", METADATA + "filename AA=="], b"", REFUSED),
}
LIST = "/api/chat/conversations/"
# Method, address, headers, and the statuses that are right.
ADDRESSES: dict[str, tuple[str, str, list[str], set[int]]] = {
    "another host": ("GET", LIST, ["X-Forwarded-Host: x-evil.example"], {200}),
    "another scheme": ("GET", LIST, ["X-Forwarded-Proto: javascript"], {200, 400}),
    "absolute": ("GET", f"http://x-evil.example{LIST}", [], {200, 400}),
    "line in the address": ("GET", "/api/chat/%0d%0aX-Evil:%20y", [], {404}),
    "line in the query": ("GET", "/api/chat/videos?a=%0d%0aX-Evil:%20y", [], {308}),
    "two slashes": ("GET", "//x-evil.example/%2f..", [], {404}),
    "out of the static files": ("GET", "/static/../manage.py", [], {404}),
    "out of them, encoded": ("GET", "/static/%2e%2e/%2e%2e/manage.py", [], {404}),
    "the inner place": ("GET", "/protected/../db.sqlite3", [], {404}),
    "an unknown method": ("BREW", LIST, [], {405}),
    "TRACE": ("TRACE", LIST, [], {405}),
    "a long address": ("GET", "/api/chat/videos/?a=" + "a" * 9000, [], {414}),
    "a long header": ("GET", LIST, ["X: " + "a" * 70_000], {431}),
    "many headers": ("GET", LIST, [f"X{number}: y" for number in range(200)], {431}),
}


def sent(server: ApiServer, method: str, address: str, headers: list[str], body: bytes) -> Any:
    """Status, headers and content of the answer."""
    host, _, port = server.url.removeprefix("http://").partition(":")
    lines = [
        f"{method} {address} HTTP/1.1",
        f"Host: {host}:{port}",
        f"Authorization: Token {server.tokens['anna']}",
        "Tus-Resumable: 1.0.0",
        "Connection: close",
        *headers,
    ]
    if not any(line.startswith(("Content-Length", "Transfer-Encoding")) for line in headers):
        lines.append(f"Content-Length: {len(body)}")
    with closing(socket.create_connection((host, int(port)), timeout=60)) as connection:
        with suppress(OSError):  # answered before all of it was sent
            connection.sendall("\r\n".join([*lines, "", ""]).encode("latin-1") + body)
            connection.shutdown(socket.SHUT_WR)
        answer = HTTPResponse(connection, method=method)
        answer.begin()
        return answer.status, answer.headers, answer.read()


def assert_harmless(headers: Any, content: bytes) -> None:
    assert "X-Evil" not in headers
    assert b"x-evil.example" not in content
    assert "evil" not in headers.get("Location", "").lower().partition("?")[0]


@pytest.mark.parametrize("name", MESSAGES)
def test_messages(name: str, server: ApiServer) -> None:
    headers, body, statuses = MESSAGES[name]
    address = f"{LIST}{server.conversation}/messages/?a=%e4"

    status, found, content = sent(server, "POST", address, headers, body)

    assert status in statuses, content
    assert_harmless(found, content)
    if CHUNKED in headers and status == 201:
        assert json.loads(content)["content"] == "Hello"


@pytest.mark.parametrize("name", [*UPLOADS, *RESUMABLE])
def test_files(name: str, server: ApiServer) -> None:
    folder = "upload" if name in UPLOADS else "uploads"
    headers, body, statuses = {**UPLOADS, **RESUMABLE}[name]
    address = f"/api/chat/{folder}/?conversation={server.conversation}"

    status, found, content = sent(server, "POST", address, headers, body)

    assert status in statuses, content
    assert_harmless(found, content)


@pytest.mark.parametrize("name", ADDRESSES)
def test_addresses(name: str, server: ApiServer) -> None:
    method, address, headers, statuses = ADDRESSES[name]

    status, found, content = sent(server, method, address, headers, b"")

    assert status in statuses, content
    assert_harmless(found, content)


def test_none_of_it_was_an_error_of_ours(server: ApiServer) -> None:
    log = (server.installation.data_dir / "web.log").read_text(errors="replace")

    assert not re.findall(r"Internal Server Error|Traceback|WORKER TIMEOUT", log)
    assert sent(server, "GET", LIST, [], b"")[0] == 200
