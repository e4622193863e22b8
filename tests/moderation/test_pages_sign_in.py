"""Signing in and out, the pages of refusal, and Django's own admin."""

import pytest
from django.contrib.auth.models import User
from django.test import Client, RequestFactory
from django.utils.http import urlencode
from django.views.defaults import server_error

from chat.models import ActivityLog, Conversation, Message
from chat.services import activity
from chat.services.activity import SYSTEM
from tests.conftest import PASSWORD
from tests.moderation.pages import HTMX, signed_in

SIGN_IN = "/moderation/sign-in/"
ACTION = ActivityLog.Action

pytestmark = pytest.mark.django_db


def test_signing_in_leads_where_one_wanted_to_go(viewer: User) -> None:
    client = Client()
    wanted = client.get("/moderation/activity/?actor=a").headers["Location"]
    assert wanted == f"{SIGN_IN}?next=/moderation/activity/%3Factor%3Da"
    page = client.get(wanted).content.decode()
    assert 'name="next" value="/moderation/activity/?actor=a"' in page
    form = {"username": "viewer", "password": PASSWORD, "next": "/moderation/activity/?actor=a"}
    assert client.post(SIGN_IN, form).headers["Location"] == "/moderation/activity/?actor=a"
    entry = ActivityLog.objects.get(action=ACTION.SIGNED_IN)
    assert (entry.actor, entry.ip_address) == (viewer, "127.0.0.1")


def test_a_session_that_ends_under_an_open_page(viewer: User) -> None:
    """No sign-in page where a fragment belongs; the page itself says what to do."""
    response = Client().get("/moderation/jobs/7/progress/?failed=1", headers=HTMX)
    assert (response.status_code, response.content) == (401, b"")
    here = "/moderation/jobs/7/?code=corrupt&page=2"
    query = urlencode({"ended": 1, "next": here})
    page = Client().get(f"{SIGN_IN}?{query}").content.decode()
    assert "Your session has ended" in page
    assert f'value="{here}"'.replace("&", "&amp;") in page
    form = {"username": "viewer", "password": PASSWORD, "next": here}
    assert Client().post(SIGN_IN, form).headers["Location"] == here
    assert "session has ended" not in Client().get(SIGN_IN).content.decode()


def test_it_leads_to_no_other_site(viewer: User) -> None:
    form = {"username": "viewer", "password": PASSWORD, "next": "https://example.com/"}
    assert Client().post(SIGN_IN, form).headers["Location"] == "/moderation/"


@pytest.mark.parametrize("name", ["viewer", "nobody", "x" * 400, "a\x00b", ""])
def test_a_wrong_password_or_name_says_the_same(viewer: User, name: str) -> None:
    response = Client().post(SIGN_IN, {"username": name, "password": "wrong"})
    assert response.status_code == 200
    assert "The name or the password is not right" in response.content.decode()
    entry = ActivityLog.objects.get(action=ACTION.SIGN_IN_FAILED)
    assert entry.actor is None
    assert entry.outcome == "refused"
    assert entry.object_id == (viewer.pk if name == "viewer" else None)
    assert signed_in(viewer).get("/moderation/activity/").status_code == 200


def test_signing_out(viewer: User) -> None:
    client = signed_in(viewer)
    assert client.get("/moderation/sign-out/").status_code == 405
    assert client.post("/moderation/sign-out/").headers["Location"] == SIGN_IN
    assert client.get("/moderation/").status_code == 302
    assert ActivityLog.objects.get(action=ACTION.SIGNED_OUT).actor == viewer


def test_forms_need_their_token(viewer: User) -> None:
    client = Client(enforce_csrf_checks=True)
    response = client.post(SIGN_IN, {"username": "viewer", "password": PASSWORD})
    assert response.status_code == 403
    assert "This form is out of date" in response.content.decode()


def test_nothing_there(viewer: User) -> None:
    response = signed_in(viewer).get("/moderation/nothing/")
    assert response.status_code == 404
    assert "There is nothing here" in response.content.decode()


def test_an_icon_for_pages_that_name_none() -> None:
    assert "favicon" in Client().get("/favicon.ico").headers["Location"]


def test_a_server_error_needs_no_context() -> None:
    response = server_error(RequestFactory().get("/"))
    assert response.status_code == 500
    assert "Something failed on our side" in response.content.decode()


@pytest.mark.parametrize(
    "path",
    [
        "",
        "chat/conversation/",
        "chat/message/",
        "chat/attachment/",
        "chat/activitylog/",
        "moderation/job/",
        "moderation/failure/",
    ],
)
def test_the_admin_is_for_superusers(admin: User, viewer: User, path: str) -> None:
    activity.record(ACTION.SIGNED_IN, SYSTEM, admin)
    assert signed_in(admin).get(f"/admin/{path}").status_code == 200
    assert signed_in(viewer).get(f"/admin/{path}").status_code == 302


def test_the_admin_changes_nothing_behind_the_log(admin: User, conversation: Conversation) -> None:
    client = signed_in(admin)
    for row in (conversation, Message.objects.create(conversation=conversation, content="a")):
        url = f"/admin/chat/{row._meta.model_name}/{row.pk}"
        assert client.get(f"{url}/change/").status_code == 200
        assert client.post(f"{url}/change/", {"title": "x", "content": "x"}).status_code == 403
        assert client.post(f"{url}/delete/", {"post": "yes"}).status_code == 403


def test_the_admin_cannot_touch_the_log(admin: User) -> None:
    entry = activity.record(ACTION.SIGNED_IN, SYSTEM, admin)
    client = signed_in(admin)
    assert client.get(f"/admin/chat/activitylog/{entry.pk}/change/").status_code == 200
    assert client.get("/admin/chat/activitylog/add/").status_code == 403
    assert client.post(f"/admin/chat/activitylog/{entry.pk}/delete/").status_code == 403
    changed = client.post(f"/admin/chat/activitylog/{entry.pk}/change/", {"actor_name": "x"})
    assert changed.status_code == 403
