"""Starting a job: the dry run, which writes nothing, and the start of just what it counted."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User

from chat.models import ActivityLog, Attachment, Conversation
from moderation import backfill, tasks
from moderation.models import Job
from moderation.steering import Pace
from tests.moderation.pages import HTMX, assert_guarded, count_queries, signed_in, video

NEW = "/moderation/jobs/new/"
ESTIMATE = "/moderation/jobs/new/estimate/"
START = "/moderation/jobs/start/"
MakeVideo = Callable[..., Attachment]

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def woken(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """One item for each time that the consumers would have been woken."""
    times: list[str] = []
    monkeypatch.setattr(tasks, "fill_up", lambda: times.append("woken"))
    return times


def text_of(response: Any) -> str:
    return " ".join(re.sub(r"<[^>]*>", " ", response.content.decode()).split())


def start_form(html: str) -> dict[str, list[str]]:
    """What the form with the Start button would send, but for its token."""
    form = html[html.index('id="start"') :]
    found: dict[str, list[str]] = {}
    for name, value in re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', form):
        if name != "csrfmiddlewaretoken":
            found.setdefault(name, []).append(value)
    return found


def test_it_takes_the_operators_right(
    viewer: User, moderator: User, outsider: User, operator: User
) -> None:
    for path, method, other in (
        (NEW, "get", "post"),
        (ESTIMATE, "get", "post"),
        (START, "post", "get"),
    ):
        assert_guarded(path, outsider, method)
        for person in (viewer, moderator):
            assert getattr(signed_in(person), method)(path).status_code == 403
        assert getattr(signed_in(operator), other)(path).status_code == 405
    assert not Job.objects.exists()


def test_the_dry_run_counts_and_writes_nothing(
    operator: User, legacy_video: MakeVideo, conversation: Conversation
) -> None:
    legacy_video()
    video(conversation)
    entries = ActivityLog.objects.count()
    response = signed_in(operator).get(NEW)
    words = text_of(response)
    assert "1 video without metadata" in words
    assert "Start on 1 video" in words
    assert "Videos without metadata 1 video" in words
    assert "All videos 2 videos" in words
    measured = text_of(signed_in(operator).get(ESTIMATE))
    assert re.search(r"About .* m?s with 1 worker, .* m?s with 2 workers · 1 measured", measured)
    assert not Job.objects.exists()
    assert ActivityLog.objects.count() == entries
    assert Attachment.objects.filter(processing_state="pending").count() == 1


def test_samples_that_would_fail_are_named(
    operator: User, legacy_video: MakeVideo, tmp_path: Path
) -> None:
    broken = tmp_path / "broken.mp4"
    broken.write_text("not a video")
    legacy_video(broken)
    words = text_of(signed_in(operator).get(f"{NEW}?measure=1"))
    assert "1 of them would fail" in words
    assert "not a video" in words


def test_samples_do_not_multiply_the_queries(operator: User, conversation: Conversation) -> None:
    client = signed_in(operator)
    video(conversation, processing_state="pending")
    one = count_queries(client, NEW)
    for _ in range(9):
        video(conversation, processing_state="pending")
    assert count_queries(client, NEW) == one
    assert len(client.get(NEW).context["samples"]) == 10


def test_what_was_counted_is_what_runs(
    operator: User,
    legacy_video: MakeVideo,
    woken: list[str],
    django_capture_on_commit_callbacks: Any,
) -> None:
    counted = [legacy_video(original_name=f"{number} wanted.mp4") for number in range(2)]
    legacy_video(original_name="other.mp4")
    client = signed_in(operator)
    form = start_form(client.get(f"{NEW}?q=wanted").content.decode())
    legacy_video(original_name="late but wanted.mp4")
    with django_capture_on_commit_callbacks(execute=True):
        response = client.post(START, {**form, "workers": "3"})
    job = Job.objects.get()
    assert response.headers["Location"] == f"/moderation/jobs/{job.pk}/"
    assert (job.kind, job.created_by, job.started_from) == ("metadata", operator, "dashboard")
    assert (job.counted, Pace.of(job)) == (2, Pace(workers=3))
    assert job.scope_words == "all videos, matches “wanted”"
    assert woken == ["woken"]
    assert ActivityLog.objects.get(action=ActivityLog.Action.JOB_STARTED).actor == operator
    backfill.run_inline(job, lambda _progress: None)
    assert job.total == 2
    done = Attachment.objects.filter(processing_state="ready").order_by("pk")
    assert list(done) == counted


def test_each_kind_and_choice(operator: User, conversation: Conversation) -> None:
    video(conversation, processing_state="pending")
    video(conversation, processing_state="failed", failure_code="corrupt")
    client = signed_in(operator)
    for kind in Job.WORK:
        page = client.get(NEW, {"kind": kind})
        html = page.content.decode()
        assert f'value="{kind}" checked' in html
        for only, _words, count in page.context["choices"]:
            chosen = client.get(NEW, {"kind": kind, "only": only})
            assert chosen.context["forecast"].matched == count
    assert START not in signed_in(operator).get("/moderation/jobs/").content.decode()


def test_decisions_are_not_an_operators_work(operator: User, conversation: Conversation) -> None:
    attachment = video(conversation)
    client = signed_in(operator)
    assert client.get(NEW).content.count(b'value="decisions"') == 0
    client.post(START, {"kind": "decisions", "selected": attachment.pk})
    assert not Job.objects.exists()


def test_page_and_fragment(operator: User, conversation: Conversation) -> None:
    video(conversation, processing_state="pending")
    client = signed_in(operator)
    assert b"<html" in client.get(NEW).content
    fragment = client.get(NEW, headers=HTMX)
    assert b"<html" not in fragment.content
    assert b'id="plan"' in fragment.content
    assert "HX-Request" in fragment.headers["Vary"]
    assert (
        b"<html" in client.get(NEW, headers={**HTMX, "HX-History-Restore-Request": "true"}).content
    )


def test_the_whole_list_or_a_part_by_its_filters(
    operator: User, viewer: User, conversation: Conversation
) -> None:
    for codec in ("vp9", "vp9", "h264"):
        video(conversation, codec=codec)
    client = signed_in(operator)
    html = client.get("/moderation/videos/?codec=vp9&sort=name&page=1").content.decode()
    assert "Start a job on these 2 videos" in html
    assert f'href="{NEW}?codec=vp9"' in html
    assert "Start a job" not in text_of(signed_in(viewer).get("/moderation/videos/?codec=vp9"))
    page = client.get(f"{NEW}?codec=vp9")
    assert page.context["forecast"].matched == 2  # all of these, unless one chooses otherwise
    assert "codec is VP9" in text_of(page)
    assert f'href="{NEW}?only=all"' in client.get("/moderation/videos/").content.decode()


def test_a_conversation(operator: User, conversation: Conversation, owner: User) -> None:
    mine = video(conversation)
    video(Conversation.objects.create(title="Other", created_by=owner))
    client = signed_in(operator)
    page = client.get(f"/moderation/videos/{mine.pk}/").content.decode()
    link = re.search(rf'href="({NEW}\?conversation=[^"]*)"', page)
    assert link
    plan = client.get(link[1])
    assert plan.context["forecast"].matched == 1
    assert "in “Holiday”" in text_of(plan)


def test_ticked_rows(operator: User, conversation: Conversation) -> None:
    rows = [video(conversation) for _ in range(3)]
    chosen = [rows[2].pk, rows[0].pk]
    client = signed_in(operator)
    asked = {"kind": "thumbnails", "selection": "1", "selected": [*chosen, "x", "-1", "9" * 40]}
    page = client.get(NEW, asked)
    assert "2 selected videos" in text_of(page)
    client.post(START, start_form(page.content.decode()))
    job = Job.objects.get()
    assert (job.kind, job.scope["ids"], job.scope["only"]) == ("thumbnails", sorted(chosen), "all")


def test_process_again_starts_at_once(operator: User, conversation: Conversation) -> None:
    attachment = video(conversation)
    signed_in(operator).post(START, {"kind": "metadata", "selected": [attachment.pk]})
    assert Job.objects.get().scope["ids"] == [attachment.pk]


def test_at_most_so_many(operator: User, conversation: Conversation) -> None:
    for _ in range(3):
        video(conversation, processing_state="pending")
    page = signed_in(operator).get(f"{NEW}?limit=2")
    assert page.context["forecast"].matched == 2
    signed_in(operator).post(START, start_form(page.content.decode()))
    assert Job.objects.get().scope["limit"] == 2


@pytest.mark.parametrize(
    ("query", "sentence"),
    [
        ("selection=1", "No video is selected"),
        ("kind=nonsense", "There is no such kind of job."),
        ("only=nonsense", "is missing, failed, outdated or all"),
        ("limit=0", "greater than or equal to 1"),
        ("limit=many", "Enter a whole number"),
        ("until=-1", "greater than or equal to 0"),
        ("duration_min=soon", "Length from: “soon” is not a length"),
        ("codec=nonsense", "Codec: Select a valid choice"),
        ("duration_min=9&duration_max=3", "The shortest length is longer than the longest."),
        ("date_from=yesterday", "From: Enter a valid date."),
    ],
)
def test_what_cannot_be_started(
    operator: User, conversation: Conversation, query: str, sentence: str
) -> None:
    video(conversation, processing_state="pending")
    client = signed_in(operator)
    page = client.get(f"{NEW}?{query}")
    assert sentence in text_of(page)
    assert START not in page.content.decode()
    assert sentence in text_of(client.get(f"{NEW}?{query}", headers=HTMX))
    assert client.get(f"{ESTIMATE}?{query}").status_code == 200
    form = dict(part.split("=") for part in query.split("&"))
    assert sentence in text_of(client.post(START, {"kind": "metadata", **form}))
    assert not Job.objects.exists()


def test_a_pace_that_makes_no_sense_is_given_back(
    operator: User, conversation: Conversation
) -> None:
    video(conversation, processing_state="pending")
    client = signed_in(operator)
    form = start_form(client.get(NEW).content.decode())
    page = client.post(START, {**form, "hours_from": "22:00", "workers": "2"})
    html = page.content.decode()
    assert "Say both when the hours begin and when they end." in html
    assert 'name="workers" value="2"' in html
    assert start_form(html) == form
    assert not Job.objects.exists()


def test_nothing_to_do(operator: User, conversation: Conversation) -> None:
    video(conversation)
    page = signed_in(operator).get(NEW)
    assert "Nothing to do There are no videos without metadata now." in text_of(page)
    assert START not in page.content.decode()
    narrowed = signed_in(operator).get(f"{NEW}?q=zzz")
    assert "Take a filter away" in text_of(narrowed)
