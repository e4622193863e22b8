"""No input yields a server error, on any path."""

import json
import re
from functools import partial
from typing import Any

import pytest
from rest_framework.test import APIClient

from tests.chat.access_matrix import MATRIX, path_of
from tests.chat.conftest import undone

QUERIES = [
    "%00=%00",
    "conversation=%ff%fe",
    "conversation=" + "9" * 400,
    "conversation=1&conversation=2",
    "cursor=%00%ff",
    "cursor=cD0xJnI9MSZvPTk5OTk5OTk5OTk5OTk5OTk5OTk5OTk5OTk5OTk5OTk5OTk5OTk5OTk=",
    "page_size=%D9%A3",
    "page_size=-1",
    "created_after=%00",
    "created_before=99999-01-01",
    "created_after=2026-02-30T00:00:00Z",
    "state=%F0%9F%8E%AC&kind=%00&unread=%00&sender=1e9",
    "token=%00",
    "token=%ff",
    "token=1.1:zzzzzz:x",
    "token=" + "a" * 5000,
    "format=xml",
    "%",
    "&" * 999,
    "&".join(f"a{number}=1" for number in range(1200)),
]
HEADERS: list[dict[str, str]] = [
    {"if-none-match": "\xff\x00"},
    {"if-none-match": '"' + "a" * 9000},
    {"if-match": "W/"},
    {"if-modified-since": "Mon, 99 Foo 99999 99:99:99 GMT"},
    {"if-modified-since": "Mon, 01 Jan 0000 00:00:00 GMT"},
    {"if-unmodified-since": "Sun, 06 Nov 1994 08:49:37"},
    {"if-range": "\xff"},
    {"range": "bytes=" + "9" * 5000 + "-"},
    {"range": "bytes=\x00-\xff"},
    {"accept": "\xff/\x00;q=x"},
    {"accept": "application/json; indent=9999999999999999999"},
    {"accept": "application/json;indent=\xb2"},
    {"authorization": "Token \x00"},
    {"authorization": "Basic \xff"},
    {"cookie": "sessionid=\x00\xff; csrftoken=\xff"},
    {"x-forwarded-for": "\x00,\xff"},
    {"x-http-method-override": "DELETE"},
    {"idempotency-key": "\x00"},
    {"tus-resumable": "1.0.0", "upload-length": "9" * 400, "upload-offset": "\xb2"},
    {"tus-resumable": "1.0.0", "upload-length": "-1", "upload-offset": "-1"},
    {"tus-resumable": "1.0.0", "upload-length": "9", "upload-metadata": "conversation \xff,,"},
    {"tus-resumable": "1.0.0", "upload-length": "9", "upload-metadata": "filename AP8="},
    {"tus-resumable": "1.0.0", "upload-offset": "0", "upload-checksum": "sha1 \xff"},
    {"content-type": "multipart/form-data"},
    {"content-type": "multipart/form-data; boundary="},
    {"content-type": "multipart/form-data; boundary=\xff"},
    {"content-type": "application/json; charset=utf-7"},
    {"content-type": "\xff/\x00; =;;"},
    {"content-type": "application/x-www-form-urlencoded; charset=klingon"},
    {"content-type": "text/plain; charset=\xff"},
    {"content-length": "-1"},
    {"content-length": "\xb2"},
]
VALUES: list[Any] = [
    None, True, 0, -1, 2**63, 10**300, 1e308, "", "\0", "\ud800", "\U0001f3ac", " ", "9" * 5000,
    [], {}, [None], [[]], [{}], ["\0"], [2**63], [1] * 300, {"a": {"b": {}}},
]  # fmt: skip
FIELDS = (
    "username", "password", "title", "participants", "role", "message", "content", "attachments",
    "conversation", "file", "files", "reason", "note", "time_seconds", "code",
)  # fmt: skip
BODIES = [
    b"", b"\0", b"\xff\xfe", b"[", b"{" * 5000, b'{"a": ' * 3000, b"[" * 500 + b"]" * 500,
    b'{"title": "\\ud800"}', b'{"\\u0000": 1}', b'{"title": 1e999}', b'{"title": -Infinity}',
    b"username=%00&password=%ff&title=%ff", b"--x\r\n\r\n--x--",
    b'--x\r\nContent-Disposition: form-data; name="\xff\0"; filename="\0"\r\n\r\n\0\r\n--x--',
    b'--x\r\nContent-Disposition: form-data; name="content"\r\n\r\n\xff\0\r\n--x--',
    b"--x\r\nContent-Disposition: form-data; name=file; filename*=klingon''a\r\n\r\na\r\n--x--",
]  # fmt: skip
TYPES = [
    "application/json",
    "application/x-www-form-urlencoded",
    "multipart/form-data; boundary=x",
]


@pytest.mark.parametrize("route", sorted(MATRIX))
def test_no_server_error(
    route: str, ids: dict[str, Any], as_owner: APIClient, conversation: Any
) -> None:
    """An exception that no handler takes would come out of the test's client."""
    path = path_of(route, ids)

    def ask(method: str, address: str, *args: Any, **kwargs: Any) -> None:
        response = undone(partial(as_owner.generic, method, address, *args, **kwargs))
        response.close()
        assert response.status_code < 500, (method, address, args, kwargs)

    for method in MATRIX[route]:
        for query in QUERIES:
            ask(method, f"{path}?{query}")
        for headers in HEADERS:
            ask(method, path, headers=headers)
        if method not in ("POST", "PATCH"):
            continue
        for value in VALUES:
            body = json.dumps(dict.fromkeys(FIELDS, value)).encode()
            ask(method, path, body, content_type="application/json")
        for body in BODIES:
            for content_type in TYPES:
                ask(method, path, body, content_type=content_type)


@pytest.mark.every_database
@pytest.mark.parametrize("key", [r"\000" * 8 + "a" * 24, r"\377" * 32, "a" * 5000])
def test_a_session_that_was_never_given(key: str, as_nobody: APIClient) -> None:
    """Cookies in quotes hold any byte: a null is one that PostgreSQL does not take."""
    for path, status in (("/api/chat/videos/", 401), ("/moderation/", 302)):
        response = as_nobody.get(path, headers={"cookie": f'sessionid="{key}"; csrftoken="{key}"'})
        assert response.status_code == status


@pytest.mark.parametrize("piece", ["%00", "%ff", "%C0%AE", "..%2f", "%0d%0aX: y", "\u0661", "1e3"])
def test_no_server_error_by_path(piece: str, as_owner: APIClient) -> None:
    for route in sorted(MATRIX):
        for path in (f"/{route}{piece}", "/" + re.sub(r"<\w+:\w+>", piece, route)):
            response = as_owner.get(path)
            assert response.status_code < 500, path
            response.close()
