"""What can be done with a video in its row: for whom, on which videos, and where it leads."""

import re
from html import unescape

import pytest
from django.contrib.auth.models import User
from django.utils.html import escape

from chat.models import Attachment, Conversation
from tests.moderation.pages import signed_in, video

LIST = "/moderation/videos/"

pytestmark = pytest.mark.django_db


def links(user: User, query: str = "") -> dict[str, str]:
    """{words: address} of the one row's menu."""
    page = signed_in(user).get(f"{LIST}?{query}").content.decode()
    (menu,) = re.findall(r'<div class="row-actions">(.*?)</details>', page, re.DOTALL)
    panel = menu.partition("menu-panel")[2]
    found = re.findall(r'href="([^"]+)">.*?</svg>([^<]+)</a>', panel)
    return {words: unescape(address) for address, words in found}


OTHERS = ["Download", "Report, to print", "Its history"]


@pytest.mark.parametrize(
    ("visibility", "decisions"),
    [
        ("visible", ["Quarantine", "Remove"]),
        ("quarantined", ["Restore", "Remove"]),
        ("removed", []),
    ],
)
def test_who_may_do_what(
    viewer: User,
    moderator: User,
    operator: User,
    conversation: Conversation,
    visibility: str,
    decisions: list[str],
) -> None:
    video(conversation, visibility=visibility)
    assert list(links(viewer)) == OTHERS
    assert list(links(moderator)) == [*decisions, *OTHERS]
    again = [] if visibility == "removed" else ["Process again"]
    assert list(links(operator)) == [*again, *OTHERS]


def test_decisions_are_asked_about_and_lead_back_to_the_list(
    moderator: User, conversation: Conversation
) -> None:
    clip = video(conversation, original_name="kept.mp4", codec="vp9")
    client = signed_in(moderator)
    for words, address in links(moderator, "codec=vp9&sort=name").items():
        if words not in OTHERS:
            page = client.get(address).content.decode()
            assert f"{words} 1 video" in page
            assert "kept.mp4" in page
            assert 'href="/moderation/videos/?codec=vp9&amp;sort=name"' in page
    clip.refresh_from_db()
    assert clip.visibility == Attachment.Visibility.VISIBLE


def test_each_row_has_its_own(moderator: User, conversation: Conversation) -> None:
    """The menu is made once for rows alike."""
    names = {video(conversation, original_name=name).pk: name for name in ("<b>.mp4", "{name}")}
    page = signed_in(moderator).get(LIST).content.decode()
    menus = re.findall(r'<div class="row-actions">(.*?)</details>', page, re.DOTALL)
    for pk, menu in zip(sorted(names, reverse=True), menus, strict=True):
        assert set(re.findall(r"selected=(\d+)", menu)) == {str(pk)}
        assert f"Quarantine {escape(names[pk])}" in menu


def test_the_others_lead_where_they_say(operator: User, conversation: Conversation) -> None:
    clip = video(conversation, original_name="kept.mp4")
    client = signed_in(operator)
    found = links(operator)
    again = client.get(found["Process again"]).content.decode()
    assert "1 selected in the list" in again
    assert "Start on 1 video" in again
    assert "kept.mp4" in client.get(found["Report, to print"]).content.decode()
    client.get(f"{LIST}{clip.pk}/")
    history = client.get(found["Its history"]).content.decode()
    assert "viewed" in history
    assert "kept.mp4" in history
    assert found["Download"] == f"{LIST}{clip.pk}/stream/?download=1"
