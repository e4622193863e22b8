"""The jobs' pages: the list, starting, one job while it runs and after."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import User

from chat.models import ActivityLog, Attachment, Conversation
from chat.services.activity import SYSTEM, Actor
from moderation import backfill, steering, tasks
from moderation.models import Job
from moderation.scopes import Scope
from tests.moderation.pages import (
    HTMX,
    assert_guarded,
    assert_is_a_list,
    count_queries,
    signed_in,
    video,
)

URL = "/moderation/jobs/"
START = "/moderation/jobs/start/"
MakeVideo = Callable[..., Attachment]

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def woken(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """One item for each time that the consumers would have been woken."""
    times: list[str] = []
    monkeypatch.setattr(tasks, "fill_up", lambda: times.append("woken"))
    return times


def new_job(only: Any = "missing") -> Job:
    return steering.create_job(Job.Kind.METADATA, Scope(only=only), SYSTEM, "command")


def finish(job: Job) -> Job:
    backfill.run_inline(job, lambda _progress: None)
    return job


def test_it_is_a_list(viewer: User, outsider: User) -> None:
    def add() -> None:
        finish(new_job())

    assert_is_a_list(URL, viewer, outsider, add)


def test_the_list_tells_how_far(
    viewer: User, legacy_video: MakeVideo, tmp_path: Any, conversation: Conversation
) -> None:
    broken = tmp_path / "broken.mp4"
    broken.write_text("not a video")
    legacy_video()
    legacy_video(broken)
    finish(new_job())
    html = " ".join(signed_in(viewer).get(URL).content.decode().split())
    for words in ("Backfill metadata", "1 ready", "1 failed", "of 2", "the command line"):
        assert words in html, words


def test_the_form_counts_what_each_choice_means(
    operator: User, viewer: User, conversation: Conversation
) -> None:
    video(conversation, processing_state="pending")
    video(conversation, processing_state="failed", failure_code="corrupt")
    html = signed_in(operator).get(URL).content.decode()
    counts = re.findall(r'class="number">(\d+) videos?<', html)
    assert counts == ["1", "1", "2", "0", "1", "2", *["0"] * 8, "2", "0", "0", "2"]
    assert START not in signed_in(viewer).get(URL).content.decode()


@pytest.mark.parametrize("path", ["start/", "1/cancel/"])
def test_acting_takes_the_operators_right(
    viewer: User, moderator: User, outsider: User, operator: User, path: str
) -> None:
    new_job()
    assert_guarded(URL + path, outsider, "post")
    for person in (viewer, moderator):
        assert signed_in(person).post(URL + path).status_code == 403
    assert signed_in(operator).get(URL + path).status_code == 405
    assert Job.objects.count() == 1


def test_starting_on_what_is_missing(
    operator: User, woken: list[str], django_capture_on_commit_callbacks: Any
) -> None:
    with django_capture_on_commit_callbacks(execute=True):
        response = signed_in(operator).post(START, {"kind": "metadata", "only": "missing"})
    job = Job.objects.get()
    assert response.headers["Location"] == f"/moderation/jobs/{job.pk}/"
    assert (job.kind, job.created_by, job.started_from) == ("metadata", operator, "dashboard")
    assert job.scope["only"] == "missing"
    assert woken == ["woken"]
    entry = ActivityLog.objects.get(action=ActivityLog.Action.JOB_STARTED)
    assert entry.actor == operator


def test_starting_on_ticked_rows(operator: User, conversation: Conversation) -> None:
    rows = [video(conversation) for _ in range(3)]
    chosen = [rows[2].pk, rows[0].pk]
    form = {"kind": "thumbnails", "selection": "1", "selected": [*chosen, "x", "-1", "9" * 40]}
    signed_in(operator).post(START, form)
    job = Job.objects.get()
    assert (job.scope["ids"], job.scope["only"]) == (sorted(chosen), "all")


@pytest.mark.parametrize(
    ("form", "sentence"),
    [
        ({"kind": "metadata", "selection": "1"}, "No video is selected"),
        ({"kind": "metadata"}, "Say which videos"),
        ({"kind": "nonsense", "only": "all"}, "nonsense"),
        ({"kind": "metadata", "only": "nonsense"}, "nonsense"),
    ],
)
def test_a_form_that_says_too_little(operator: User, form: dict[str, str], sentence: str) -> None:
    response = signed_in(operator).post(START, form, follow=True)
    assert sentence in response.content.decode()
    assert not Job.objects.exists()


def test_a_running_job_asks_again_and_a_finished_one_does_not(viewer: User) -> None:
    job = new_job()
    client = signed_in(viewer)
    page = f"{URL}{job.pk}/"
    assert 'hx-trigger="every 1s"' in client.get(page).content.decode()
    assert 'hx-trigger="every 1s"' in client.get(f"{page}progress/").content.decode()
    finish(job)
    assert 'hx-trigger="every 1s"' not in client.get(page).content.decode()
    last = client.get(f"{page}progress/?failed=0&tenth=3", headers=HTMX)
    html = last.content.decode()
    assert 'hx-trigger="every 1s"' not in html
    assert "<html" not in html
    assert 'id="announcement"' in html
    assert "HX-Trigger" not in last.headers
    assert last.headers["Cache-Control"] == "no-store"


def test_new_failures_are_announced_to_the_page(
    viewer: User, legacy_video: MakeVideo, tmp_path: Any
) -> None:
    broken = tmp_path / "broken.mp4"
    broken.write_text("not a video")
    attachment = legacy_video(broken)
    job = finish(new_job())
    page = f"{URL}{job.pk}/"
    client = signed_in(viewer)
    trigger = client.get(f"{page}progress/?failed=0", headers=HTMX).headers["HX-Trigger"]
    assert trigger == "failures-changed"
    fragment = client.get(page, headers=HTMX).content.decode()
    assert "<html" not in fragment
    assert "No listed container format recognises the content." in fragment
    assert f'href="/moderation/videos/{attachment.pk}/"' in fragment
    assert attachment.original_name in client.get(f"{page}?code=not_a_video").content.decode()
    assert client.get(f"{page}?code=other").context["table"].paginator.count == 1


def test_a_jobs_page(viewer: User, outsider: User, conversation: Conversation) -> None:
    job = new_job()
    for path in ("", "progress/"):
        assert_guarded(f"{URL}{job.pk}/{path}", outsider)
        assert signed_in(viewer).get(f"{URL}999/{path}").status_code == 404
    few = count_queries(signed_in(viewer), f"{URL}{job.pk}/")
    for _ in range(5):
        job.failures.create(attachment=video(conversation), code="corrupt")
    job.failures.create(attachment=video(conversation), code="code_of_another_version")
    more = count_queries(signed_in(viewer), f"{URL}{job.pk}/")
    assert more <= few + 1  # the rows themselves
    assert b"code_of_another_version" in signed_in(viewer).get(f"{URL}{job.pk}/").content


def test_cancelling(operator: User, viewer: User) -> None:
    job = new_job()
    cancel = f"{URL}{job.pk}/cancel/"
    assert cancel in signed_in(operator).get(f"{URL}{job.pk}/").content.decode()
    assert cancel not in signed_in(viewer).get(f"{URL}{job.pk}/").content.decode()
    response = signed_in(operator).post(cancel, follow=True)
    assert "Cancelled" in response.content.decode()
    job.refresh_from_db()
    assert job.status == Job.Status.CANCELLED
    again = signed_in(operator).post(cancel, follow=True)
    assert "had already ended" in again.content.decode()


def test_the_indicator_shows_what_runs(viewer: User, outsider: User) -> None:
    client = signed_in(viewer)
    assert "running" not in client.get(f"{URL}running/").content.decode().replace(
        'id="running"', ""
    )
    job = new_job()
    html = client.get("/moderation/videos/").content.decode()
    assert "1 job running" in html
    assert f'href="/moderation/jobs/{job.pk}/"' in html
    assert_guarded(f"{URL}running/", outsider)


def test_who_started_it_is_never_somebody_else(viewer: User, operator: User) -> None:
    scope, actor = Scope(only="all"), Actor(user=operator)
    by_hand = steering.create_job(Job.Kind.METADATA, scope, actor, "dashboard")
    for job, before, after in (
        (by_hand, "operator", "a deleted account"),
        (new_job(), "the command line", "the command line"),
    ):
        assert f"started by {before} " in page_of(viewer, job)
        User.objects.filter(username="operator").delete()
        assert f"started by {after} " in page_of(viewer, job)


def page_of(viewer: User, job: Job) -> str:
    return signed_in(viewer).get(f"{URL}{job.pk}/").content.decode()
