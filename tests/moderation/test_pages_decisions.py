"""Deciding on the video page: panel and page, with htmx and without JavaScript."""

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from chat.models import ActivityLog, Attachment, Conversation
from chat.services import reports
from chat.services.activity import Actor
from moderation import decisions
from moderation.models import Decision
from moderation.verdict import Verdict
from tests.conftest import person
from tests.moderation.pages import HTMX, count_queries, signed_in, video

SHA = "ab" * 32


@pytest.fixture
def clip(conversation: Conversation) -> Attachment:
    return video(conversation, sha256=SHA)


@pytest.fixture
def anna(moderator: User) -> Client:
    return signed_in(moderator)


def page_of(attachment: Attachment) -> str:
    return f"/moderation/videos/{attachment.pk}/"


def undo_of(attachment: Attachment) -> str:
    """Of the only decision there is."""
    return f"{page_of(attachment)}undo/{Decision.objects.get().batch}/"


def sent(attachment: Attachment, action: str, **fields: Any) -> dict[str, Any]:
    """What the form of the page sends."""
    return {"action": action, "reason": "violence", "version": attachment.decision_version,
            "copies_until": attachment.pk, **fields}  # fmt: skip


def decide(client: Client, attachment: Attachment, action: str, **fields: Any) -> Any:
    headers = fields.pop("headers", {})
    url = f"{page_of(attachment)}decide/"
    response = client.post(url, sent(attachment, action, **fields), headers=headers)
    attachment.refresh_from_db()
    return response


def test_without_javascript(anna: Client, clip: Attachment) -> None:
    page = anna.get(page_of(clip)).content.decode()
    assert f'action="{page_of(clip)}decide/"' in page
    assert 'value="quarantine" data-key="q"' in page
    assert 'value="restore"' not in page

    response = decide(anna, clip, "quarantine", uploader_note="Cut it.", internal_note="gory")

    assert (response.status_code, response.headers["Location"]) == (302, page_of(clip))
    assert (clip.visibility, clip.decision_reason, clip.decision_note) == (
        "quarantined", "violence", "Cut it.",
    )  # fmt: skip
    page = anna.get(page_of(clip)).content.decode()
    for words in (
        "Quarantined.",
        "quarantined: violence or cruelty",
        "gory",
        "/undo/",
        ">Undo</button>",
        ">Restore</button>",
    ):
        assert words in page, words
    assert f'name="version" value="{clip.decision_version}"' in page

    undo = anna.post(undo_of(clip))
    assert undo.headers["Location"] == page_of(clip)
    assert "Undone: 1 video is as before." in anna.get(page_of(clip)).content.decode()
    clip.refresh_from_db()
    assert clip.visibility == "visible"


def test_with_htmx_the_panel_comes_back(anna: Client, clip: Attachment) -> None:
    response = decide(anna, clip, "remove", headers=HTMX)

    html = response.content.decode()
    assert response.status_code == 200
    assert "<html" not in html
    assert 'id="decide"' in html
    assert 'id="notices" hx-swap-oob="true"' in html
    assert "Removed." in html
    assert 'id="video-state" hx-swap-oob="true"' in html
    assert "until then restoring brings it back" in html
    assert "HX-Request" in response.headers["Vary"]
    undo = anna.post(undo_of(clip), headers=HTMX)
    assert "Undone: 1 video is as before." in undo.content.decode()
    assert 'id="decide"' in undo.content.decode()


@pytest.mark.parametrize("headers", [{}, HTMX])
def test_the_second_of_two_sees_what_the_first_decided(
    anna: Client, clip: Attachment, headers: dict[str, str]
) -> None:
    bert = Actor(user=person("bert"))
    decisions.decide(clip.pk, 0, Verdict("quarantine", "hate"), bert)

    response = decide(anna, clip, "remove", internal_note="typed with care", headers=headers)

    html = response.content.decode()
    assert response.status_code == 409
    assert ("<html" in html) == (not headers)
    assert "Somebody else was first." in html
    assert "bert quarantined: hate" in html
    assert "typed with care" in html
    assert 'name="version" value="1"' in html
    assert (clip.visibility, clip.decision_reason) == ("quarantined", "hate")
    assert Decision.objects.count() == 1
    assert ActivityLog.objects.filter(object_type="attachment").count() == 1
    assert decide(anna, clip, "remove", headers=headers).status_code in (200, 302)
    assert clip.visibility == "removed"


@pytest.mark.parametrize("headers", [{}, HTMX])
def test_a_missing_reason(anna: Client, clip: Attachment, headers: dict[str, str]) -> None:
    response = decide(anna, clip, "remove", reason="", headers=headers)

    assert response.status_code == 422
    assert "Choose a reason." in response.content.decode()
    assert clip.visibility == "visible"


@pytest.mark.parametrize(
    "fields",
    [
        {"action": "explode"}, {"version": "x"}, {"version": ""}, {"version": -1},
        {"reason": "boring"}, {"internal_note": "x" * 2001}, {"copies_until": "x"},
    ],
)  # fmt: skip
def test_nonsense(anna: Client, clip: Attachment, fields: dict[str, Any]) -> None:
    url = f"{page_of(clip)}decide/"
    assert anna.post(url, {**sent(clip, "remove"), **fields}).status_code == 422
    assert not Decision.objects.exists()


def test_copies_are_ticked_and_decided_on(
    anna: Client, clip: Attachment, conversation: Conversation
) -> None:
    copies = [video(conversation, sha256=SHA) for _ in range(2)]
    page = anna.get(page_of(clip)).content.decode()
    for copy in copies:
        assert f'name="copy" value="{copy.pk}:0" checked' in page
    later = video(conversation, sha256=SHA)

    decide(
        anna, clip, "quarantine", copy=[f"{copies[0].pk}:0", "x", "1", ":"],
        copies_until=copies[1].pk, hold_same_bytes="on",
    )  # fmt: skip

    state = dict(Attachment.objects.values_list("pk", "visibility"))
    assert state == {
        clip.pk: "quarantined", copies[0].pk: "quarantined", copies[1].pk: "visible",
        later.pk: "quarantined",
    }  # fmt: skip
    assert "Quarantined, and 2 copies of it." in anna.get(page_of(clip)).content.decode()


def test_reports_are_shown_with_links_to_their_times_and_dismissed(
    anna: Client, clip: Attachment, owner: User, member: User
) -> None:
    reports.report(clip, Actor(user=owner), "hate", "<b>listen</b>", 21.5)
    reports.report(clip, Actor(user=member), "hate", "", 3.0)
    page = anna.get(page_of(clip)).content.decode()
    for words in ("2 open reports", f'{page_of(clip)}?t=21.5"', "0:21", "&lt;b&gt;listen"):
        assert words in page, words
    assert '<option value="hate" selected>' in page

    decide(anna, clip, "dismiss")

    page = anna.get(page_of(clip)).content.decode()
    assert "open report" not in page
    assert "dismissed the reports" in page
    assert clip.visibility == "visible"


def test_hold_and_release(anna: Client, clip: Attachment) -> None:
    decide(anna, clip, "hold")
    assert clip.on_hold
    assert "Under hold" in anna.get(page_of(clip)).content.decode()
    decide(anna, clip, "hold")
    assert "It is under hold already." in anna.get(page_of(clip)).content.decode()
    decide(anna, clip, "release")
    assert not clip.on_hold


def test_who_may(
    anna: Client, viewer: User, operator: User, outsider: User, clip: Attachment
) -> None:
    decide(anna, clip, "quarantine", internal_note="seen in full")
    undo = undo_of(clip)
    for user in (viewer, operator):
        page = signed_in(user).get(page_of(clip)).content.decode()
        assert "seen in full" in page
        assert 'data-key="r"' not in page
        assert "/undo/" not in page
    for user in (viewer, operator, outsider):
        for url in (f"{page_of(clip)}decide/", undo):
            assert signed_in(user).post(url, sent(clip, "restore")).status_code == 403
    for url in (f"{page_of(clip)}decide/", undo):
        assert Client().post(url).status_code == 302
        assert Client().post(url, headers=HTMX).status_code == 401
        assert anna.get(url).status_code == 405
        assert Client(enforce_csrf_checks=True).post(url).status_code == 403
    assert anna.post("/moderation/videos/999/decide/").status_code == 404
    clip.refresh_from_db()
    assert clip.visibility == "quarantined"


def test_queries_do_not_grow(
    anna: Client, moderator: User, clip: Attachment, conversation: Conversation
) -> None:
    actor = Actor(user=moderator)
    reports.report(clip, Actor(user=person("a")), "spam", "x", 1)
    video(conversation, sha256=SHA)
    decisions.decide(clip.pk, 0, Verdict("hold"), actor)
    decisions.decide(clip.pk, 1, Verdict("release"), actor)
    count_queries(anna, page_of(clip))  # records the visit
    few = count_queries(anna, page_of(clip))
    for number in range(5):
        reports.report(clip, Actor(user=person(f"b{number}")), "hate", "y", number)
        other = Conversation.objects.create(title=str(number))
        video(other, sha256=SHA, uploaded_by=person(f"c{number}"))
        decisions.decide(clip.pk, 2 + 2 * number, Verdict("hold"), actor)
        decisions.decide(clip.pk, 3 + 2 * number, Verdict("release"), actor)
    assert count_queries(anna, page_of(clip)) == few <= 24
