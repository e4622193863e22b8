"""`manage.py jobs`: every action, on jobs of every state."""

import csv
import getpass
import io
import json
from collections.abc import Callable
from datetime import time
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command

from chat.models import ActivityLog, Attachment
from chat.services.activity import Actor
from moderation import backfill, chunks, steering
from moderation.models import Chunk, Failure, Interruption, Job
from moderation.queues import JOBS
from moderation.scopes import Scope
from moderation.steering import Pace
from tests.moderation.installation import Installation

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.every_database]
MakeVideo = Callable[..., Attachment]
ACCOUNT = getpass.getuser()


def jobs(*arguments: Any, stderr: io.StringIO | None = None) -> str:
    output = io.StringIO()
    errors = stderr or io.StringIO()
    call_command("jobs", *map(str, arguments), stdout=output, stderr=errors)
    return output.getvalue()


def refused(status: int, words: str, *arguments: Any) -> None:
    with pytest.raises(CommandError, match=words) as caught:
        jobs(*arguments)
    assert caught.value.returncode == status


@pytest.fixture
def job(legacy_video: MakeVideo, owner: User) -> Job:
    """To be planned, over one video."""
    legacy_video()
    scope = Scope(only="missing")
    return steering.create_job(Job.Kind.METADATA, scope, Actor(user=owner), "dashboard")


@pytest.fixture
def mixed(legacy_video: MakeVideo, tmp_path: Path) -> Job:
    """Done: one ready, one deleted before it was reached, two that are no videos."""
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(b"not a video at all" * 100)
    legacy_video()
    gone = legacy_video()
    legacy_video(broken, original_name="bad\x1b.mp4")
    legacy_video(broken)
    actor = Actor(command="a test")
    made = steering.create_job(Job.Kind.METADATA, Scope(), actor, "command")
    backfill.plan(made)
    Attachment.objects.filter(pk=gone.pk).delete()
    backfill.run_inline(made, lambda _progress: None)
    return made


def test_the_list(job: Job, mixed: Job) -> None:
    (line,) = jobs("list").splitlines()
    cells = [str(job.pk), "planning", "metadata", "0/0", "owner", "videos without metadata"]
    assert line.split("  ") == cells
    first, second = jobs("list", "--all").splitlines()
    assert first.split()[:5] == [str(mixed.pk), "done", "metadata", "5/5", "2"]
    assert second.split()[:4] == [str(job.pk), "planning", "metadata", "0/0"]
    assert first.index("metadata") == second.index("metadata")
    assert jobs("list", "--status", "done").splitlines()[0].split()[0] == str(mixed.pk)
    assert (
        jobs("list", "--status", "failed") == "No such job; `jobs list --all` shows every one.\n"
    )


def test_the_list_as_json(job: Job, mixed: Job) -> None:
    done, planning = json.loads(jobs("list", "--all", "--json"))
    assert (done["job"], done["status"], done["total"]) == (mixed.pk, "done", 5)
    assert (done["ready"], done["skipped"], done["failed"], done["dead"]) == (2, 1, 2, 0)
    assert (done["started_by"], planning["started_by"]) == ("a test", "owner")
    assert json.loads(jobs("list", "--status", "paused", "--json")) == []


def test_a_job_at_work_has_a_rate(legacy_video: MakeVideo) -> None:
    for _ in range(3):
        legacy_video()
    job = steering.create_job(Job.Kind.METADATA, Scope(), Actor(), "command")
    backfill.plan(job)
    chunk = Chunk.objects.get()
    held = chunks.claim("host:1", job.pk)
    assert held is not None
    Chunk.objects.filter(pk=chunk.pk).update(cursor=1, ready=1, busy_seconds=0.5)
    line = jobs("list")
    assert "1/3" in line
    assert "2.0 a second, 1 s left" in line


def test_one_job_in_full(mixed: Job) -> None:
    Interruption.objects.create(job=mixed, cause="worker_lost", owner="host:7", attachment_id=3)
    steering.mark_handled(mixed, Actor(), Failure.objects.none())
    text = jobs("show", mixed.pk)
    assert f"Job {mixed.pk}: Backfill metadata, videos without metadata" in text
    assert "Status:   done, 4 of 4 (100 %)" in text
    assert "1 ready, 1 skipped (1 gone), 2 failed (2 not_a_video)" in text
    assert "not_a_video: bad�.mp4" in text
    assert "a worker died or froze (host:7) at attachment 3." in text
    assert "a test started job (scope videos without metadata)" in text
    assert f"job {mixed.pk} finished job (dead 0, failed 2, ready 1, skipped 1)" in text
    assert "\x1b" not in text
    shown = json.loads(jobs("show", mixed.pk, "--json"))
    assert shown["skipped_by_reason"] == {"gone": 1}
    assert shown["failed_by_code"] == {"not_a_video": 2}
    assert [failure["code"] for failure in shown["failures"]] == ["not_a_video"] * 2
    assert shown["interruptions"][0]["worker"] == "host:7"
    actions = [entry["action"] for entry in shown["history"]]
    assert actions == ["job_finished", "job_started"]


def test_pause_and_resume(job: Job) -> None:
    backfill.plan(job)
    assert jobs("pause", job.pk) == f"Job {job.pk}: paused.\n"
    assert jobs("pause", job.pk) == f"Job {job.pk}: paused.\n"
    JOBS.flush()
    stderr = io.StringIO()
    assert jobs("resume", job.pk, stderr=stderr) == f"Job {job.pk}: running.\n"
    assert "Consumer of jobs: None has ever been seen." in stderr.getvalue()
    assert JOBS.pending_count() > 0
    JOBS.flush()
    entries = ActivityLog.objects.filter(object_type="job", object_id=job.pk).order_by("pk")
    assert [(entry.action, entry.actor_name) for entry in entries] == [
        ("job_started", "owner"),
        ("job_paused", f"jobs pause ({ACCOUNT})"),
        ("job_resumed", f"jobs resume ({ACCOUNT})"),
    ]


def test_cancel(job: Job) -> None:
    assert jobs("cancel", job.pk) == f"Job {job.pk}: cancelled.\n"
    assert jobs("cancel", job.pk) == f"Job {job.pk}: cancelled.\n"
    assert ActivityLog.objects.filter(action="job_cancelled").count() == 1


def test_what_is_over_is_not_steered(mixed: Job) -> None:
    over = f"Job {mixed.pk} is over: done"
    refused(1, over, "pause", mixed.pk)
    refused(1, over, "resume", mixed.pk)
    refused(1, over, "cancel", mixed.pk)
    refused(1, over, "set", mixed.pk, "--rate", "5")
    assert Job.objects.get().status == "done"


def test_the_pace_is_changed_bit_by_bit(job: Job) -> None:
    JOBS.flush()
    assert jobs("set", job.pk, "--workers", "2") == f"Job {job.pk}: 2 workers.\n"
    assert JOBS.pending_count() > 0
    JOBS.flush()
    output = jobs("set", job.pk, "--rate", "0.5", "--window", "22:00-6:30")
    assert output == (f"Job {job.pk}: 2 workers, at most 0.5 a second, from 22:00 to 06:30.\n")
    job.refresh_from_db()
    assert Pace.of(job) == Pace(2, 0.5, time(22), time(6, 30))
    shown = json.loads(jobs("show", job.pk, "--json"))
    assert (shown["workers"], shown["items_per_second"], shown["window"]) == (
        2, 0.5, "22:00-06:30",
    )  # fmt: skip
    jobs("set", job.pk, "--workers", "none", "--rate", "none", "--window", "none")
    job.refresh_from_db()
    assert Pace.of(job) == Pace()
    assert ActivityLog.objects.filter(action="job_changed").count() == 3
    refused(2, "Say --workers, --rate or --window", "set", job.pk)


def test_retry(mixed: Job) -> None:
    refused(1, "no failure with 'corrupt'", "retry", mixed.pk, "--code", "corrupt")
    JOBS.flush()
    output = jobs("retry", mixed.pk, "--code", "not_a_video")
    again = Job.objects.get(retry_of=mixed)
    assert output == f"Job {again.pk}: 2 selected videos.\n"
    assert JOBS.pending_count() > 0
    JOBS.flush()
    assert f"Tries again what failed in job {mixed.pk}" in jobs("show", again.pk)
    refused(1, "no failure that nobody has seen to", "retry", mixed.pk)


def test_handled(mixed: Job) -> None:
    refused(1, "no failure with 'corrupt'", "handled", mixed.pk, "--code", "corrupt")
    assert jobs("handled", mixed.pk) == f"Job {mixed.pk}: 2 marked as handled.\n"
    entry = ActivityLog.objects.get(action="failures_handled")
    assert (entry.actor_name, entry.details) == (f"jobs handled ({ACCOUNT})", {"count": 2})
    refused(1, "no failure that nobody has seen to", "handled", mixed.pk)


def test_the_export_has_every_item(mixed: Job, tmp_path: Path) -> None:
    Failure.objects.filter(pk=Failure.objects.latest("pk").pk).update(detail="=1+1")
    text = jobs("export", mixed.pk)
    rows = list(csv.reader(io.StringIO(text)))
    assert rows[0] == ["id", "outcome", "detail"]
    assert [outcome for _, outcome, _ in rows[1:]] == [
        "ready", "gone", "not_a_video", "not_a_video",
    ]  # fmt: skip
    assert rows[-1][2] == "'=1+1"
    file = tmp_path / "outcomes.csv"
    assert jobs("export", mixed.pk, "--output", file) == ""
    assert file.read_bytes() == text.encode()
    refused(2, "--output: .*No such file", "export", mixed.pk, "--output", tmp_path / "no" / "x")


def test_of_what_was_not_reached_the_export_says_so(job: Job) -> None:
    backfill.plan(job)
    jobs("cancel", job.pk)
    pk = Attachment.objects.get().pk
    assert jobs("export", job.pk).splitlines()[1] == f"{pk},not_reached,"


@pytest.mark.parametrize(
    "action", ["show", "pause", "resume", "cancel", "retry", "handled", "set", "export"]
)
def test_an_unknown_job(action: str) -> None:
    refused(2, "There is no job 77: `manage.py jobs list --all` shows", action, 77)


@pytest.mark.django_db(transaction=False)
def test_exit_statuses_of_a_process(tmp_path: Path) -> None:
    site = Installation(tmp_path)
    site.manage("jobs", status=2)
    site.manage("jobs", "show", "zero", status=2)
