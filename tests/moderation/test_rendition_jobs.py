"""Renditions by the queue and by jobs: woken after an upload, found again when that is lost."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from chat.models import Attachment
from chat.rendition import Rendition
from chat.services import attachments
from chat.services.activity import SYSTEM, Actor
from chat.services.uploads import ReceivedFile
from chat.services.video_service import VideoProcessingService
from moderation import backfill, steering, tasks
from moderation.models import Failure, Job
from moderation.progress import progress
from moderation.queues import UPLOADS
from moderation.scopes import Scope
from tests.clips import clip

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.every_database]
MakeVideo = Callable[..., Attachment]


@pytest.fixture(autouse=True)
def _empty_queue() -> Iterator[None]:
    UPLOADS.flush()
    yield
    UPLOADS.flush()


def run(kind: str, **scope: object) -> Job:
    job = steering.create_job(kind, Scope(**scope), SYSTEM, "command")  # type: ignore[arg-type]
    backfill.run_inline(job, lambda _progress: None)
    return job


def counts(job: Job) -> tuple[int, int, int]:
    now = progress(job)
    return now.ready, now.failed, now.skipped


def kinds() -> list[str]:
    return sorted(Rendition.objects.values_list("kind", flat=True))


@pytest.fixture
def ready(legacy_video: MakeVideo) -> MakeVideo:
    def make(path: Path | None = None) -> Attachment:
        attachment = legacy_video(path or clip("a.avi", "-c:v", "mpeg4", "-c:a", "mp3"))
        VideoProcessingService().process_video_attachment(attachment)
        return Attachment.objects.get(pk=attachment.pk)

    return make


def test_an_upload_wakes_a_worker_that_makes_everything(ready, conversation, owner) -> None:
    received = ReceivedFile("a.avi")
    received.append(clip("a.avi", "-c:v", "mpeg4", "-c:a", "mp3").read_bytes())
    received.finish()
    attachments.upload(received, conversation, Actor(user=owner), only_videos=True)
    received.close()
    rounds = 0
    while (task := UPLOADS.dequeue()) is not None:
        UPLOADS.execute(task)
        rounds += 1
    assert rounds == 3
    assert kinds() == ["poster_webp", "preview", "storyboard", "storyboard_map"]


def test_a_vanished_video_is_no_trouble() -> None:
    tasks.make_renditions.call_local(12345)
    assert len(UPLOADS) == 0


def test_jobs_find_what_lost_its_wake_up(ready) -> None:
    attachment = ready()
    assert counts(run(Job.Kind.STORYBOARDS)) == (1, 0, 0)
    assert kinds() == ["poster_webp", "storyboard", "storyboard_map"]
    assert counts(run(Job.Kind.PREVIEWS)) == (1, 0, 0)
    assert run(Job.Kind.STORYBOARDS).total == run(Job.Kind.PREVIEWS).total == 0
    attachment.refresh_from_db()
    assert attachment.placeholder


def test_asked_for_all_they_are_made_anew(ready) -> None:
    ready()
    run(Job.Kind.STORYBOARDS)
    before = set(Rendition.objects.values_list("file", flat=True))
    assert counts(run(Job.Kind.STORYBOARDS, only="all")) == (1, 0, 0)
    assert not before & set(Rendition.objects.exclude(file="").values_list("file", flat=True))
    assert not any(Path(Rendition().file.storage.path(name)).exists() for name in before if name)


def test_a_failure_is_told_and_tried_again_only_when_asked(ready) -> None:
    attachment = ready()
    path = Path(attachment.file.path)
    content = path.read_bytes()
    path.unlink()
    job = run(Job.Kind.PREVIEWS)
    assert counts(job) == (0, 1, 0)
    assert Failure.objects.get(job=job).code == "missing_file"
    attachment.refresh_from_db()
    assert attachment.is_ready
    assert run(Job.Kind.PREVIEWS).total == 0
    path.write_bytes(content)
    assert counts(run(Job.Kind.PREVIEWS, only="failed")) == (1, 0, 0)
    assert Rendition.objects.get().file
