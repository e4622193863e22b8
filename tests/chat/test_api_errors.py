"""How errors leave the API, whatever their cause."""

import io
import re
from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from rest_framework.test import APIClient

from chat import urls_auth, urls_video, views_chat
from chat.errors import API_ERRORS, OUTCOMES
from chat.models import Conversation
from tests.conftest import PASSWORD

LIST = "/api/chat/conversations/"
GUIDE = Path(__file__).parents[2] / "docs" / "VIDEO_ATTACHMENT_GUIDE.md"


def post(client: APIClient, body: bytes, content_type: str = "application/json") -> Any:
    return client.generic("POST", LIST, body, content_type=content_type)


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"\xff\xfe",
        b"[]",
        b'"text"',
        b"null",
        b'{"title": NaN}',
        b"[" * 100_000,
        b'{"title": ' + b"[" * 100_000,
        b'{"title": ' + b"9" * 5000 + b"}",
    ],
)
def test_bodies_that_are_no_json_object(body: bytes, as_owner: APIClient) -> None:
    response = post(as_owner, body)

    assert response.status_code == 400
    assert response.json()["code"] == "parse_error"


@pytest.mark.parametrize("text", [rb"\ud800", rb"a\u0000b", rb"\udc00\ud800"])
def test_text_that_no_database_takes(
    text: bytes, as_owner: APIClient, conversation: Conversation
) -> None:
    title = post(as_owner, b'{"title": "' + text + b'"}')
    name = post(as_owner, b'{"participants": ["' + text + b'"]}')
    message = as_owner.generic(
        "POST",
        f"{LIST}{conversation.pk}/messages/",
        b'{"content": "' + text + b'"}',
        content_type="application/json",
    )

    assert [r.status_code for r in (title, name, message)] == [400, 400, 400]
    assert list(message.json()) == ["content"]


def test_a_body_above_the_limit(as_owner: APIClient) -> None:
    response = post(as_owner, b'{"title": "' + b"x" * 2_000_000 + b'"}')

    assert response.status_code == 413
    assert response.json()["code"] == "too_large"


@pytest.mark.parametrize("content_type", ["text/plain", "application/xml", "multipart/form-data"])
def test_a_body_of_another_type(content_type: str, as_owner: APIClient) -> None:
    response = post(as_owner, b"x=y", content_type)

    assert response.status_code == 415
    assert response.json()["code"] == "unsupported_media_type"


def test_an_unknown_charset_is_read_as_utf8(as_owner: APIClient) -> None:
    assert post(as_owner, b"{}", "application/json; charset=klingon").status_code == 201


def test_only_json_is_spoken(as_owner: APIClient) -> None:
    response = as_owner.get(LIST, headers={"accept": "text/html"})

    assert response.status_code == 406
    assert response.json()["code"] == "not_acceptable"


def test_addresses_that_do_not_exist(as_owner: APIClient) -> None:
    for path in ("/api/", "/api/chat/nothing/", "/api/chat/videos/1/"):
        response = as_owner.get(path)
        assert response.status_code == 404
        assert response.json()["code"] == "not_found"


@pytest.mark.parametrize("debug", [False, True])
def test_without_the_last_slash_the_same_request_is_sent_on(
    debug: bool, as_owner: APIClient, settings: Any
) -> None:
    settings.DEBUG = debug
    for method in ("get", "post", "patch", "delete"):
        response = getattr(as_owner, method)("/api/chat/conversations?page_size=1")
        assert response.status_code == 308
        assert response.headers["Location"] == "/api/chat/conversations/?page_size=1"
    sent = as_owner.post(LIST.rstrip("/"), {"title": "Holiday"}, follow=True)
    assert (sent.status_code, sent.json()["title"]) == (201, "Holiday")


def chunked(client: APIClient, path: str, body: bytes, content_type: str) -> Any:
    """As gunicorn hands on a body of unknown length."""
    return client.generic(
        "POST",
        path,
        body,
        content_type=content_type,
        CONTENT_LENGTH="",
        HTTP_TRANSFER_ENCODING="chunked",
        **{"wsgi.input": io.BytesIO(body), "wsgi.input_terminated": True},
    )


def test_a_body_of_unknown_length(as_owner: APIClient, as_nobody: APIClient, owner: Any) -> None:
    made = chunked(as_owner, LIST, b'{"title": "Holiday"}', "application/json")
    assert (made.status_code, made.json()["title"]) == (201, "Holiday")
    form = f"username=owner&password={PASSWORD}".encode()
    form_type = "application/x-www-form-urlencoded"
    assert chunked(as_nobody, "/api/auth/token/", form, form_type).status_code == 200
    path = f"{LIST}{made.json()['id']}/read/"
    assert chunked(as_owner, path, b"", "application/json").status_code == 200
    assert chunked(as_owner, path, b"[", "application/json").json()["code"] == "parse_error"
    too_large = chunked(as_owner, LIST, b'{"title": "' + b"x" * 2_000_000, "application/json")
    assert (too_large.status_code, too_large.json()["code"]) == (413, "too_large")


def test_pages_keep_pages_of_their_own(as_owner: APIClient) -> None:
    response = as_owner.get("/nothing/")

    assert response.status_code == 404
    assert response.headers["Content-Type"].startswith("text/html")


def test_a_failure_of_ours_shows_no_trace(
    as_owner: APIClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*args: Any) -> None:
        raise RuntimeError("secret")

    monkeypatch.setattr(views_chat, "with_people", fail)
    as_owner.raise_request_exception = False

    response = as_owner.get(LIST)

    assert response.status_code == 500
    assert response.json() == {"detail": API_ERRORS["server_error"][1], "code": "server_error"}


def test_a_host_that_is_not_ours(db: None) -> None:
    response = Client(headers={"host": "evil.example"}).get(LIST)

    assert response.status_code == 400
    assert response.json()["code"] == "parse_error"


def test_answers_are_private(as_owner: APIClient) -> None:
    for client, kept in ((as_owner, "no-cache"), (APIClient(), "no-store")):
        response = client.get(LIST)
        assert response.headers["Cache-Control"] == f"private, {kept}"
        assert {"Authorization", "Cookie"} <= set(response.headers["Vary"].split(", "))


def test_the_guide_lists_every_code() -> None:
    """The table of error codes in the guide is the one in chat/errors.py."""
    rows = re.findall(r"^\| `([a-z_]+)` \| (\d{3}) \|", GUIDE.read_text(), re.MULTILINE)

    listed = [(code, int(status)) for code, status in rows]
    expected = {code: status for code, (status, _) in API_ERRORS.items()}
    expected |= {code: outcome.status for code, outcome in OUTCOMES.items()}
    assert dict(listed) == expected
    assert len(listed) == len(expected)


@pytest.mark.parametrize("document", [GUIDE, GUIDE.parents[1] / "VIDEO_QUICK_REFERENCE.md"])
def test_the_guides_name_every_path(document: Path) -> None:
    text = document.read_text()
    for prefix, urls in (("/api/chat/", urls_video), ("/api/auth/", urls_auth)):
        for pattern in urls.urlpatterns:
            route = str(pattern.pattern).replace("<id:user_id>", "<user id>")
            path = prefix + re.sub(r"<id:\w+>", "<id>", route)
            path = path.replace("<uuid:upload_id>", "<upload id>")
            # An example with a number in the place of the id will do.
            assert re.search(re.escape(path).replace("<id>", "(<id>|[0-9]+)"), text), path
