"""The activity log's page."""

import csv
import json
from datetime import UTC, datetime, timedelta
from io import StringIO
from itertools import count

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

from chat.models import ActivityLog, Attachment, Conversation
from chat.services import activity
from chat.services.activity import SYSTEM, Actor
from moderation.views import activity_exports
from tests.moderation.pages import HTMX, assert_guarded, assert_is_a_list, signed_in, video

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
    creator = Actor(user=member, job_id=7)
    sent = activity.entry(ACTION.CONVERSATION_CREATED, creator, conversation)
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
        ("outcome=ok", ["conversation_created", "attachment_uploaded"]),
        ("outcome=failed", []),
        ("conversation={conversation}", ["conversation_created", "attachment_uploaded"]),
        ("address=192.0.2.7", ["attachment_uploaded"]),
        ("address=nowhere", ["conversation_created", "attachment_uploaded"]),
        ("job=7", ["conversation_created"]),
        ("within=24h", []),
        ("within=x", ["conversation_created", "attachment_uploaded"]),
        ("date_from=9999-12-31", []),
        ("date_to=9999-12-31", ["conversation_created", "attachment_uploaded"]),
        ("date_to=1000-01-01", []),
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


def test_chips_say_each_filter_in_words(viewer: User, entries: dict[str, int]) -> None:
    query = (
        "actor=owner&action=signed_in&outcome=refused&object_type=job&object_id=3&job=7"
        f"&conversation={entries['conversation']}&address=2001:DB8::0:1&within=7d"
    )
    response = signed_in(viewer).get(f"{URL}?{query}&before=9")
    assert [words for _, words in response.context["filters"].chips] == [
        "by owner", "action is signed in", "outcome is refused", "object is job", "number is 3",
        "in “Holiday”", "done by job 7", "from 2001:db8::1", "in the last 7 days",
    ]  # fmt: skip
    html = response.content.decode()
    assert 'href="?actor=owner&amp;action=signed_in&amp;outcome=refused' in html


def test_by_a_name_that_an_account_had(viewer: User, member: User, owner: User) -> None:
    """The account's entries under all its names; a deleted one's under the name it had."""
    for user in (member, owner):
        activity.record(ACTION.SIGNED_IN, Actor(user=user), user)
    member.username = "married"
    member.save()
    gone = owner.username
    owner.delete()
    client = signed_in(viewer)
    for name in ("MARRIED", gone):
        assert len(shown(client, f"actor={name}")) == 1
    assert "No entry matches" in client.get(f"{URL}?actor=nobody").content.decode()


def shown(client: Client, query: str = "") -> list[int]:
    response = client.get(f"{URL}?{query}")
    assert response.status_code == 200
    return [row.record.pk for row in response.context["table"].paginated_rows]


@pytest.fixture
def ids(owner: User) -> list[int]:
    """Of 60 entries, newest first, all settled."""
    past = timezone.now() - timedelta(minutes=5)
    for number in range(60):
        line = activity.entry(ACTION.SIGNED_IN, Actor(user=owner), owner)
        line.created_at = past + timedelta(seconds=number)
        line.save()
    return list(ActivityLog.objects.values_list("pk", flat=True))


def test_paging_by_key(viewer: User, ids: list[int]) -> None:
    client = signed_in(viewer)
    assert shown(client) == ids[:25]
    html = client.get(URL).content.decode()
    assert f'href="?before={ids[24]}"' in html
    assert "Newer" not in html
    assert shown(client, f"before={ids[24]}") == ids[25:50]
    middle = client.get(f"{URL}?before={ids[24]}").content.decode()
    assert f'href="?after={ids[25]}"' in middle
    assert f'href="?before={ids[49]}"' in middle
    assert shown(client, f"before={ids[49]}") == ids[50:]
    assert "Older" not in client.get(f"{URL}?before={ids[49]}").content.decode()
    # Back up, and from the very end.
    assert shown(client, f"after={ids[50]}") == ids[25:50]
    assert shown(client, "after=0") == ids[35:]
    assert "Older" not in client.get(f"{URL}?after=0").content.decode()
    # Near the top the newest page comes whole.
    assert shown(client, f"after={ids[3]}") == ids[:25]
    assert shown(client, "before=1") == []
    assert shown(client, f"before={2**53 + 1}") == ids[:25]
    assert shown(client, "per_page=50") == ids[:50]
    assert shown(client, "per_page=50&before=x&after=y") == ids[10:]
    assert shown(client, f"within=1h&before={ids[24]}") == ids[25:50]


def test_new_entries_move_no_page(viewer: User, owner: User, ids: list[int]) -> None:
    client = signed_in(viewer)
    for _ in range(3):
        activity.record(ACTION.SIGNED_OUT, Actor(user=owner), owner)
    assert shown(client, f"before={ids[24]}") == ids[25:50]


# --- Live ---------------------------------------------------------------------------------------


def test_live_shows_what_is_new_under_the_filter(
    viewer: User, owner: User, ids: list[int]
) -> None:
    client = signed_in(viewer)
    page = client.get(f"{URL}?action=signed_in&live=1").content.decode()
    tail = f"/moderation/activity/tail/?action=signed_in&amp;newer={ids[0]}"
    assert f'hx-get="{tail}"' in page
    assert 'hx-trigger="every 3s"' in page
    tail = tail.replace("&amp;", "&")
    assert client.get(tail, headers=HTMX).status_code == 204

    def sign_in(action: str = ACTION.SIGNED_IN) -> int:
        line = activity.entry(action, Actor(user=owner), owner)
        line.created_at = timezone.now() - timedelta(seconds=5)
        line.save()
        return line.pk

    sign_in(ACTION.SIGNED_OUT)
    assert client.get(tail, headers=HTMX).status_code == 204
    fresh = [sign_in() for _ in range(2)]
    response = client.get(tail, headers=HTMX)
    rows = [row.record.pk for row in response.context["table"].paginated_rows]
    assert rows == fresh[::-1]
    html = response.content.decode()
    assert f"newer={fresh[1]}" in html
    assert "<html" not in html
    # What is not settled may have entries before it that are about to be committed.
    activity.record(ACTION.SIGNED_IN, Actor(user=owner), owner)
    assert client.get(f"{tail}&newer={fresh[1]}", headers=HTMX).status_code == 204


def test_live_after_a_flood_says_that_there_is_more(viewer: User, ids: list[int]) -> None:
    response = signed_in(viewer).get(f"{URL}tail/?newer={ids[-1]}", headers=HTMX)
    assert len(response.context["table"].paginated_rows) == 50
    assert "show the newest" in response.content.decode()


def test_live_ends_where_one_turns_the_page(viewer: User, ids: list[int]) -> None:
    html = signed_in(viewer).get(f"{URL}?live=1&before={ids[5]}").content.decode()
    assert 'id="tail"' not in html


# --- Export -------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["csv", "jsonl"])
def test_who_may_export(outsider: User, form: str) -> None:
    assert_guarded(f"{URL}export.{form}", outsider)


def test_export_as_json_lines(viewer: User, entries: dict[str, int]) -> None:
    response = signed_in(viewer).get(f"{URL}export.jsonl?action=attachment_uploaded")
    assert response.headers["Content-Disposition"] == 'attachment; filename="activity.jsonl"'
    (line,) = b"".join(response.streaming_content).decode().splitlines()
    told = json.loads(line)
    assert told["created_at"] == "2026-11-01T12:00:00+00:00"
    assert (told["object_label"], told["ip_address"]) == ("Lake.mp4", "192.0.2.7")
    assert told["details"] == {"sha256": "<b>"}
    assert told["job_id"] is None
    taken = ActivityLog.objects.get(action=ACTION.ACTIVITY_EXPORTED)
    assert taken.actor == viewer
    assert taken.details == {"as": "jsonl", "filters": ["action is uploaded"]}


def test_export_as_csv_holds_no_formula(viewer: User, conversation: Conversation) -> None:
    for name in ("=1+1.mp4", 'two\n"lines".mp4'):
        row = video(conversation, original_name=name)
        activity.record(ACTION.ATTACHMENT_UPLOADED, SYSTEM, row, details={"a": "=x"})
    response = signed_in(viewer).get(f"{URL}export.csv")
    text = b"".join(response.streaming_content).decode("utf-8-sig")
    rows = list(csv.DictReader(StringIO(text, newline="")))
    assert [row["object_label"] for row in rows] == ['two\n"lines".mp4', "'=1+1.mp4"]
    assert rows[0]["details"] == '{"a": "=x"}'
    assert rows[0]["conversation_id"] == str(conversation.pk)


def test_an_export_is_read_in_batches_and_ends(
    viewer: User, owner: User, ids: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(activity_exports, "ROWS_AT_ONCE", 7)
    response = signed_in(viewer).get(f"{URL}export.jsonl")
    lines = iter(response.streaming_content)
    told = [json.loads(next(lines))["id"]]
    activity.record(ACTION.SIGNED_OUT, Actor(user=owner), owner)  # too late for this one
    told += [json.loads(line)["id"] for line in lines]
    assert told == ids
    assert signed_in(viewer).head(f"{URL}export.csv").status_code == 200
    assert ActivityLog.objects.filter(action=ACTION.ACTIVITY_EXPORTED).count() == 1


def test_nothing_found(viewer: User) -> None:
    assert "No entry matches" in signed_in(viewer).get(f"{URL}?actor=zebra").content.decode()
    assert "Nothing has happened yet" in signed_in(viewer).get(URL).content.decode()
