"""One job's page: what it tells, also when something is wrong."""

from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.utils import timezone

from chat.models import Attachment, Conversation
from chat.services.activity import SYSTEM, Actor
from moderation import endings, steering
from moderation.housekeeping import clear_old_details
from moderation.models import Chunk, Interruption, Job, WorkerSeen
from moderation.steering import Pace
from tests.moderation.job_pages import URL, new_job, page_of, running_job, text_of
from tests.moderation.pages import (
    assert_guarded,
    count_queries,
    signed_in,
    video,
)

pytestmark = pytest.mark.django_db


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
