"""Where the machine is at fault a job pauses itself, and no video is marked failed."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from chat.errors import VideoError
from chat.models import ActivityLog, Attachment
from chat.services.activity import SYSTEM
from chat.services.video_service import Prepared, VideoProcessingService
from moderation import backfill, steering
from moderation.checkpoints import HALTING
from moderation.models import Failure, Interruption, Job
from tests.moderation.jobs import counts, finish, run, start

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.every_database]
MakeVideo = Callable[..., Attachment]


@pytest.mark.parametrize("code", sorted(HALTING))
def test_what_is_no_files_fault_stops_the_job_instead_of_failing_them_all(
    code: str, legacy_video: MakeVideo, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, second, _ = legacy_video(), legacy_video(), legacy_video()
    job = start()
    prepare = VideoProcessingService.prepare

    def broken_machine(self: VideoProcessingService, attachment: Attachment) -> Prepared:
        if attachment.pk == second.pk:
            return Prepared(attachment, error=VideoError(code, "since a minute ago"))
        return prepare(self, attachment)

    with monkeypatch.context() as patched:
        patched.setattr(VideoProcessingService, "prepare", broken_machine)
        backfill.run_inline(job, lambda _progress: None)
    assert job.status == Job.Status.PAUSED
    assert "since a minute ago" in job.error
    assert counts(job) == (1, 0, 0)
    states = Attachment.objects.order_by("pk").values_list("processing_state", flat=True)
    assert list(states) == ["ready", "pending", "pending"]
    halt = job.interruptions.get()
    assert (halt.cause, halt.attachment_id) == (Interruption.Cause.HALTED, second.pk)
    entry = ActivityLog.objects.get(action=ActivityLog.Action.JOB_PAUSED)
    assert (entry.outcome, entry.actor_name) == ("failed", f"job {job.pk}")
    # Once somebody has seen to it the same job goes on.
    assert steering.resume(job, SYSTEM)
    assert job.error == ""
    backfill.run_inline(job, lambda _progress: None)
    assert (job.status, counts(job)) == (Job.Status.DONE, (3, 0, 0))


def test_without_ffmpeg_nothing_is_marked_failed(legacy_video: MakeVideo, settings: Any) -> None:
    settings.MEDIA_ENGINE = "ffmpeg"
    settings.FFPROBE_BINARY = "no-such-ffprobe"
    video = legacy_video()
    job = run()
    assert job.status == Job.Status.PAUSED
    assert "no-such-ffprobe" in job.error
    video.refresh_from_db()
    assert video.processing_state == "pending"


@pytest.mark.parametrize("left", ["nothing", "an empty folder"])
def test_a_storage_that_is_not_mounted_loses_no_video(
    left: str, legacy_video: MakeVideo, settings: Any, tmp_path: Path
) -> None:
    videos = [legacy_video() for _ in range(3)]
    gone = legacy_video()
    Path(gone.file.path).unlink()
    root, elsewhere = Path(settings.MEDIA_ROOT), tmp_path / "unmounted"
    root.rename(elsewhere)
    if left == "an empty folder":
        root.mkdir()
    job = run()
    assert job.status == Job.Status.PAUSED
    assert f"{root} is missing or empty" in job.error
    assert counts(job) == (0, 0, 0)
    assert set(Attachment.objects.values_list("processing_state", flat=True)) == {"pending"}
    if left == "an empty folder":
        root.rmdir()
    elsewhere.rename(root)
    assert steering.resume(job, SYSTEM)
    assert counts(finish(job)) == (len(videos), 1, 0)
    assert Failure.objects.get().code == "missing_file"
