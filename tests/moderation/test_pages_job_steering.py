"""Steering a job from its page: every verb with htmx and without JavaScript."""

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from chat.models import ActivityLog, Conversation
from chat.services.activity import SYSTEM
from moderation import steering, tasks
from moderation.models import Chunk, Job
from moderation.scopes import Scope
from moderation.steering import Pace
from tests.moderation.pages import HTMX, assert_guarded, signed_in, video

URL = "/moderation/jobs/"
VERBS = ("pause", "resume", "cancel", "pace", "retry", "handled")

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def woken(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """One item for each time that the consumers would have been woken."""
    times: list[str] = []
    monkeypatch.setattr(tasks, "fill_up", lambda: times.append("woken"))
    return times


@pytest.fixture
def job(db: None) -> Job:
    job = steering.create_job(Job.Kind.METADATA, Scope(), SYSTEM, "command")
    Job.objects.filter(pk=job.pk).update(status=Job.Status.RUNNING, total=10)
    Chunk.of(job, range(1, 11)).save()
    job.refresh_from_db()
    return job


def act(user: User, job: Job, verb: str, form: dict[str, str] | None = None, **more: Any) -> Any:
    response = signed_in(user).post(f"{URL}{job.pk}/{verb}/", form or {}, **more)
    job.refresh_from_db()
    return response


@pytest.mark.parametrize("verb", VERBS)
def test_it_takes_the_operators_right(
    viewer: User, moderator: User, outsider: User, operator: User, job: Job, verb: str
) -> None:
    path = f"{URL}{job.pk}/{verb}/"
    assert_guarded(path, outsider, "post")
    for person in (viewer, moderator):
        assert signed_in(person).post(path).status_code == 403
    assert signed_in(operator).get(path).status_code == 405
    assert signed_in(operator).post(f"{URL}999/{verb}/").status_code == 404
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(operator)
    assert strict.post(path).status_code == 403
    job.refresh_from_db()
    assert job.status == Job.Status.RUNNING


def test_pause_and_resume(
    operator: User, job: Job, woken: list[str], django_capture_on_commit_callbacks: Any
) -> None:
    assert act(operator, job, "pause").headers["Location"] == f"{URL}{job.pk}/"
    assert job.status == Job.Status.PAUSED
    with django_capture_on_commit_callbacks(execute=True):
        act(operator, job, "resume")
    assert job.status == Job.Status.PLANNING  # it was never planned
    assert woken
    paused = ActivityLog.objects.get(action=ActivityLog.Action.JOB_PAUSED)
    assert paused.actor == operator


def test_htmx_gets_the_page_as_it_is_now(operator: User, job: Job) -> None:
    html = act(operator, job, "pause", headers=HTMX).content.decode()
    assert "<html" not in html
    assert 'id="live"' in html
    assert f'action="{URL}{job.pk}/resume/"' in html
    assert 'id="notices" hx-swap-oob="true"' in html


def test_who_comes_second_is_told(operator: User, job: Job) -> None:
    act(operator, job, "pause")
    assert "is paused already" in act(operator, job, "pause", follow=True).content.decode()
    act(operator, job, "resume")
    assert "is not paused" in act(operator, job, "resume", headers=HTMX).content.decode()


@pytest.mark.parametrize("verb", ["pause", "resume", "cancel", "pace"])
def test_a_job_that_has_ended_says_so(operator: User, job: Job, verb: str) -> None:
    act(operator, job, "cancel")
    assert job.status == Job.Status.CANCELLED
    words = f"Backfill metadata #{job.pk} has ended: it is cancelled."
    assert words in act(operator, job, verb, follow=True).content.decode()
    assert words in act(operator, job, verb, headers=HTMX).content.decode()


def test_cancelling_is_asked_in_words(operator: User, job: Job) -> None:
    Chunk.objects.update(cursor=3, ready=3)
    Job.objects.update(planned_at=job.created_at)
    html = " ".join(signed_in(operator).get(f"{URL}{job.pk}/").content.decode().split())
    assert f"Cancel Backfill metadata #{job.pk}?" in html
    assert "7 of 10 videos have not been done, and stay as they are." in html


def test_another_pace_while_it_runs(operator: User, job: Job) -> None:
    form = {
        "workers": "2",
        "items_per_second": "0.5",
        "hours_from": "22:00",
        "hours_until": "06:00",
    }
    assert act(operator, job, "pace", form).status_code == 302
    assert Pace.of(job).words() == "2 workers, at most 0.5 a second, from 22:00 to 06:00"
    html = act(operator, job, "pace", {"workers": "3"}, headers=HTMX).content.decode()
    assert "3 workers" in html
    assert Pace.of(job) == Pace(workers=3)
    act(operator, job, "pace", {})
    assert Pace.of(job) == Pace()
    assert ActivityLog.objects.filter(action=ActivityLog.Action.JOB_CHANGED).count() == 3
    assert "Nothing to change" in act(operator, job, "pace", {}, follow=True).content.decode()


@pytest.mark.parametrize(
    ("form", "sentence"),
    [
        ({"workers": "0"}, "greater than or equal to 1"),
        ({"workers": "1001"}, "less than or equal to 1000"),
        ({"workers": "two"}, "Enter a whole number"),
        ({"items_per_second": "0"}, "greater than or equal to 0.001"),
        ({"items_per_second": "nan"}, "Enter a number"),
        ({"items_per_second": "inf"}, "Enter a number"),
        ({"hours_from": "22:00"}, "Say both when the hours begin and when they end."),
        ({"hours_from": "22:00", "hours_until": "22:00"}, "The hours end when they begin"),
        ({"hours_from": "25:00", "hours_until": "06:00"}, "Enter a valid time"),
    ],
)
def test_a_pace_that_makes_no_sense(
    operator: User, job: Job, form: dict[str, str], sentence: str
) -> None:
    for headers in ({}, HTMX):
        response = act(operator, job, "pace", form, headers=headers)
        assert response.status_code == 200
        html = response.content.decode()
        assert sentence in html
        assert all(f'value="{value}"' in html for value in form.values())  # to be mended
        if not headers:  # a whole page; its failures are not at the form's address
            assert f'hx-get="{URL}{job.pk}/?"' in html
    assert Pace.of(job) == Pace()


@pytest.mark.parametrize("workers", [1, 1000])
def test_the_ends_of_the_range(operator: User, job: Job, workers: int) -> None:
    act(operator, job, "pace", {"workers": str(workers)})
    assert job.workers == workers


def test_retrying_what_failed_with_one_code(
    operator: User, job: Job, conversation: Conversation
) -> None:
    corrupt = [video(conversation) for _ in range(2)]
    for attachment in corrupt:
        job.failures.create(attachment=attachment, code="corrupt")
    job.failures.create(attachment=video(conversation), code="too_long")
    page = signed_in(operator).get(f"{URL}{job.pk}/").content.decode()
    assert "Retry these 2" in page
    assert "Retry this one" in page
    response = act(operator, job, "retry", {"code": "corrupt"})
    again = Job.objects.exclude(pk=job.pk).get()
    assert response.headers["Location"] == f"{URL}{again.pk}/"
    assert again.retry_of == job
    assert again.scope["ids"] == [attachment.pk for attachment in corrupt]
    assert (
        "retries what failed in" in signed_in(operator).get(f"{URL}{again.pk}/").content.decode()
    )
    told = act(operator, job, "retry", {"code": "corrupt"}, follow=True).content.decode()
    assert "Nothing is left to retry" in told
    htmx = act(operator, job, "retry", headers=HTMX)
    assert htmx.headers["HX-Redirect"] == f"{URL}{Job.objects.latest('pk').pk}/"
    assert Job.objects.latest("pk").total == 0  # to be planned; it takes the other failure


def test_marking_failures_handled(operator: User, job: Job, conversation: Conversation) -> None:
    job.failures.create(attachment=video(conversation), code="corrupt")
    job.failures.create(attachment=video(conversation), code="too_long")
    told = act(operator, job, "handled", {"code": "corrupt"}, headers=HTMX)
    assert "1 failure marked handled." in told.content.decode()
    assert told.headers["HX-Trigger"] == "failures-changed"
    assert job.failures.get(code="corrupt").handled_by == operator
    assert job.failures.get(code="too_long").handled_at is None
    told = act(operator, job, "handled", {"code": "corrupt"}, follow=True)
    assert "Nothing was left to mark." in told.content.decode()
