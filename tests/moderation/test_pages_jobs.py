"""The jobs' pages: the list, and one job while it runs and after."""

import re
from collections.abc import Callable
from datetime import timedelta
from html import unescape
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

from chat.models import Attachment, Conversation
from chat.services.activity import SYSTEM, Actor
from moderation import backfill, endings, steering
from moderation.housekeeping import clear_old_details
from moderation.models import Chunk, Interruption, Job, WorkerSeen
from moderation.scopes import Scope
from moderation.steering import Pace
from tests.moderation.pages import (
    HTMX,
    assert_guarded,
    assert_is_a_list,
    count_queries,
    signed_in,
    video,
)

URL = "/moderation/jobs/"
MakeVideo = Callable[..., Attachment]

pytestmark = pytest.mark.django_db


@pytest.fixture
def broken(tmp_path: Path) -> Path:
    path = tmp_path / "broken.mp4"
    path.write_text("not a video")
    return path


def new_job(only: Any = "missing", **fields: Any) -> Job:
    job = steering.create_job(Job.Kind.METADATA, Scope(only=only), SYSTEM, "command")
    Job.objects.filter(pk=job.pk).update(**fields)
    job.refresh_from_db()
    return job


def finish(job: Job) -> Job:
    backfill.run_inline(job, lambda _progress: None)
    return job


def running_job(size: int = 10, **chunk: Any) -> Job:
    """Planned, with one chunk that stands like this."""
    job = new_job(status=Job.Status.RUNNING, total=size, planned_at=timezone.now())
    row = Chunk.of(job, range(1, size + 1))
    for name, value in chunk.items():
        setattr(row, name, value)
    row.save()
    return job


def text_of(response: Any) -> str:
    """The page's words, without tags."""
    return " ".join(re.sub(r"<[^>]*>", " ", response.content.decode()).split())


def page_of(user: User, job: Job) -> str:
    return text_of(signed_in(user).get(f"{URL}{job.pk}/"))


# --- The list --------------------------------------------------------------------------------


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


# --- One job ---------------------------------------------------------------------------------


def test_a_jobs_page(viewer: User, outsider: User, conversation: Conversation) -> None:
    job = new_job()
    for path in ("", "progress/", "failures.csv", "outcomes.csv"):
        assert_guarded(f"{URL}{job.pk}/{path}", outsider)
        assert signed_in(viewer).get(f"{URL}999/{path}").status_code == 404
        assert signed_in(viewer).post(f"{URL}{job.pk}/{path}").status_code == 405
    job.failures.create(attachment=video(conversation), code="corrupt")
    few = count_queries(signed_in(viewer), f"{URL}{job.pk}/")
    for _ in range(20):
        job.failures.create(attachment=video(conversation), code="corrupt")
        job.interruptions.create(cause=Interruption.Cause.WORKER_LOST, owner="a:1")
        Chunk.of(job, [1, 2]).save()
        steering.pause(job, SYSTEM)
        steering.resume(job, SYSTEM)
    assert count_queries(signed_in(viewer), f"{URL}{job.pk}/") == few <= 25
    job.failures.create(attachment=video(conversation), code="code_of_another_version")
    assert "code_of_another_version" in page_of(viewer, job)


def test_a_running_job_asks_again_and_a_finished_one_does_not(viewer: User) -> None:
    job = new_job()
    client = signed_in(viewer)
    page = f"{URL}{job.pk}/"
    asks = f'hx-get="{page}progress/'
    assert asks in client.get(page).content.decode()
    assert asks in client.get(f"{page}progress/").content.decode()
    finish(job)
    assert asks not in client.get(page).content.decode()
    last = client.get(f"{page}progress/", headers=HTMX)
    html = last.content.decode()
    assert asks not in html
    assert "<html" not in html
    assert '<div id="results" data-keep></div>' in html
    assert last.headers["Cache-Control"] == "no-store"


def test_page_fragment_and_history(viewer: User, legacy_video: MakeVideo, broken: Path) -> None:
    attachment = legacy_video(broken)
    page = f"{URL}{finish(new_job()).pk}/"
    client = signed_in(viewer)
    fragment = client.get(page, headers=HTMX)
    assert b"<html" not in fragment.content
    assert b'id="live"' not in fragment.content
    assert "No listed container format recognises the content." in text_of(fragment)
    assert f'href="/moderation/videos/{attachment.pk}/"' in fragment.content.decode()
    back = client.get(page, headers={**HTMX, "HX-History-Restore-Request": "true"})
    assert b"<html" in back.content
    for response in (fragment, back, client.get(page)):
        assert "HX-Request" in response.headers["Vary"]


def test_the_page_hears_of_new_failures_once(
    viewer: User, legacy_video: MakeVideo, broken: Path
) -> None:
    legacy_video(broken)
    job = finish(new_job())
    client = signed_in(viewer)
    first = client.get(f"{URL}{job.pk}/progress/?seen=0-0-0-0-running", headers=HTMX)
    assert first.headers["HX-Trigger"] == "failures-changed"
    seen = first.context["seen"]
    again = client.get(f"{URL}{job.pk}/progress/", {"seen": seen}, headers=HTMX)
    assert "HX-Trigger" not in again.headers


def test_a_listener_is_told_each_tenth_and_the_end(viewer: User) -> None:
    job = running_job(100, cursor=31, ready=31)
    client = signed_in(viewer)

    def told() -> str:
        html = client.get(f"{URL}{job.pk}/progress/", headers=HTMX).content.decode()
        found = re.search(r'id="announcement" aria-live="polite">([^<]*)<', html)
        assert found
        return found[1]

    assert told() == "Running: 30 % done"
    Chunk.objects.update(cursor=39, ready=39)
    assert told() == "Running: 30 % done"
    Chunk.objects.update(cursor=40, ready=39, failed=1)
    assert told() == "Running: 40 % done"
    Chunk.objects.update(cursor=100, ready=97, failed=2, dead=1)
    assert endings.finish_if_complete(job.pk)
    assert told() == "Done: 100 of 100 videos, 3 failed"


def test_the_map_of_chunks_is_told_in_words_too(viewer: User) -> None:
    job = running_job(10, cursor=10, ready=9, failed=1)
    Chunk.of(job, [50, 51]).save()
    html = signed_in(viewer).get(f"{URL}{job.pk}/").content.decode()
    assert 'aria-label="2 parts: 1 done, with failures, 1 not begun"' in html
    assert html.count("<title>Videos 1 to 10: done, with failures, 1 failed</title>") == 1


def test_a_live_page_is_sent_only_the_cells_that_changed(viewer: User) -> None:
    client = signed_in(viewer)
    job = running_job(10)
    Chunk.objects.bulk_create(Chunk.of(job, [50 + number]) for number in range(399))

    def poll(html: str) -> str:
        address = re.search(r'id="poll" hx-get="([^"]*)"', html)
        assert address
        return client.get(unescape(address[1]), **HTMX).content.decode()

    page = client.get(f"{URL}{job.pk}/").content.decode()
    assert page.count('id="cell-') == 400
    Chunk.objects.filter(size=10).update(cursor=4, ready=4)
    changed = poll(page)
    assert re.findall(r'id="(cell-\d+)"', changed) == ["cell-0"]
    assert "<title>Videos 1 to 10: begun, 40 % done</title>" in changed
    same = poll(changed)
    assert 'id="cell-' not in same
    assert len(same) < len(page) / 5
    Chunk.of(job, [900]).save()
    assert poll(same).count('id="cell-') == 201  # of two parts each, now


def test_why_a_job_does_not_go_on(viewer: User, operator: User) -> None:
    job = running_job()
    assert "Nobody works on it. None has ever been seen." in page_of(viewer, job)
    WorkerSeen.tell("here", "jobs")
    assert "Nobody works on it" not in page_of(viewer, job)

    steering.pause(job, Actor(user=operator))
    assert "Paused by operator just now" in page_of(viewer, job)
    steering.resume(job, SYSTEM)

    now = timezone.localtime()
    start, end = (now + timedelta(hours=2)).time(), (now + timedelta(hours=3)).time()
    steering.change(job, SYSTEM, Pace(hours_from=start, hours_until=end))
    assert f"Waits for {start:%H:%M}" in page_of(viewer, job)
    assert f"Waits for {start:%H:%M}" in text_of(signed_in(viewer).get(URL))

    Job.objects.update(status=Job.Status.PAUSED, error="The disk is full.")
    words = page_of(viewer, job)
    assert "The job paused itself. The disk is full." in words
    assert "then resume" in words
    Job.objects.update(status=Job.Status.FAILED, error="No such filter.")
    assert "The job could not go on. No such filter." in page_of(viewer, job)


def test_when_what_failed_for_now_is_tried_again(viewer: User, conversation: Conversation) -> None:
    job = running_job(cursor=10, ready=9, waiting=1)
    due = timezone.now() + timedelta(minutes=5)
    waiting = job.failures.create(
        attachment=video(conversation), code="no_room", is_final=False, next_try_at=due
    )
    clock = f"at {timezone.localtime(due):%H:%M}"
    assert f"1 video failed for now and is tried again, the next {clock}" in page_of(viewer, job)
    assert "the rest waits for another try" in page_of(viewer, job)
    waiting.next_try_at = None
    waiting.save()
    assert "is tried again just now" in page_of(viewer, job)
    steering.pause(job, SYSTEM)
    assert "is tried again once the job is resumed" in page_of(viewer, job)


def test_the_dry_runs_count_is_shown_where_it_differs(viewer: User) -> None:
    job = running_job()
    Job.objects.update(counted=10)
    assert "dry run" not in page_of(viewer, job)
    Job.objects.update(counted=12)
    assert "The dry run counted 12; 10 were planned." in page_of(viewer, job)


def test_why_videos_were_skipped(viewer: User) -> None:
    job = running_job(
        5, cursor=5, skipped=5, skips={Chunk.Skip.GONE: [1, 2], Chunk.Skip.NOT_NEEDED: [3, 4, 5]}
    )
    words = page_of(viewer, job)
    assert "3 Done meanwhile by something else 2 Deleted meanwhile" in words


def test_history_and_interruptions(viewer: User, operator: User) -> None:
    job = running_job()
    actor = Actor(user=operator)
    steering.change(job, actor, Pace(workers=2))
    steering.pause(job, actor)
    job.interruptions.create(
        cause=Interruption.Cause.SLICE_FAILED, owner="box:77", attachment_id=5, detail="Boom()"
    )
    words = page_of(viewer, job)
    assert "operator changed the pace of job just now from no limit to 2 workers" in words
    assert "operator paused job" in words
    assert "An error ended a slice just now box:77 at video 5 What was said Boom()" in words


def test_failures_by_code_and_state(viewer: User, conversation: Conversation) -> None:
    job = running_job()
    for number, fields in enumerate(
        (
            {"code": "corrupt"},
            {"code": "corrupt", "handled_at": timezone.now()},
            {"code": "no_room", "is_final": False},
            {"code": "no_room", "is_dead": True, "attempts": 4},
        )
    ):
        attachment = video(conversation, original_name=f"{number}.mp4")
        job.failures.create(attachment=attachment, **fields)
    client = signed_in(viewer)

    def shown(query: str) -> list[str]:
        table = client.get(f"{URL}{job.pk}/{query}").context["table"]
        return [row.record.name for row in table.paginated_rows]

    assert shown("?code=corrupt") == ["0.mp4", "1.mp4"]
    assert shown("?state=failed") == ["0.mp4"]
    assert shown("?state=handled") == ["1.mp4"]
    assert shown("?state=waiting") == ["2.mp4"]
    assert shown("?state=dead") == ["3.mp4"]
    assert shown("?code=no_room&state=dead") == ["3.mp4"]
    assert shown("?code=nonsense&state=nonsense") == shown("")
    assert "No failure is like that" in text_of(
        client.get(f"{URL}{job.pk}/?code=corrupt&state=dead")
    )


def test_a_failure_of_a_video_that_is_gone(viewer: User, conversation: Conversation) -> None:
    job = running_job()
    attachment = video(conversation)
    job.failures.create(attachment=attachment, code="corrupt")
    number = attachment.pk
    Attachment.objects.filter(pk=number).delete()
    assert f"Attachment {number}, deleted meanwhile" in page_of(viewer, job)


def test_a_job_whose_details_were_cleared(viewer: User, conversation: Conversation) -> None:
    job = running_job(cursor=10, ready=7, failed=3)
    job.failures.create(attachment=video(conversation), code="corrupt")
    assert endings.finish_if_complete(job.pk)
    assert clear_old_details(timedelta(microseconds=1)) == 1
    words = page_of(viewer, job)
    assert "Only the numbers are kept" in words
    assert "failed 3" in words
    for untrue in ("No video failed", "nothing got in the way", "export as CSV", "Where it is"):
        assert untrue not in words
    assert "3 failed" in text_of(signed_in(viewer).get(URL))


def test_who_may_not_steer_sees_no_button(viewer: User, operator: User) -> None:
    job = running_job()
    job.failures.create(code="corrupt")
    verbs = ("pause", "cancel", "pace", "retry", "handled")
    for person, is_there in ((viewer, False), (operator, True)):
        html = signed_in(person).get(f"{URL}{job.pk}/").content.decode()
        for verb in verbs:
            assert (f'action="{URL}{job.pk}/{verb}/"' in html) is is_there, verb


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
