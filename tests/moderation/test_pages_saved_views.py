"""Views of the list that people save for themselves and for everybody."""

import pytest
from django.contrib.auth.models import User
from django.http import QueryDict

from chat.models import Conversation
from moderation.models import SavedView
from moderation.saved_view import view_query
from moderation.views import saved_views
from tests.moderation.pages import assert_guarded, names, signed_in, video

LIST = "/moderation/videos/"
SAVE = f"{LIST}views/"

pytestmark = pytest.mark.django_db


def change(view: SavedView) -> str:
    return f"{SAVE}{view.pk}/"


def test_saving_opening_changing_deleting(viewer: User, conversation: Conversation) -> None:
    video(conversation, original_name="a", codec="hevc", size=2)
    video(conversation, original_name="b", codec="hevc", size=1)
    video(conversation, original_name="c")
    client = signed_in(viewer)
    saved = client.post(SAVE, {"name": "Big HEVC", "query": "sort=-size&codec=hevc&page=3&q="})
    view = SavedView.objects.get()
    assert (view.query, view.owner, view.is_shared) == ("codec=hevc&sort=-size", viewer, False)
    assert saved.headers["Location"] == f"{LIST}?codec=hevc&sort=-size&saved={view.pk}"
    page = client.get(saved.headers["Location"])
    assert names(page) == ["a", "b"]
    assert "“Big HEVC” is saved." in page.content.decode()
    tabs = page.context["saved"]
    assert (tabs.current, tabs.is_changed) == (view, False)
    # The view stays the current one while filters change, and can be brought up to them.
    tabs = client.get(f"{LIST}?codec=h264&saved={view.pk}").context["saved"]
    assert (tabs.current, tabs.is_changed, tabs.query) == (view, True, "codec=h264")
    client.post(change(view), {"query": tabs.query})
    client.post(change(view), {"name": "H.264"})
    view.refresh_from_db()
    assert (view.name, view.query) == ("H.264", "codec=h264")
    assert "H.264" in client.get(LIST).content.decode()
    gone = client.post(f"{change(view)}delete/")
    assert gone.headers["Location"] == f"{LIST}?codec=h264"
    assert not SavedView.objects.exists()


def test_who_sees_and_who_changes(
    viewer: User, moderator: User, operator: User, admin: User, outsider: User
) -> None:
    own = SavedView.objects.create(owner=moderator, name="Mine", query="state=failed")
    assert_guarded(change(own), outsider, "post")
    assert_guarded(SAVE, outsider, "post")
    assert signed_in(moderator).get(SAVE).status_code == 405
    other = signed_in(operator)
    assert "Mine" not in other.get(LIST).content.decode()
    assert other.post(change(own), {"name": "Theirs"}).status_code == 404
    assert other.get(f"{LIST}?saved={own.pk}").context["saved"].current is None

    signed_in(moderator).post(change(own), {"name": "Everyone's", "is_shared": "on"})
    assert "Everyone&#x27;s" in other.get(LIST).content.decode()
    assert other.post(change(own), {"name": "Theirs"}).status_code == 403
    assert other.post(f"{change(own)}delete/").status_code == 403
    kept = signed_in(admin).post(change(own), {"name": "Kept", "is_shared": "on"})
    assert kept.status_code == 302
    own.refresh_from_db()
    assert (own.name, own.owner) == ("Kept", moderator)


def test_a_viewer_saves_but_does_not_share(viewer: User) -> None:
    client = signed_in(viewer)
    assert "Everybody sees it" not in client.get(LIST).content.decode()
    assert client.post(SAVE, {"name": "x", "is_shared": "on"}).status_code == 403
    assert not SavedView.objects.exists()


@pytest.mark.parametrize(
    ("name", "words"),
    [("", "This field is required"), ("x" * 61, "at most 60"), ("Taken", "already")],
)
def test_names_that_cannot_be(viewer: User, name: str, words: str) -> None:
    SavedView.objects.create(owner=viewer, name="Taken")
    answer = signed_in(viewer).post(SAVE, {"name": name, "query": "q=lake"}, follow=True)
    assert words in answer.content.decode()
    assert answer.redirect_chain == [(f"{LIST}?q=lake", 302)]
    assert SavedView.objects.count() == 1


def test_there_is_an_end(viewer: User, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(saved_views, "MOST", 1)
    SavedView.objects.create(owner=viewer, name="One")
    answer = signed_in(viewer).post(SAVE, {"name": "Two"}, follow=True)
    assert "delete one first" in answer.content.decode()


def test_an_address_is_the_same_view_in_any_order(viewer: User) -> None:
    one = view_query(QueryDict("columns=size&q=a+b&columns=codec&after=7"))
    assert one == view_query(QueryDict("columns=codec&columns=size&q=a b&saved=1&state="))
    assert one == "columns=codec&columns=size&q=a+b"
