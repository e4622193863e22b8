"""The boundaries of byte ranges, on the pure steps and on a whole response."""

import io
import json
from datetime import UTC, datetime
from typing import Any

import pytest
from django.http.response import HttpResponseBase
from django.test import RequestFactory

from chat.http_range import ByteRange, Span, Unsatisfiable, clamp, parse_range, range_response

# Closing a response ends its request, and with that Django looks at the database connection.
pytestmark = pytest.mark.django_db

CONTENT = b"0123456789"
ETAG = '"abc"'
WRITTEN = datetime(2026, 5, 4, 3, 2, 1, 500_000, tzinfo=UTC)
WRITTEN_HTTP = "Mon, 04 May 2026 03:02:01 GMT"

WHOLE = (200, CONTENT, None)
NONE = (416, None, "bytes */10")

TABLE = {
    "": WHOLE,
    "bytes=0-0": (206, b"0", "bytes 0-0/10"),
    "bytes=9-9": (206, b"9", "bytes 9-9/10"),
    "bytes=-1": (206, b"9", "bytes 9-9/10"),
    "bytes=0-": (206, CONTENT, "bytes 0-9/10"),
    "bytes=0-9": (206, CONTENT, "bytes 0-9/10"),
    "bytes=3-5": (206, b"345", "bytes 3-5/10"),
    "bytes=8-100": (206, b"89", "bytes 8-9/10"),
    "bytes=-4": (206, b"6789", "bytes 6-9/10"),
    "bytes=-100": (206, CONTENT, "bytes 0-9/10"),
    "bytes=10-": NONE,
    "bytes=10-12": NONE,
    "bytes=-0": NONE,
    "bytes=9999999999999999999-": NONE,
    "Bytes= 1-2 ": (206, b"12", "bytes 1-2/10"),
    "bytes=5-3": WHOLE,
    "bytes=0-1,3-4": WHOLE,
    "bytes=0-0,-1": WHOLE,
    "bytes=": WHOLE,
    "bytes=-": WHOLE,
    "bytes=a-b": WHOLE,
    "bytes=1.5-2": WHOLE,
    "bytes=--1": WHOLE,
    "bytes=+1-2": WHOLE,
    "bytes=٣-٥": WHOLE,
    "bytes=99999999999999999999999-": WHOLE,
    "0-1": WHOLE,
    "items=0-1": WHOLE,
    "bytes 0-1": WHOLE,
}


def answer(content: bytes = CONTENT, method: str = "get", **headers: str) -> HttpResponseBase:
    request = getattr(RequestFactory(), method)("/", headers=headers)
    return ask(request, content)


def ask(request: Any, content: bytes = CONTENT, **changes: Any) -> HttpResponseBase:
    arguments = {
        "size": len(content),
        "content_type": "video/mp4",
        "etag": ETAG,
        "filename": "clip.mp4",
        "as_attachment": False,
        "last_modified": WRITTEN,
        **changes,
    }
    return range_response(request, lambda: io.BytesIO(content), **arguments)


def body(response: HttpResponseBase) -> bytes:
    found = b"".join(response) if response.streaming else response.content
    response.close()
    return found


@pytest.mark.parametrize(("header", "expected"), TABLE.items())
def test_boundaries(header: str, expected: tuple[int, bytes | None, str | None]) -> None:
    status, content, content_range = expected

    response = answer(range=header) if header else answer()

    assert response.status_code == status
    assert response.headers.get("Content-Range") == content_range
    if content is not None:
        assert response.headers["Content-Length"] == str(len(content))
        assert response.headers["Accept-Ranges"] == "bytes"
        assert response.headers["ETag"] == ETAG
        assert body(response) == content
    else:
        assert json.loads(body(response))["code"] == "range_not_satisfiable"


@pytest.mark.parametrize(
    ("header", "status"), [("", 200), ("bytes=-1", 200), ("bytes=0-", 416), ("bytes=-0", 416)]
)
def test_empty_file(header: str, status: int) -> None:
    response = answer(b"", range=header) if header else answer(b"")

    assert response.status_code == status
    if status == 200:
        assert body(response) == b""
    else:
        assert response.headers["Content-Range"] == "bytes */0"


@pytest.mark.parametrize(
    ("validator", "status"),
    [
        (ETAG, 206),
        ('"other"', 200),
        (f"W/{ETAG}", 200),
        (WRITTEN_HTTP, 206),
        ("Mon, 04 May 2026 03:02:00 GMT", 200),
        ("Mon, 04 May 2026 03:02:02 GMT", 200),
        ("yesterday", 200),
    ],
)
def test_if_range(validator: str, status: int) -> None:
    assert answer(range="bytes=0-1", if_range=validator).status_code == status


@pytest.mark.parametrize("method", ["get", "head"])
@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"if-none-match": ETAG}, 304),
        ({"if-none-match": f"W/{ETAG}"}, 304),
        ({"if-none-match": "*"}, 304),
        ({"if-none-match": '"other"'}, 200),
        ({"if-modified-since": WRITTEN_HTTP}, 304),
        ({"if-match": '"other"'}, 412),
    ],
)
def test_preconditions(method: str, headers: dict[str, str], status: int) -> None:
    response = ask(getattr(RequestFactory(), method)("/", headers=headers))

    assert response.status_code == status
    if status == 304:
        assert body(response) == b""
        assert response.headers["ETag"] == ETAG
        assert response.headers["Cache-Control"] == "private, no-cache"


def test_head_ignores_the_range_and_opens_nothing() -> None:
    def never() -> io.BytesIO:
        raise AssertionError("opened")

    request = RequestFactory().head("/", headers={"range": "bytes=0-0"})
    response = range_response(
        request,
        never,
        size=10,
        content_type="video/mp4",
        etag=ETAG,
        filename="clip.mp4",
        as_attachment=True,
    )

    assert response.status_code == 200
    assert response.headers["Content-Length"] == "10"


@pytest.mark.parametrize("content_type", ["text/html", "image/svg+xml", "", "video/mp4; x=y"])
def test_types_off_the_list_are_opaque_downloads(content_type: str) -> None:
    response = ask(RequestFactory().get("/"), content_type=content_type)

    assert response.headers["Content-Type"] == "application/octet-stream"
    assert response.headers["Content-Disposition"].startswith("attachment")


def test_listed_types_are_shown_in_place_and_harmless() -> None:
    response = answer()

    assert response.headers["Content-Type"] == "video/mp4"
    assert response.headers["Content-Disposition"] == 'inline; filename="clip.mp4"'
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert "sandbox" in response.headers["Content-Security-Policy"]
    assert response.headers["Cross-Origin-Resource-Policy"] == "same-origin"
    assert set(response.headers["Vary"].split(", ")) == {"Authorization", "Cookie"}


@pytest.mark.parametrize(
    "name", ['a"b.mp4', "a\r\nSet-Cookie: x.mp4", "день.mp4", "a\x00b.mp4", "\ud800.mp4", ""]
)
def test_any_filename_is_a_safe_header(name: str) -> None:
    response = ask(RequestFactory().get("/"), filename=name, as_attachment=True)

    header = response.headers["Content-Disposition"]
    assert header.startswith("attachment")
    assert not {"\r", "\n", "\x00"} & set(header)


def test_the_file_is_closed_with_the_response() -> None:
    file = io.BytesIO(CONTENT)
    response = range_response(
        RequestFactory().get("/", headers={"range": "bytes=2-3"}),
        lambda: file,
        size=10,
        content_type="video/mp4",
        etag=ETAG,
        filename="clip.mp4",
        as_attachment=True,
    )

    response.close()

    assert file.closed


def test_steps() -> None:
    assert parse_range("bytes=2-5") == ByteRange(2, 5)
    assert parse_range("bytes=-5") == ByteRange(None, 5)
    assert clamp(None, 10) is None
    assert clamp(ByteRange(2, None), 10) == Span(2, 8)
    with pytest.raises(Unsatisfiable):
        clamp(ByteRange(10, None), 10)
