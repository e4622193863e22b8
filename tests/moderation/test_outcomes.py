"""What became of each item of a job."""

from collections.abc import Callable
from pathlib import Path

import pytest

from chat.models import Attachment, Conversation
from chat.services.video_service import VideoProcessingService
from moderation.progress import outcomes, skip_reasons
from tests.moderation.jobs import finish, processed, start

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.every_database]
MakeVideo = Callable[..., Attachment]


def test_skips_have_a_reason(legacy_video: MakeVideo) -> None:
    done, removed, gone, left = (legacy_video() for _ in range(4))
    job = start()
    VideoProcessingService().process_video_attachment(done)
    Attachment.objects.filter(pk=removed.pk).update(visibility="removed")
    gone_id = gone.pk
    gone.delete()
    finish(job)
    assert dict(skip_reasons(job)) == {"gone": 1, "removed": 1, "not_needed": 1}
    assert [(pk, outcome) for pk, outcome, _ in outcomes(job)] == [
        (done.pk, "not_needed"),
        (removed.pk, "removed"),
        (gone_id, "gone"),
        (left.pk, "ready"),
    ]


def test_what_is_deleted_later_keeps_its_failure(legacy_video: MakeVideo, tmp_path: Path) -> None:
    path = tmp_path / "broken.mp4"
    path.write_bytes(b"not a video at all" * 100)
    video = legacy_video(path)
    pk = video.pk
    job = finish(start())
    video.delete()
    failure = job.failures.select_related("attachment").get()
    assert (failure.attachment_id, failure.name) == (pk, f"attachment {pk}, deleted meanwhile")
    assert next(iter(outcomes(job)))[:2] == (pk, "not_a_video")


def test_a_job_of_many_items_says_what_is_not_reached(conversation: Conversation) -> None:
    Attachment.objects.bulk_create(
        Attachment(conversation=conversation, original_name="x", size=1, kind="video")
        for _ in range(600)
    )
    job = start()
    assert [outcome for _, outcome, _ in outcomes(job)] == ["not_reached"] * 600
    assert processed() == 0
