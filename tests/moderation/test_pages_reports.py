"""The list of what participants reported."""

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.utils import timezone

from chat.models import Attachment, Conversation, Report, ReportCase
from chat.services import reports
from chat.services.activity import Actor
from chat.services.reports import sum_up
from moderation import decisions
from moderation.verdict import Verdict
from tests.conftest import person
from tests.moderation.pages import PICTURE, assert_is_a_list, signed_in, video

URL = "/moderation/reports/"


def report(attachment: Attachment, name: str, reason: str = "spam", **fields: Any) -> Report:
    user, _ = User.objects.get_or_create(username=name)
    made, _ = reports.report(
        attachment, Actor(user=user), reason, fields.get("note", ""), fields.get("at")
    )
    if days := fields.get("days_ago"):
        made.created_at = timezone.now() - timedelta(days=days)
        Report.objects.filter(pk=made.pk).update(created_at=made.created_at)
        sum_up([attachment.pk])
    return made


def shown(response: Any) -> list[str]:
    rows = response.context["table"].paginated_rows
    return [row.record.attachment.original_name for row in rows]


@pytest.fixture
def reported(conversation: Conversation, moderator: User) -> None:
    """``old`` waits longest, ``often`` has most reports, ``settled`` is decided on."""
    other = Conversation.objects.create(title="Work")
    old = video(conversation, original_name="old.mp4", duration=7300)
    often = video(other, original_name="often.mp4")
    settled = video(conversation, original_name="settled.mp4")
    video(conversation, original_name="fine.mp4")
    report(old, "anna", "hate", at=3723.5, days_ago=9)
    for name in ("anna", "ben", "cleo"):
        report(often, name, "violence" if name == "cleo" else "spam", at=5, days_ago=2)
    report(settled, "anna", "privacy", days_ago=20)
    decisions.decide(settled.pk, 0, Verdict("quarantine", "privacy"), Actor(user=moderator))


def test_is_a_list(viewer: User, outsider: User, conversation: Conversation) -> None:
    people = iter(range(1000))

    def add() -> None:
        place = Conversation.objects.create(title="x")
        attachment = video(place, uploaded_by=person(f"u{next(people)}"), **PICTURE)
        report(attachment, f"r{next(people)}", at=1.0)
        report(attachment, f"r{next(people)}", "hate", note="n", at=2.0)

    add()
    assert_is_a_list(URL, viewer, outsider, add)


def test_who_waits_longest_comes_first(viewer: User, reported: None) -> None:
    client = signed_in(viewer)
    response = client.get(URL)
    html = response.content.decode()

    assert shown(response) == ["old.mp4", "often.mp4"]
    assert "2 videos with open reports" in html
    old = Attachment.objects.get(original_name="old.mp4")
    assert f'href="/moderation/videos/{old.pk}/?t=3723.5" title="hate">1:02:03</a>' in html
    assert "spam or fraud <b>2</b>" in html
    assert html.count('title="Reports: 2 reported"') == 1
    assert '<span class="count">2 <span' in html

    assert shown(client.get(URL, {"sort": "-reports"})) == ["often.mp4", "old.mp4"]
    assert shown(client.get(URL, {"sort": "-waiting"})) == ["often.mp4", "old.mp4"]
    assert shown(client.get(URL, {"state": "settled"})) == ["settled.mp4"]
    assert shown(client.get(URL, {"state": "all"})) == ["often.mp4", "old.mp4", "settled.mp4"]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({"reason": "spam"}, ["often.mp4"]),
        ({"reason": "privacy"}, []),
        ({"reason": "privacy", "state": "all"}, ["settled.mp4"]),
        ({"conversation": "hol"}, ["old.mp4"]),
        ({"date_from": "4"}, ["often.mp4"]),
        ({"date_to": "4"}, ["old.mp4"]),
        ({"reason": "boring"}, ["old.mp4", "often.mp4"]),
        ({"state": "boring"}, ["old.mp4", "often.mp4"]),
    ],
)
def test_filters(viewer: User, reported: None, query: dict[str, str], expected: list[str]) -> None:
    """A date is so many days ago."""
    for name in ("date_from", "date_to"):
        if name in query:
            day = timezone.now() - timedelta(days=int(query[name]))
            query = {**query, name: f"{day:%Y-%m-%d}"}
    assert shown(signed_in(viewer).get(URL, query)) == expected


def test_by_the_conversation_s_number(viewer: User, reported: None) -> None:
    number = Attachment.objects.get(original_name="old.mp4").conversation_id
    assert shown(signed_in(viewer).get(URL, {"conversation": f"#{number}"})) == ["old.mp4"]


def test_empty(viewer: User, reported: None) -> None:
    client = signed_in(viewer)
    assert "No reported video matches" in client.get(URL, {"reason": "other"}).content.decode()
    ReportCase.objects.all().delete()
    assert "No report is open" in client.get(URL).content.decode()


def test_what_its_owner_deleted_is_gone_from_the_list(viewer: User, reported: None) -> None:
    Attachment.objects.get(original_name="old.mp4").delete()
    assert shown(signed_in(viewer).get(URL)) == ["often.mp4"]
