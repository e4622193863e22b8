"""What the list of videos can be narrowed by: each filter, its rows and its words."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone
from django.utils.html import escape

from chat.models import Attachment, Conversation, ReportCase
from chat.rendition import Rendition
from chat.services import reports
from chat.services.activity import Actor
from moderation import decisions
from moderation.verdict import Verdict
from moderation.video_filters import VideoFilter
from tests.moderation.pages import names, signed_in, video

LIST = "/moderation/videos/"

pytestmark = [pytest.mark.django_db, pytest.mark.every_database]

# {filter: [(value, what it leaves, its chip)]}; "#" stands for the number of "ball".
CASES: dict[str, list[tuple[str, set[str], str]]] = {
    "q": [
        ("LAK", {"lake"}, "matches “LAK”"),
        ("footb", {"ball"}, "matches “footb”"),
        ("member", {"ball"}, "matches “member”"),
        ("#", {"ball"}, "matches “#”"),
        ("cdcdcdcd", {"ball"}, "matches “cdcdcdcd”"),
        ("cd" * 32, {"ball"}, f"matches “{'cd' * 32}”"),
        ("nothing", set(), "matches “nothing”"),
    ],
    "state": [("failed", {"ball"}, "state is failed"), ("pending", set(), "")],
    "failure": [("corrupt", {"ball"}, "failed: corrupt")],
    "visibility": [
        ("quarantined", {"ball"}, "visibility is quarantined"),
        ("visible", {"lake", "cube"}, "visibility is visible"),
    ],
    "codec": [("hevc", {"ball"}, "codec is HEVC")],
    "audio": [("none", {"ball"}, "sound is No sound"), ("opus", {"cube"}, "sound is Opus")],
    "container": [("matroska", {"ball"}, "container is MKV")],
    "orientation": [
        ("landscape", {"lake"}, "shape is landscape"),
        ("portrait", {"ball"}, "shape is portrait"),
        ("square", {"cube"}, "shape is square"),
    ],
    "duration_min": [("1:00", {"lake", "cube"}, "1 min or longer")],
    "duration_max": [("9", {"ball"}, "9 s or shorter")],
    "size_min": [("5 MB", {"lake", "cube"}, "5.0 MB or larger")],
    "size_max": [("1MB", {"ball"}, "1.0 MB or smaller")],
    "width_min": [("1280", {"lake"}, "at least 1,280 pixels wide")],
    "width_max": [("480", {"ball"}, "at most 480 pixels wide")],
    "height_min": [("720", {"lake", "ball"}, "at least 720 pixels high")],
    "height_max": [("719", {"cube"}, "at most 719 pixels high")],
    "bitrate_min": [("1200", {"lake"}, "1,200 kbit/s or more")],
    "bitrate_max": [("300", {"ball"}, "300 kbit/s or less")],
    "reported": [
        ("open", {"ball"}, "reports: waiting for a decision"),
        ("yes", {"ball", "cube"}, "reports: ever reported"),
        ("no", {"lake"}, "reports: never reported"),
    ],
    "poster": [("yes", {"ball"}, "has a thumbnail"), ("no", {"lake", "cube"}, "has no thumbnail")],
    "preview": [("yes", {"ball"}, "has a preview"), ("no", {"lake", "cube"}, "has no preview")],
    "conversation": [("FOOT", {"ball"}, "in conversations like “FOOT”")],
    "uploader": [("Member", {"ball"}, "uploaded by Member")],
    "added": [
        ("24h", {"cube"}, "added in the last 24 hours"),
        ("7d", {"cube", "lake"}, "added in the last 7 days"),
        ("365d", {"cube", "lake", "ball"}, "added in the last year"),
    ],
    "date_from": [("-3", {"cube", "lake"}, "since -3")],  # as many days ago
    "date_to": [("-3", {"ball"}, "until -3")],
}


@pytest.fixture
def ball(conversation: Conversation, owner: User, member: User, moderator: User) -> Attachment:
    """Beside two others, "lake" and "cube": alike in nothing that can be filtered by."""
    now = timezone.now()
    video(
        conversation,
        original_name="lake",
        audio_codec="aac",
        bitrate=1200,
        sha256="ab" * 32,
        created_at=now - timedelta(days=2),
    )
    cube = video(
        conversation, original_name="cube", audio_codec="opus", width=500, height=500, bitrate=700
    )
    football = Conversation.objects.create(title="Football", created_by=member)
    ball = video(
        football,
        original_name="ball",
        codec="hevc",
        container="matroska",
        width=480,
        height=848,
        duration=9.0,
        size=1_000_000,
        bitrate=300,
        thumbnail="thumbnails/ball.jpg",
        processing_state="failed",
        failure_code="corrupt",
        sha256="cd" * 32,
        created_at=now - timedelta(days=200),
    )
    Rendition.objects.create(
        attachment=ball, kind=Rendition.Kind.PREVIEW, file="previews/x.mp4", pipeline_version=1
    )
    for reported in (ball, cube):
        reports.report(reported, Actor(user=owner), "spam", "", None)
    decisions.decide(cube.pk, 0, Verdict("dismiss"), Actor(user=moderator))
    assert ReportCase.objects.count() == 2
    Attachment.objects.filter(pk=ball.pk).update(visibility="quarantined")
    return ball


@pytest.fixture
def told(ball: Attachment) -> Callable[[str], str]:
    """A value or a chip of CASES as it is in an address or on the page."""
    day = f"{timezone.now().date() - timedelta(days=3):%Y-%m-%d}"
    return lambda text: day_or_number(text, day, f"#{ball.pk}")


def day_or_number(text: str, day: str, number: str) -> str:
    text = text.replace("-3", day) if text.endswith("-3") else text
    return text.replace("#", number)


@pytest.mark.parametrize(
    ("name", "value", "left", "chip"),
    [(name, *case) for name, cases in CASES.items() for case in cases],
)
def test_each_filter(
    viewer: User, told: Callable[[str], str], name: str, value: str, left: set[str], chip: str
) -> None:
    client = signed_in(viewer)
    asked = {name: told(value)}
    page = client.get(LIST, asked)
    assert page.context["filters"].errors == {}
    assert set(names(page)) == left
    assert escape(told(chip)) in page.content.decode()
    assert exported(client, asked) == left
    assert set(names(client.get(LIST, {**asked, "sort": "size"}))) == left


def exported(client: Client, asked: dict[str, str]) -> set[str]:
    response = client.get(f"{LIST}export.csv", asked)
    rows = b"".join(response.streaming_content).decode().splitlines()  # type: ignore[attr-defined]
    return {name for name in ("lake", "ball", "cube") for row in rows if f",{name}," in row}


def test_no_filter_is_without_a_case() -> None:
    assert CASES.keys() == VideoFilter.base_filters.keys() == VideoFilter.WORDS.keys()


def test_filters_together_leave_what_each_leaves(viewer: User, told: Callable[[str], str]) -> None:
    asked = {"codec": "hevc", "orientation": "portrait", "reported": "open", "preview": "yes"}
    client = signed_in(viewer)
    assert names(client.get(LIST, asked)) == ["ball"]
    assert names(client.get(LIST, {**asked, "audio": "opus"})) == []
