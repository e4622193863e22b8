"""Pages for what went wrong: each says what happened, that nothing was changed, and a way out."""

import pytest
from django.contrib.auth.models import User
from django.test import Client

from tests.moderation.pages import HTMX, signed_in

pytestmark = pytest.mark.django_db


def assert_designed(html: str, status: int) -> None:
    assert f"Error {status}" in html
    assert "css/alone" in html
    assert 'class="btn btn-primary" href="/moderation/' in html


def test_nothing_there(viewer: User) -> None:
    for client in (Client(), signed_in(viewer)):
        page = client.get("/moderation/none/")
        assert page.status_code == 404
        assert_designed(page.content.decode(), 404)


def test_not_allowed(outsider: User) -> None:
    page = signed_in(outsider).get("/moderation/videos/")
    assert page.status_code == 403
    assert "Error 403" in page.content.decode()
    assert "Sign out" in page.content.decode()


def test_a_form_that_came_without_its_token(viewer: User) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(viewer)
    page = client.post("/moderation/protection/", {})
    assert page.status_code == 403
    assert_designed(page.content.decode(), 403)


def test_an_action_asked_for_as_a_page(moderator: User) -> None:
    """As after signing in again: the address was that of a form."""
    url = "/moderation/videos/decide/now/"
    page = signed_in(moderator).get(url)
    assert (page.status_code, page.headers["Allow"]) == (405, "POST")
    assert_designed(page.content.decode(), 405)


def test_a_request_that_is_broken() -> None:
    page = Client().get("/moderation/", headers={"host": "not ours"})
    assert page.status_code == 400
    assert_designed(page.content.decode(), 400)


def test_a_form_too_large(viewer: User) -> None:
    page = signed_in(viewer).post("/moderation/videos/views/", {"name": "x" * 1_100_000})
    assert page.status_code == 413
    assert_designed(page.content.decode(), 413)
    fragment = signed_in(viewer).post(
        "/moderation/videos/views/", {"name": "x" * 1_100_000}, headers=HTMX
    )
    assert fragment.status_code == 413
