"""The activity log's page."""

from datetime import UTC, datetime
from itertools import count

import pytest
from django.contrib.auth.models import User

from chat.models import ActivityLog, Attachment, Conversation
from chat.services import activity
from chat.services.activity import Actor
from tests.moderation.pages import HTMX, assert_is_a_list, signed_in, video

URL = "/moderation/activity/"
ACTION = ActivityLog.Action

pytestmark = pytest.mark.django_db


def test_it_is_a_list(
    viewer: User, outsider: User, owner: User, conversation: Conversation
) -> None:
    numbers = count()

    def add() -> None:
        row = video(conversation, original_name=f"{next(numbers)}.mp4")
        activity.record(ACTION.ATTACHMENT_UPLOADED, Actor(user=owner), row)

    assert_is_a_list(URL, viewer, outsider, add)


@pytest.fixture
def entries(owner: User, member: User, conversation: Conversation) -> dict[str, int]:
    upload = activity.entry(
        ACTION.ATTACHMENT_UPLOADED,
        Actor(user=owner, ip_address="192.0.2.7"),
        video(conversation, original_name="Lake.mp4"),
        details={"sha256": "<b>"},
    )
    upload.created_at = datetime(2026, 11, 1, 12, tzinfo=UTC)
    upload.save()
    sent = activity.entry(ACTION.CONVERSATION_CREATED, Actor(user=member), conversation)
    sent.created_at = datetime(2026, 11, 2, 12, tzinfo=UTC)
    sent.save()
    return {"video": upload.object_id or 0, "conversation": conversation.pk}


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", ["conversation_created", "attachment_uploaded"]),
        ("actor=OWNER", ["attachment_uploaded"]),
        ("action=conversation_created", ["conversation_created"]),
        ("object_type=attachment", ["attachment_uploaded"]),
        ("object_type=attachment&object_id={video}", ["attachment_uploaded"]),
        ("object_id=999", []),
        ("date_from=2026-11-02", ["conversation_created"]),
        ("date_to=2026-11-01", ["attachment_uploaded"]),
        ("sort=when", ["attachment_uploaded", "conversation_created"]),
        ("object_id=x", ["conversation_created", "attachment_uploaded"]),
    ],
)
def test_each_filter(
    viewer: User, entries: dict[str, int], query: str, expected: list[str]
) -> None:
    for headers in ({}, HTMX):
        response = signed_in(viewer).get(f"{URL}?{query.format(**entries)}", headers=headers)
        shown = [row.record.action for row in response.context["table"].paginated_rows]
        assert shown == expected


def test_links_lead_to_what_still_exists(viewer: User, entries: dict[str, int]) -> None:
    client = signed_in(viewer)
    link = f'href="/moderation/videos/{entries["video"]}/"'
    html = client.get(URL).content.decode()
    assert link in html
    assert "&lt;b&gt;" in html
    assert "192.0.2.7" in html
    video_page = client.get(f"/moderation/videos/{entries['video']}/").content.decode()
    assert f"object_type=attachment&amp;object_id={entries['video']}" in video_page

    Attachment.objects.all().delete()
    html = client.get(URL).content.decode()
    assert link not in html
    assert "Lake.mp4" in html


def test_nothing_found(viewer: User) -> None:
    assert "No entry matches" in signed_in(viewer).get(f"{URL}?actor=zebra").content.decode()
    assert "Nothing has happened yet" in signed_in(viewer).get(URL).content.decode()
