"""The list of videos: filters, order, pages, selection, words."""

import re
from datetime import UTC, datetime
from html import unescape
from itertools import count
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.utils.html import escape

from chat.models import Attachment, Conversation
from moderation import video_listing
from tests.moderation.pages import HTMX, PICTURE, assert_is_a_list, names, signed_in, video

URL = "/moderation/videos/"

pytestmark = pytest.mark.django_db


def test_it_is_a_list(viewer: User, outsider: User, conversation: Conversation) -> None:
    numbers = count()

    def add() -> None:
        video(conversation, original_name=f"{next(numbers)}", **PICTURE)

    assert_is_a_list(URL, viewer, outsider, add)


def test_it_answers_at_the_root_of_the_dashboard(viewer: User) -> None:
    assert signed_in(viewer).get("/moderation/").status_code == 200
    assert signed_in(viewer).get("/").headers["Location"] == "/moderation/"


def test_a_row_says_what_a_video_is(viewer: User, conversation: Conversation) -> None:
    video(conversation, original_name="Lake.mp4")
    html = signed_in(viewer).get(URL).content.decode()
    for words in ("Lake", "Holiday", "owner", "1280 × 720", "H.264", "MP4", "12.3 MB", "01:23"):
        assert words in html, words
    assert "Ready" in html


def test_names_are_escaped(viewer: User, conversation: Conversation) -> None:
    video(conversation, original_name='<img src=x onerror="alert(1)">')
    html = signed_in(viewer).get(URL).content.decode()
    assert "<img src=x" not in html
    assert "&lt;img src=x" in html


def test_other_files_are_not_videos(viewer: User, conversation: Conversation) -> None:
    video(conversation, kind=Attachment.Kind.FILE)
    assert names(signed_in(viewer).get(URL)) == []


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("q=lake", ["Lake.mp4"]),
        ("q=HOLI", ["Lake.mp4"]),
        ("q=member", ["ball.mkv"]),
        ("q=%25", []),
        ("codec=hevc", ["ball.mkv"]),
        ("state=failed", ["ball.mkv"]),
        ("duration_min=1:00", ["Lake.mp4"]),
        ("duration_min=83.4&duration_max=83.4", ["Lake.mp4"]),
        ("duration_max=1+min", ["ball.mkv"]),
        ("conversation=foot", ["ball.mkv"]),
        ("uploader=OWNER", ["Lake.mp4"]),
        ("date_from=2026-11-02", ["Lake.mp4"]),
        ("date_to=2026-11-01", ["ball.mkv"]),
        ("date_from=2026-11-01&date_to=2026-11-02", ["Lake.mp4", "ball.mkv"]),
        ("date_to=9999-12-31", ["Lake.mp4", "ball.mkv"]),
        ("q=&codec=&state=", ["Lake.mp4", "ball.mkv"]),
        ("q=lake&codec=hevc", []),
        ("unknown=1", ["Lake.mp4", "ball.mkv"]),
    ],
)
def test_each_filter(
    viewer: User, member: User, conversation: Conversation, query: str, expected: list[str]
) -> None:
    video(conversation, original_name="Lake.mp4", created_at=datetime(2026, 11, 2, tzinfo=UTC))
    football = Conversation.objects.create(title="Football", created_by=member)
    video(
        football,
        original_name="ball.mkv",
        codec="hevc",
        duration=9.0,
        processing_state="failed",
        failure_code="corrupt",
        created_at=datetime(2026, 11, 1, 23, 59, 59, tzinfo=UTC),
    )
    client = signed_in(viewer)
    assert names(client.get(f"{URL}?{query}")) == expected
    assert names(client.get(f"{URL}?{query}", headers=HTMX)) == expected


def test_a_conversation_by_number(viewer: User, conversation: Conversation) -> None:
    video(conversation)
    other = Conversation.objects.create(title=f"About {conversation.pk}", created_by=None)
    video(other, original_name="other.mp4")
    response = signed_in(viewer).get(URL, {"conversation": f"#{conversation.pk}"})
    assert names(response) == ["clip.mp4"]
    assert "in “Holiday”" in response.content.decode()


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("duration_min=long", "duration_min"),
        ("duration_min=nan", "duration_min"),
        ("duration_min=5:00&duration_max=1:00", "duration_max"),
        ("date_from=yesterday", "date_from"),
        ("date_from=2026-11-02&date_to=2026-11-01", "date_to"),
        ("codec=nonsense", "codec"),
        ("state=<b>", "state"),
        ("q=a%00b", "q"),
        ("q=" + "x" * 300, "q"),
        ("conversation=" + "x" * 60_000, "conversation"),  # SQLite refuses so long a pattern
        ("uploader=" + "x" * 300, "uploader"),
    ],
)
def test_a_wrong_value_is_said_at_its_field(
    viewer: User, conversation: Conversation, query: str, field: str
) -> None:
    video(conversation)
    response = signed_in(viewer).get(f"{URL}?{query}")
    assert response.status_code == 200
    errors = response.context["filters"].errors
    assert list(errors) == [field]
    fragment = signed_in(viewer).get(f"{URL}?{query}", headers=HTMX).content.decode()
    # The panel is outside the fragment; what is wrong with the search is said beside the count.
    place = f'id="id_{field}_error"' + ("" if field == "q" else ' hx-swap-oob="true"')
    assert f"{place}>{escape(errors[field][0])}" in fragment


def test_chips_say_the_filters_and_take_them_away(
    viewer: User, conversation: Conversation
) -> None:
    video(conversation)
    html = (
        signed_in(viewer).get(f"{URL}?q=clip&codec=h264&duration_min=60&page=3").content.decode()
    )
    assert "codec is H.264" in html
    assert "1 min or longer" in html
    assert 'href="?q=clip&amp;duration_min=60"' in html


@pytest.mark.parametrize(
    ("sort", "expected"),
    [
        ("name", ["a", "b", "c"]),
        ("-name", ["c", "b", "a"]),
        ("size", ["b", "c", "a"]),
        ("-size", ["a", "c", "b"]),
        ("duration", ["c", "a", "b"]),
        ("-dimensions", ["b", "a", "c"]),
        ("added", ["a", "b", "c"]),
        ("-added", ["c", "b", "a"]),
        ("selected", ["c", "b", "a"]),
        ("uploaded_by__password", ["c", "b", "a"]),
    ],
)
def test_order(viewer: User, conversation: Conversation, sort: str, expected: list[str]) -> None:
    video(conversation, original_name="a", size=3, duration=2.0, width=200)
    video(conversation, original_name="b", size=1, duration=3.0, width=300)
    video(conversation, original_name="c", size=2, duration=1.0, width=100)
    assert names(signed_in(viewer).get(URL, {"sort": sort})) == expected


def test_pages(viewer: User, conversation: Conversation) -> None:
    for number in range(60):
        video(conversation, original_name=f"{number:02}")
    client = signed_in(viewer)
    assert len(names(client.get(URL))) == 25
    assert len(names(client.get(f"{URL}?per_page=50"))) == 50
    assert len(names(client.get(f"{URL}?per_page=100000"))) == 25
    assert names(client.get(f"{URL}?page=3"))[-1] == "00"
    assert names(client.get(f"{URL}?page=99")) == names(client.get(f"{URL}?page=3"))
    html = client.get(f"{URL}?page=2&codec=h264").content.decode()
    assert 'href="?codec=h264&amp;page=3"' in html
    assert "60 videos" in html


def test_more_than_is_counted(
    viewer: User, conversation: Conversation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pages without numbers: each address names the row that it goes on from."""
    for number in range(60):
        video(conversation, original_name=f"{number:02}")
    monkeypatch.setattr(video_listing, "COUNT_LIMIT", 50)
    client = signed_in(viewer)
    shown, pages = names(client.get(URL)), 1
    url = URL
    while address := link(client.get(url), "next"):
        url = URL + address
        shown += names(client.get(url))
        pages += 1
    assert pages == 3
    assert shown == [f"{number:02}" for number in reversed(range(60))]
    assert names(client.get(f"{URL}?before=last")) == shown[-25:]
    assert names(client.get(URL + link(client.get(f"{URL}?before=last"), "prev"))) == shown[10:35]
    assert link(client.get(f"{URL}?before=last"), "first") == "?"
    assert names(client.get(f"{URL}?after=987654321")) == shown[:25]
    # New rows do not move the page of an address that was copied before.
    video(conversation, original_name="new")
    assert names(client.get(url)) == shown[50:]


def link(response: Any, rel: str) -> str:
    found = re.search(f'href="([^"]*)" hx-get="[^"]*" rel="{rel}"', response.content.decode())
    return unescape(found[1]) if found else ""


def test_nothing_yet_and_nothing_found(viewer: User, conversation: Conversation) -> None:
    client = signed_in(viewer)
    empty = client.get(URL).content.decode()
    assert "No videos yet" in empty
    assert 'href="/api/docs/"' in empty
    video(conversation)
    assert "No video matches" in client.get(f"{URL}?q=zebra").content.decode()


def test_selecting_needs_the_right_to_run_jobs(
    viewer: User, operator: User, conversation: Conversation
) -> None:
    video(conversation)
    assert 'name="selected"' in signed_in(operator).get(URL).content.decode()
    html = signed_in(viewer).get(URL).content.decode()
    assert 'name="selected"' not in html
    assert "Backfill metadata" not in html


def test_pages_obey_the_content_security_policy(viewer: User, conversation: Conversation) -> None:
    row = video(conversation)
    client = signed_in(viewer)
    for url in (URL, f"{URL}{row.pk}/", "/moderation/activity/", "/moderation/jobs/"):
        response: Any = client.get(url)
        html = response.content.decode()
        assert "script-src 'self'" in response.headers["Content-Security-Policy"]
        assert "style=" not in html
        assert "<style" not in html
        assert " onclick=" not in html
        assert "://" not in html.replace("http://www.w3.org", "")
