"""Signing in and out: tokens, sessions with CSRF, and what the log says of it."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.files.uploadedfile import SimpleUploadedFile
from django.utils import timezone
from knox.models import AuthToken
from rest_framework.test import APIClient

from chat.models import ActivityLog, Conversation
from tests.conftest import PASSWORD

TOKEN = "/api/auth/token/"
LOGOUT = "/api/auth/logout/"
SOMETHING = "/api/chat/videos/"


def sign_in(client: APIClient, **changes: Any) -> Any:
    return client.post(TOKEN, {"username": "owner", "password": PASSWORD, **changes})


def with_token(token: str) -> APIClient:
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Token {token}")
    return client


def test_a_token_for_name_and_password(owner: User, as_nobody: APIClient) -> None:
    response = sign_in(as_nobody)

    assert response.status_code == 200
    found = response.json()
    assert set(found) == {"token", "expiry"}
    assert with_token(found["token"]).get(SOMETHING).status_code == 200
    assert found["token"] not in str(AuthToken.objects.values())
    entry = ActivityLog.objects.get()
    assert (entry.action, entry.actor, entry.ip_address) == ("signed_in", owner, "127.0.0.1")
    owner.refresh_from_db()
    assert owner.last_login is not None


def test_as_a_form(owner: User, as_nobody: APIClient) -> None:
    response = as_nobody.generic(
        "POST",
        TOKEN,
        f"username=owner&password={PASSWORD.replace(' ', '+')}",
        content_type="application/x-www-form-urlencoded",
    )

    assert response.status_code == 200


@pytest.mark.parametrize(
    "changes",
    [{"password": "wrong"}, {"username": "nobody"}, {"username": "OWNER"}, {"password": " "}],
)
def test_refused(changes: dict[str, str], owner: User, as_nobody: APIClient) -> None:
    response = sign_in(as_nobody, **changes)

    assert response.status_code == 401
    assert response.json()["code"] == "authentication_failed"
    assert response.headers["WWW-Authenticate"] == "Token"
    entry = ActivityLog.objects.get()
    assert (entry.action, entry.outcome, entry.actor) == ("sign_in_failed", "refused", None)
    assert entry.object_label == changes.get("username", "owner")
    assert (entry.object_id == owner.pk) == ("username" not in changes)
    assert "wrong" not in str(entry.details)


def test_disabled_accounts_are_refused(owner: User, as_nobody: APIClient) -> None:
    User.objects.update(is_active=False)

    assert sign_in(as_nobody).status_code == 401


@pytest.mark.parametrize(
    "changes",
    [
        {"username": ""},
        {"username": "a\x00b"},
        {"username": ["owner"]},
        {"username": "x" * 151},
        {"password": "x" * 5000},
        {"password": None},
    ],
)
def test_nonsense(changes: dict[str, Any], owner: User, as_nobody: APIClient) -> None:
    response = sign_in(as_nobody, **changes)

    assert response.status_code == 400
    assert list(response.json()) == list(changes)
    assert not ActivityLog.objects.exists()


@pytest.mark.parametrize("path", [TOKEN, LOGOUT])
def test_wrong_method(path: str, as_owner: APIClient) -> None:
    assert as_owner.get(path).status_code == 405


def test_signing_out_ends_this_token_alone(
    owner: User, as_owner: APIClient, as_nobody: APIClient
) -> None:
    other = with_token(sign_in(as_nobody).json()["token"])

    assert other.post(LOGOUT).status_code == 204

    assert other.get(SOMETHING).status_code == 401
    assert as_owner.get(SOMETHING).status_code == 200
    assert ActivityLog.objects.filter(action="signed_out", actor=owner).count() == 1


def test_signing_out_needs_a_token(owner: User, as_nobody: APIClient) -> None:
    assert as_nobody.post(LOGOUT).status_code == 401
    as_nobody.force_login(owner)
    assert as_nobody.post(LOGOUT).status_code == 401


def test_tokens_expire(owner: User, as_owner: APIClient) -> None:
    AuthToken.objects.update(expiry=timezone.now() - timedelta(seconds=1))

    assert as_owner.get(SOMETHING).status_code == 401


@pytest.mark.parametrize(
    "header", ["Token", "Token x", "Token x y", "Token \xff", "Token \xe9\xe9", "Token é" * 50]
)
def test_nonsense_for_a_token(header: str, as_nobody: APIClient) -> None:
    response = as_nobody.get(
        SOMETHING, headers={"authorization": header.encode().decode("latin1")}
    )

    assert response.status_code == 401
    assert set(response.json()) == {"detail", "code"}


class TestSession:
    @pytest.fixture
    def browser(self, owner: User) -> APIClient:
        client = APIClient(enforce_csrf_checks=True)
        client.force_login(owner)
        client.cookies["csrftoken"] = "a" * 32
        return client

    def test_reading_needs_no_csrf_token(self, browser: APIClient) -> None:
        assert browser.get(SOMETHING).status_code == 200

    def test_writing_needs_the_header(self, browser: APIClient) -> None:
        path = "/api/chat/conversations/"

        refused = browser.post(path, {"title": "x"})
        taken = browser.post(path, {"title": "x"}, headers={"x-csrftoken": "a" * 32})

        assert refused.status_code == 403
        assert refused.json()["code"] == "permission_denied"
        assert "CSRF" in refused.json()["detail"]
        assert taken.status_code == 201

    def test_a_refused_upload_is_not_received(
        self, browser: APIClient, conversation: Conversation, stored_files: Callable[[], Any]
    ) -> None:
        """Not even to look for a token among its form fields."""
        file = SimpleUploadedFile("a", b"a" * 100_000)
        data = {"csrfmiddlewaretoken": "a" * 32, "conversation": conversation.pk, "file": file}

        response = browser.post("/api/chat/upload/", data, format="multipart")

        assert response.status_code == 403
        assert not response.wsgi_request._read_started
        assert stored_files() == []

    def test_uploads_with_the_header(self, browser: APIClient, conversation: Conversation) -> None:
        data = {"conversation": conversation.pk, "file": SimpleUploadedFile("a", b"a")}

        response = browser.post(
            "/api/chat/upload/", data, format="multipart", headers={"x-csrftoken": "a" * 32}
        )

        assert response.status_code == 201
