"""Before a job starts: a dry run, and the set that it is about."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from chat.models import ActivityLog, Attachment, Conversation
from chat.services.activity import SYSTEM
from moderation import backfill, planning, steering
from moderation.models import Job
from moderation.progress import outcomes
from moderation.scopes import Scope
from tests.moderation.jobs import finish, start

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.every_database]
MakeVideo = Callable[..., Attachment]


def test_a_dry_run_counts_measures_and_writes_nothing(
    legacy_video: MakeVideo, tmp_path: Path, settings: Any
) -> None:
    path = tmp_path / "broken.mp4"
    path.write_bytes(b"not a video at all" * 100)
    bad = legacy_video(path)
    ids = [bad.pk, *(legacy_video().pk for _ in range(14))]
    media = Path(settings.MEDIA_ROOT)
    before = {file: file.stat().st_mtime_ns for file in media.rglob("*")}
    rows = list(Attachment.objects.order_by("pk").values())
    forecast = planning.dry_run("metadata", Scope())
    assert forecast.matched == 15
    assert len(forecast.samples) == 10
    assert forecast.measured == 10
    assert forecast.seconds_per_item
    assert forecast.estimate_seconds(2) == pytest.approx(15 * forecast.seconds_per_item / 2)
    assert forecast.failures == {bad.pk: "not_a_video"}
    assert {file: file.stat().st_mtime_ns for file in media.rglob("*")} == before
    assert list(Attachment.objects.order_by("pk").values()) == rows
    assert not Job.objects.exists()
    assert not ActivityLog.objects.exists()
    # What comes later is not in the set that was counted.
    legacy_video()
    job = start(forecast.scope)
    assert [pk for pk, *_ in outcomes(job)] == ids


@pytest.mark.parametrize("kind", [Job.Kind.STORYBOARDS, Job.Kind.VERIFY, Job.Kind.THUMBNAILS])
def test_a_dry_run_of_other_kinds(kind: str, legacy_video: MakeVideo, settings: Any) -> None:
    legacy_video()
    finish(start())
    media = Path(settings.MEDIA_ROOT)
    before = sorted(media.rglob("*"))
    forecast = planning.dry_run(kind, Scope(only="all"))
    assert (forecast.matched, forecast.measured, forecast.failures) == (1, 1, {})
    assert sorted(media.rglob("*")) == before


def test_a_dry_run_of_nothing() -> None:
    forecast = planning.dry_run("metadata", Scope())
    assert (forecast.matched, forecast.samples, forecast.seconds_per_item) == (0, (), None)
    assert forecast.estimate_seconds(1) is None


def test_samples_come_from_all_over_the_set(conversation: Conversation) -> None:
    Attachment.objects.bulk_create(
        Attachment(conversation=conversation, original_name="x", size=1, kind="video")
        for _ in range(1000)
    )
    samples = [each.pk for each in planning.dry_run("metadata", Scope(), measure=False).samples]
    first, last = Attachment.objects.order_by("pk").first(), Attachment.objects.latest("pk")
    assert first is not None
    assert samples == sorted(set(samples))
    assert samples[0] == first.pk
    assert samples[-1] > last.pk - 150


def test_many_ids_are_a_scope(conversation: Conversation, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("moderation.scopes.IDS_AT_ONCE", 7)
    Attachment.objects.bulk_create(
        Attachment(conversation=conversation, original_name="x", size=1, kind="video")
        for _ in range(40)
    )
    ids = list(Attachment.objects.order_by("pk").values_list("pk", flat=True))[::2]
    scope = Scope(ids=(*reversed(ids), *ids, 10**9))
    assert scope.count("metadata") == 20
    assert [pk for pk, *_ in outcomes(start(scope))] == ids


def test_outdated_videos_are_found(
    legacy_video: MakeVideo, monkeypatch: pytest.MonkeyPatch
) -> None:
    video = legacy_video()
    finish(start())
    assert Scope(only="outdated").count("metadata") == 0
    monkeypatch.setattr("chat.models.PIPELINE_VERSION", 2)
    assert Scope(only="outdated").count("metadata") == 1
    finish(start(Scope(only="outdated")))
    video.refresh_from_db()
    assert video.pipeline_version == 2
    assert Scope(only="outdated").count("metadata") == 0


def test_a_job_that_cannot_be_planned_fails_with_its_reason(legacy_video: MakeVideo) -> None:
    job = Job.objects.create(
        kind="metadata", scope={"filters": {"duration_min": "long"}}, started_from="dashboard"
    )
    backfill.plan(job)
    assert job.status == Job.Status.FAILED
    assert "duration_min" in job.error
    entry = ActivityLog.objects.get(action=ActivityLog.Action.JOB_FINISHED)
    assert entry.outcome == ActivityLog.Outcome.FAILED


def test_planning_goes_on_where_it_stopped(
    legacy_video: MakeVideo, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(planning, "PLAN_ITEMS", 2)
    ids = [legacy_video().pk for _ in range(5)]
    job = steering.create_job("metadata", Scope(), SYSTEM, "command")
    backfill.plan(job, seconds=0)
    assert (job.status, job.total) == (Job.Status.PLANNING, 2)
    assert backfill.work_slice("a", job_id=job.pk) is False  # not before it is planned
    backfill.plan(job)
    assert (job.status, job.total) == (Job.Status.RUNNING, 5)
    assert [pk for chunk in job.chunks.all() for pk in chunk.attachment_ids] == ids


def test_a_small_job_is_cut_for_several_workers_a_large_one_into_chunks_of_500(
    conversation: Conversation,
) -> None:
    def add(count: int) -> None:
        Attachment.objects.bulk_create(
            Attachment(conversation=conversation, original_name="x", size=1, kind="video")
            for _ in range(count)
        )

    add(48)
    assert start().chunks.count() == 10
    add(12_000)
    job = start()
    assert job.total == 12_048
    assert max(job.chunks.values_list("size", flat=True)) == 500


def test_the_set_is_frozen_when_planned(legacy_video: MakeVideo) -> None:
    legacy_video()
    job = start()
    late = legacy_video()
    backfill.run_inline(job, lambda _progress: None)
    late.refresh_from_db()
    assert late.processing_state == "pending"


@pytest.mark.parametrize("items", [1, 4, 5, 6, 25, 100, 2_000, 7_999])
def test_a_small_job_is_cut_for_several_workers_and_ends_in_small_pieces(items: int) -> None:
    sizes = list(planning.chunk_sizes(items, is_first=True, is_last=True))
    assert sum(sizes) == items
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[0] <= max(planning.CHUNK_MIN_ITEMS, -(-items // planning.SPREAD_CHUNKS))
    assert sizes[-1] <= planning.CHUNK_MIN_ITEMS
    assert len(sizes) <= 2 * planning.SPREAD_CHUNKS


def test_a_large_job_ends_in_small_pieces_too() -> None:
    most = planning.CHUNK_ITEMS
    batch = planning.PLAN_ITEMS
    assert set(planning.chunk_sizes(batch, is_first=True, is_last=False)) == {most}
    sizes = list(planning.chunk_sizes(batch, is_first=False, is_last=True))
    assert sum(sizes) == batch
    assert sizes[0] == most
    assert sizes[-1] <= planning.CHUNK_MIN_ITEMS
    assert list(planning.chunk_sizes(0, is_first=False, is_last=True)) == []
