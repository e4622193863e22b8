"""The same decision on everything that matches, through the engine of jobs; on each database."""

from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from chat.models import ActivityLog, Attachment, Conversation, HeldContent
from chat.services.activity import Actor
from moderation import backfill, chunks, decisions, steering
from moderation.models import Decision, Job
from moderation.progress import progress, skip_reasons
from moderation.scopes import Scope
from moderation.verdict import Verdict
from tests.conftest import person
from tests.moderation.pages import video

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.every_database]

REMOVE = Verdict("remove", "spam", "a wave of it", "No advertising, please.")


def run(job: Job) -> None:
    backfill.run_inline(job, lambda _progress: None)


def started(moderator: User, verdict: Verdict, **scope: object) -> Job:
    return steering.create_decisions_job(
        Scope(only="all", **scope),  # type: ignore[arg-type]
        verdict,
        Actor(user=moderator),
    )


def test_each_is_decided_on_once_with_its_record(
    moderator: User, conversation: Conversation
) -> None:
    wanted = [video(conversation, codec="vp9", sha256=f"{n:064}") for n in range(30)]
    other = video(conversation)
    job = started(moderator, REMOVE, filters={"codec": "vp9"})
    assert "codec is VP9" in job.scope_words

    run(job)

    assert (job.status, progress(job).ready) == ("done", 30)
    assert {each.attachment_id for each in job.decisions.all()} == {each.pk for each in wanted}
    assert Decision.objects.filter(decided_by=moderator, reason="spam").count() == 30
    assert (
        Attachment.objects.filter(visibility="removed", removed_at__gt=job.created_at).count()
        == 30
    )
    other.refresh_from_db()
    assert other.visibility == "visible"
    assert HeldContent.objects.count() == 30
    entries = ActivityLog.objects.filter(action="attachment_removed", job_id=job.pk)
    assert entries.count() == 30
    start = ActivityLog.objects.get(action="job_started")
    assert (start.actor, start.details["action"], start.details["reason"]) == (
        moderator, "remove", "spam",
    )  # fmt: skip

    back = started(moderator, Verdict("restore"), filters={"codec": "vp9"})
    run(back)
    assert progress(back).ready == 30
    assert not Attachment.objects.exclude(visibility="visible").exists()
    assert not HeldContent.objects.exists()


def test_what_others_decided_meanwhile_is_left(
    moderator: User, conversation: Conversation
) -> None:
    anna = Actor(user=person("anna"))
    before, meanwhile, already, gone, left = (video(conversation) for _ in range(5))
    decisions.decide(before.pk, 0, Verdict("hold"), anna)
    decisions.decide(already.pk, 0, Verdict("remove", "hate"), anna)
    Decision.objects.update(created_at=timezone.now() - timedelta(seconds=5))
    job = started(moderator, REMOVE)
    backfill.plan(job)
    decisions.decide(meanwhile.pk, 0, Verdict("quarantine", "hate"), anna)
    gone.delete()

    run(job)

    assert progress(job).ready == 2
    assert dict(skip_reasons(job)) == {"decided": 1, "not_needed": 1, "gone": 1}
    meanwhile.refresh_from_db()
    assert (meanwhile.visibility, meanwhile.decision_reason) == ("quarantined", "hate")
    assert set(job.decisions.values_list("attachment_id", flat=True)) == {before.pk, left.pk}


def test_an_interrupted_checkpoint_decides_nothing_twice(
    moderator: User, conversation: Conversation, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(10):
        video(conversation)
    job = started(moderator, REMOVE)
    backfill.plan(job)
    held = chunks.claim("a", job.pk)
    assert held

    def fail(*_args: object) -> None:
        raise RuntimeError("power cut")

    with monkeypatch.context() as patch:
        patch.setattr(chunks.Claim, "advance", fail)
        with pytest.raises(RuntimeError):
            backfill.work_on(job, held, float("inf"), lambda _job: False)
    assert not Decision.objects.exists()
    assert not Attachment.objects.exclude(visibility="visible").exists()
    held.release()

    run(job)

    assert Decision.objects.count() == 10
    assert ActivityLog.objects.filter(action="attachment_removed").count() == 10


def test_a_checkpoint_takes_few_queries(moderator: User, conversation: Conversation) -> None:
    for _ in range(25):
        video(conversation)
    job = started(moderator, REMOVE)
    backfill.plan(job)
    with CaptureQueriesContext(connection) as queries:
        run(job)
    assert progress(job).ready == 25
    assert len(queries) < 25 * 10
