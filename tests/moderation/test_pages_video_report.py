"""The report on a video: all that is known, with the picture as its reader has it shown."""

import pytest
from django.contrib.auth.models import User
from django.utils import timezone

from chat.models import ActivityLog, Attachment, Conversation
from chat.services import reports
from chat.services.activity import Actor
from moderation import decisions
from moderation.protection import choose
from tests.moderation.pages import assert_guarded, count_queries, signed_in, video

THUMB_HASH = "Ll0GVQYJeIiHeIeHd5dweJh3"

pytestmark = [pytest.mark.django_db, pytest.mark.every_database]


@pytest.fixture
def reported(conversation: Conversation, member: User) -> Attachment:
    attachment = video(
        conversation,
        original_name="street\u202e4pm.mov",
        sha256="ab" * 32,
        thumbnail="posters/none.jpg",
        placeholder=THUMB_HASH,
    )
    reports.report(attachment, Actor(user=member), "privacy", "My front door.", 61.0)
    return attachment


def address(attachment: Attachment) -> str:
    return f"/moderation/videos/{attachment.pk}/report/"


def test_who_may_see_it(viewer: User, outsider: User, reported: Attachment) -> None:
    assert_guarded(address(reported), outsider)
    assert signed_in(viewer).post(address(reported)).status_code == 405
    assert signed_in(viewer).get("/moderation/videos/999999/report/").status_code == 404


def test_it_holds_all_that_is_known(viewer: User, moderator: User, reported: Attachment) -> None:
    verdict = decisions.Verdict(
        "quarantine", "privacy", internal_note="The owner agrees.", uploader_note="Ask first."
    )
    decisions.decide(reported.pk, reported.decision_version, verdict, Actor(user=moderator))
    page = signed_in(viewer).get(address(reported))
    words = page.content.decode()
    for fact in (
        "street\ufffd4pm.mov", "ab" * 32, "12.3 MB", "12,345,678 bytes", "01:23", "1280 × 720",
        "My front door.", "01:01", "The owner agrees.", "Ask first.", "Quarantined: shows someone",
        moderator.username, f"made by <b>{viewer.username}</b>", f"{timezone.now():%Y-%m-%d}",
    ):  # fmt: skip
        assert fact in words, fact
    assert "ago</time>" not in words
    assert 'class="rail"' not in words
    assert page.headers["Cache-Control"] == "private, no-store"
    assert ActivityLog.objects.filter(action="attachment_viewed", actor=viewer).count() == 1


def test_the_picture_is_as_hidden_as_its_reader_has_it(viewer: User, reported: Attachment) -> None:
    client = signed_in(viewer)
    hidden = client.get(address(reported)).content.decode()
    assert "/moderation/blurred/" in hidden
    assert "/thumbnail/" not in hidden
    choose(viewer, {"blur": False, "greyscale": True, "mute": None, "small": None})
    shown = client.get(address(reported)).content.decode()
    assert "/moderation/blurred/" not in shown
    assert 'class="is-grey" src="/moderation/videos/' in shown


def test_queries_do_not_grow(
    viewer: User, moderator: User, reported: Attachment, member: User
) -> None:
    client = signed_in(viewer)
    client.get(address(reported))
    few = count_queries(client, address(reported))
    for action in ("quarantine", "restore") * 3:
        reported.refresh_from_db()
        verdict = decisions.Verdict(action, "spam" if action == "quarantine" else "")
        decisions.decide(reported.pk, reported.decision_version, verdict, Actor(user=moderator))
        reports.report(reported, Actor(user=member), "spam", "", None)
    assert count_queries(client, address(reported)) == few <= 14
