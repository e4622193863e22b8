"""What became of a job's videos, as CSV."""

import csv
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from chat.models import Attachment, Conversation
from chat.services.activity import SYSTEM
from moderation import backfill, steering
from moderation.models import Chunk, Job
from moderation.scopes import Scope
from tests.moderation.pages import signed_in, video

pytestmark = pytest.mark.django_db


def new_job() -> Job:
    return steering.create_job(Job.Kind.METADATA, Scope(), SYSTEM, "command")


def export(user: User, job: Job, what: str) -> list[dict[str, str]]:
    response: Any = signed_in(user).get(f"/moderation/jobs/{job.pk}/{what}")
    assert response.streaming
    assert response.headers["Content-Type"] == "text/csv; charset=utf-8"
    assert response.headers["Content-Disposition"].startswith('attachment; filename="job-')
    content = b"".join(response.streaming_content).decode("utf-8-sig")
    return list(csv.DictReader(io.StringIO(content)))


def test_every_item_has_its_outcome(
    viewer: User, legacy_video: Callable[..., Attachment], tmp_path: Path
) -> None:
    broken = tmp_path / "broken.mp4"
    broken.write_text("not a video")
    good, bad = legacy_video(), legacy_video(broken)
    job = new_job()
    backfill.plan(job)
    planned = export(viewer, job, "outcomes.csv")
    assert [row["outcome"] for row in planned] == ["not_reached", "not_reached"]
    backfill.run_inline(job, lambda _progress: None)
    rows = export(viewer, job, "outcomes.csv")
    assert [(row["attachment"], row["outcome"]) for row in rows] == [
        (str(good.pk), "ready"),
        (str(bad.pk), "not_a_video"),
    ]


def test_failures_with_their_state(
    viewer: User, operator: User, conversation: Conversation
) -> None:
    job = new_job()
    name = "of “ünïcode”,\nand lines.mp4"
    job.failures.create(attachment=video(conversation, original_name=name), code="corrupt")
    job.failures.create(
        attachment=video(conversation), code="no_room", attempts=4, is_dead=True,
        handled_at=timezone.now(), handled_by=operator,
    )  # fmt: skip
    job.failures.create(attachment_id=10**9, code="too_long")
    first, second, third = export(viewer, job, "failures.csv")
    assert (first["name"], first["state"], first["tries"]) == (name, "failed", "1")
    assert first["reason"] == "The container is recognised, but its structure cannot be read."
    assert first["conversation"] == "Holiday"
    assert (second["state"], second["handled_by"], second["tries"]) == ("handled", "operator", "4")
    assert (third["attachment"], third["name"]) == (str(10**9), "")
    assert [row["code"] for row in export(viewer, job, "failures.csv?code=corrupt")] == ["corrupt"]
    assert export(viewer, job, "failures.csv?state=dead") == []


@pytest.mark.parametrize("name", ["=1+1", "+1", "-1", "@SUM(A1)", "\tx", "\rx"])
def test_no_name_is_a_formula(viewer: User, conversation: Conversation, name: str) -> None:
    job = new_job()
    job.failures.create(attachment=video(conversation, original_name=name), code="corrupt")
    assert export(viewer, job, "failures.csv")[0]["name"] == f"'{name}"


def test_rows_do_not_multiply_the_queries(viewer: User, conversation: Conversation) -> None:
    def job_of(count: int) -> Job:
        job = new_job()
        ids = [video(conversation).pk for _ in range(count)]
        for pk in ids:
            job.failures.create(attachment_id=pk, code="corrupt")
        chunk = Chunk.of(job, ids)
        chunk.cursor = chunk.failed = len(ids)
        chunk.save()
        return job

    def queries(job: Job, what: str, count: int) -> int:
        with CaptureQueriesContext(connection) as captured:
            assert len(export(viewer, job, what)) == count
        return len(captured)

    few, many = job_of(1), job_of(40)
    for what in ("failures.csv", "outcomes.csv"):
        assert queries(many, what, 40) == queries(few, what, 1)
