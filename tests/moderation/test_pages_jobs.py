"""The list of jobs, and the indicator on every page."""

import re
from datetime import timedelta
from pathlib import Path

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

from chat.models import Conversation
from chat.services.activity import SYSTEM, Actor
from moderation import steering
from moderation.models import Chunk, Job
from moderation.scopes import Scope
from tests.moderation.job_pages import (
    URL,
    MakeVideo,
    finish,
    new_job,
    page_of,
    running_job,
    text_of,
)
from tests.moderation.pages import (
    HTMX,
    assert_guarded,
    assert_is_a_list,
    count_queries,
    signed_in,
    video,
)

pytestmark = pytest.mark.django_db


@pytest.fixture
def broken(tmp_path: Path) -> Path:
    path = tmp_path / "broken.mp4"
    path.write_text("not a video")
    return path


def test_it_is_a_list(viewer: User, outsider: User) -> None:
    assert_is_a_list(URL, viewer, outsider, lambda: finish(new_job()) and None)


def test_fifty_jobs_take_as_many_queries_as_one(viewer: User, conversation: Conversation) -> None:
    running_job().failures.create(attachment=video(conversation), code="corrupt", is_final=False)
    client = signed_in(viewer)
    one = count_queries(client, f"{URL}?per_page=50")
    for _ in range(49):
        running_job(cursor=4, ready=4)
    assert count_queries(client, f"{URL}?per_page=50") == one
    assert len(client.get(f"{URL}?per_page=50").context["table"].paginated_rows) == 50


def test_the_list_tells_how_far(viewer: User, legacy_video: MakeVideo, broken: Path) -> None:
    legacy_video()
    legacy_video(broken)
    finish(new_job())
    words = text_of(signed_in(viewer).get(URL))
    for part in ("Backfill metadata", "Done", "1 ready", "1 failed", "of 2", "the command line"):
        assert part in words, part


def test_a_running_job_tells_rate_and_time_left(viewer: User) -> None:
    soon = timezone.now() + timedelta(minutes=1)
    running_job(
        100, cursor=40, ready=30, failed=5, dead=4, skipped=1, busy_seconds=20.0,
        owner="host:1", lease_until=soon,
    )  # fmt: skip
    response = signed_in(viewer).get(URL)
    words = text_of(response)
    for part in ("Running", "30 ready", "5 failed", "4 given up", "1 skipped", "of 100"):
        assert part in words, part
    assert "2.0" in words  # a second: 40 in 20 s by one worker
    assert "30 s" in words  # for the 60 that are left
    bar = re.findall(r'<rect class="(\w+)" x="(\d+)" width="(\d+)"', response.content.decode())
    assert bar == [("ready", "0", "300"), ("failed", "300", "90"), ("skipped", "390", "10")]


def test_a_single_failure_in_many_is_seen_in_the_bar(viewer: User) -> None:
    running_job(100_000, cursor=100_000, ready=99_999, failed=1)
    html = signed_in(viewer).get(URL).content.decode()
    assert re.search(r'class="failed" x="\d+" width="[1-9]', html) is None  # no room at the end
    Chunk.objects.update(cursor=50_001, ready=50_000)
    html = signed_in(viewer).get(URL).content.decode()
    assert re.search(r'class="failed" x="500" width="4"', html)


def test_the_list_by_status(viewer: User) -> None:
    planning, running, paused = new_job(), running_job(), running_job()
    steering.pause(paused, SYSTEM)
    done = finish(new_job())
    client = signed_in(viewer)

    def shown(query: str) -> list[int]:
        table = client.get(URL + query).context["table"]
        return [row.record.pk for row in table.paginated_rows]

    assert shown("?status=running") == [running.pk, planning.pk]
    assert shown("?status=paused") == [paused.pk]
    assert shown("?status=done") == [done.pk]
    assert shown("?status=nonsense") == shown("") == [done.pk, paused.pk, running.pk, planning.pk]
    counts = {name: count for name, _words, count in client.get(URL).context["tabs"]()}
    assert counts == {"": 4, "running": 2, "paused": 1, "done": 1, "failed": 0, "cancelled": 0}
    assert "No job is failed" in text_of(client.get(f"{URL}?status=failed"))


def test_the_list_refreshes_itself_faster_while_something_runs(viewer: User) -> None:
    client = signed_in(viewer)
    assert 'hx-trigger="every 10s"' in client.get(URL).content.decode()
    new_job()
    html = client.get(f"{URL}?status=running", headers=HTMX).content.decode()
    assert 'hx-trigger="every 2s"' in html
    assert f'hx-get="{URL}?status=running"' in html


def test_no_job_yet(viewer: User, operator: User) -> None:
    new = f'href="{URL}new/"'
    assert "No job has run yet" in text_of(signed_in(viewer).get(URL))
    assert new not in signed_in(viewer).get(URL).content.decode()
    assert new in signed_in(operator).get(URL).content.decode()


def test_the_indicator_shows_what_runs(viewer: User, outsider: User) -> None:
    client = signed_in(viewer)
    assert "job" not in text_of(client.get(f"{URL}running/"))
    job = new_job()
    html = client.get("/moderation/videos/").content.decode()
    assert "1 job running" in html
    assert f'href="/moderation/jobs/{job.pk}/"' in html
    steering.pause(job, SYSTEM)
    assert "1 job paused" in text_of(client.get(f"{URL}running/"))
    assert_guarded(f"{URL}running/", outsider)
    assert Client().get(f"{URL}running/").status_code == 302


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
