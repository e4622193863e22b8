"""Deciding on several videos and exporting them: ticked rows, and everything that matches."""

import csv
import re
from html import unescape
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from chat.models import ActivityLog, Attachment, Conversation
from moderation import backfill
from moderation.decision import Decision
from moderation.models import Job
from moderation.views import video_exports
from tests.moderation.pages import HTMX, assert_guarded, names, signed_in, video

LIST = "/moderation/videos/"
QUESTION = f"{LIST}decide/"
DECIDE = f"{QUESTION}now/"
EXPORT = f"{LIST}export.csv"

pytestmark = pytest.mark.django_db


@pytest.fixture
def rows(conversation: Conversation) -> list[Attachment]:
    return [video(conversation, original_name=f"{number}.mp4") for number in range(5)]


def fields_of(response: Any) -> dict[str, list[str]]:
    """What the question's form sends."""
    html = response.content.decode()
    form = html[html.index(f'action="{DECIDE}"') :]
    found: dict[str, list[str]] = {}
    for name, value in re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)"', form):
        found.setdefault(name, []).append(unescape(value))
    return found


def visibilities() -> list[str]:
    return list(Attachment.objects.order_by("pk").values_list("visibility", flat=True))


def test_who_may(viewer: User, operator: User, outsider: User) -> None:
    assert_guarded(f"{QUESTION}?action=restore", outsider)
    for person in (viewer, operator):
        assert signed_in(person).get(f"{QUESTION}?action=restore").status_code == 403
        assert signed_in(person).post(DECIDE, {"action": "restore"}).status_code == 403
    assert_guarded(EXPORT, outsider)


def test_ticked_rows_are_decided_on_at_once_and_given_back(
    moderator: User, rows: list[Attachment]
) -> None:
    client = signed_in(moderator)
    ticked = [rows[1].pk, rows[3].pk]
    back = "state=ready&sort=-size"
    page = client.get(QUESTION, {"action": "quarantine", "selected": ticked, "back": back})
    assert "Quarantine 2 videos" in page.content.decode()
    fields = fields_of(page)
    assert fields["video"] == [f"{pk}-0" for pk in ticked]

    refused = client.post(DECIDE, {**fields, "reason": ""})
    assert "Choose a reason." in refused.content.decode()
    assert set(visibilities()) == {"visible"}

    done = client.post(DECIDE, {**fields_of(refused), "reason": "spam", "internal_note": "wave"})
    assert done.headers["Location"] == f"{LIST}?{back}"
    assert visibilities() == ["visible", "quarantined", "visible", "quarantined", "visible"]
    decision = Decision.objects.first()
    assert decision
    assert (decision.reason, decision.internal_note) == ("spam", "wave")
    html = client.get(done.headers["Location"]).content.decode()
    assert "2 videos quarantined." in html
    undo = re.search(r'action="([^"]+/undo/)"', html)
    assert undo
    assert client.post(undo[1], {"back": back}).headers["Location"] == f"{LIST}?{back}"
    assert set(visibilities()) == {"visible"}


def test_what_was_decided_meanwhile_is_told(moderator: User, rows: list[Attachment]) -> None:
    client = signed_in(moderator)
    ask = {"action": "quarantine", "selected": [rows[0].pk, rows[1].pk]}
    mine, theirs = fields_of(client.get(QUESTION, ask)), fields_of(client.get(QUESTION, ask))
    theirs["video"] = theirs["video"][:1]
    client.post(DECIDE, {**theirs, "reason": "hate"})
    client.get(LIST)
    answer = client.post(DECIDE, {**mine, "reason": "spam"}, follow=True).content.decode()
    assert "1 video quarantined." in answer
    assert f"Video {rows[0].pk}</a> was quarantined by moderator meanwhile." in answer
    assert Decision.objects.get(attachment=rows[0]).reason == "hate"


def test_everything_that_matches_is_frozen_and_done_by_a_job(
    moderator: User, conversation: Conversation, rows: list[Attachment]
) -> None:
    video(conversation, original_name="other.avi", container="avi")
    client = signed_in(moderator)
    ask = {"action": "remove", "everything": 1, "selected": rows[0].pk, "container": "mp4"}
    page = client.get(QUESTION, ask)
    html = page.content.decode()
    assert "Remove 5 videos" in html
    assert "container is MP4" in html
    video(conversation, original_name="later.mp4")
    started = client.post(DECIDE, {**fields_of(page), "reason": "illegal"})
    job = Job.objects.get()
    assert started.headers["Location"] == f"/moderation/jobs/{job.pk}/"
    assert (job.kind, job.counted, job.created_by) == ("decisions", 5, moderator)
    backfill.plan(job)
    backfill.run_inline(job, lambda _now: None)
    assert visibilities() == ["removed"] * 5 + ["visible"] * 2


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("action=quarantine", "No video is selected"),
        ("action=quarantine&selected=999999", "No video is selected"),
        ("action=quarantine&everything=1&duration_min=soon", "is not a length"),
    ],
)
def test_nothing_to_decide_on(
    moderator: User, rows: list[Attachment], query: str, words: str
) -> None:
    html = signed_in(moderator).get(f"{QUESTION}?{query}").content.decode()
    assert words in html
    assert '<form class="panel"' not in html


def test_unknown_actions_and_foreign_addresses(moderator: User, rows: list[Attachment]) -> None:
    client = signed_in(moderator)
    assert client.get(f"{QUESTION}?action=hold").status_code == 404
    assert client.get(QUESTION).status_code == 404
    page = client.get(QUESTION, {"action": "restore", "selected": rows[0].pk, "back": "\n//evil"})
    assert f'href="{LIST}"' in page.content.decode()


def test_it_belongs_to_the_videos(moderator: User, rows: list[Attachment]) -> None:
    page = signed_in(moderator).get(f"{LIST}decide/?action=remove&selected={rows[0].pk}")
    assert re.search(r'title="Videos[^"]*" aria-current="page"', page.content.decode())


def test_what_can_be_done_depends_on_the_person(
    viewer: User, moderator: User, operator: User, rows: list[Attachment]
) -> None:
    pages = {user: signed_in(user).get(LIST).content.decode() for user in (viewer, moderator)}
    assert 'name="selected"' not in pages[viewer]
    assert 'name="action" value="quarantine"' in pages[moderator]
    assert "Process again" not in pages[moderator]
    html = signed_in(operator).get(LIST).content.decode()
    assert "Process again" in html
    assert 'name="action"' not in html


# --- Export ---
def export(client: Client, query: str = "") -> list[dict[str, str]]:
    response = client.get(f"{EXPORT}?{query}")
    assert response.streaming
    text = b"".join(response.streaming_content).decode("utf-8-sig")  # type: ignore[arg-type]
    return list(csv.DictReader(text.splitlines()))


def test_the_export_is_the_list_whole_and_in_its_order(
    viewer: User, conversation: Conversation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(video_exports, "ROWS_AT_ONCE", 7)
    for number in range(30):
        video(conversation, original_name=f"{number:02}.mp4", size=1000 + number)
    video(conversation, original_name="=cmd()", codec="hevc")
    client = signed_in(viewer)
    listed = [row["name"] for row in export(client, "codec=h264&sort=size")]
    assert listed == [f"{number:02}.mp4" for number in range(30)]
    assert listed[:25] == names(client.get(f"{LIST}?codec=h264&sort=size"))
    assert [row["name"] for row in export(client, "codec=hevc")] == ["'=cmd()"]
    entry = ActivityLog.objects.filter(action="videos_exported").first()
    assert entry
    assert entry.details == {"filters": ["codec is HEVC"]}


def test_ticked_rows_alone_are_exported(viewer: User, rows: list[Attachment]) -> None:
    some = export(signed_in(viewer), f"selected={rows[2].pk}&selected={rows[0].pk}&q=zebra")
    assert [row["name"] for row in some] == ["2.mp4", "0.mp4"]
    whole = export(signed_in(viewer), f"selected={rows[2].pk}&everything=1")
    assert len(whole) == 5


def test_a_fragment_has_the_fields_of_its_filters(moderator: User, rows: list[Attachment]) -> None:
    html = signed_in(moderator).get(f"{LIST}?codec=h264", headers=HTMX).content.decode()
    assert '<input type="hidden" name="codec" value="h264">' in html
