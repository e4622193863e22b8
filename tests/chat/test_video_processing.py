"""What becomes of an attachment's row and poster when it is processed, with each engine."""

from pathlib import Path

import pytest
from PIL import Image

from chat.models import ActivityLog, Attachment
from tests.chat.examining import service

pytestmark = pytest.mark.usefixtures("_private_files", "engine")


def test_makes_a_legacy_attachment_ready(legacy_video):
    attachment = legacy_video()
    assert service().process_video_attachment(attachment).ok
    attachment = Attachment.objects.get(pk=attachment.pk)
    assert attachment.processing_state == "ready"
    assert attachment.video_dimensions == (320, 240)
    assert attachment.duration_formatted == "00:01"
    assert (attachment.codec, attachment.content_type) == ("h264", "video/mp4")
    with attachment.thumbnail.open() as file, Image.open(file) as poster:
        assert poster.size == (320, 240)
    entry = ActivityLog.objects.get(object_id=attachment.pk)
    assert (entry.action, entry.outcome, entry.actor_name) == (
        "attachment_processed",
        "ok",
        "system",
    )


def test_twice_changes_nothing_but_the_time(legacy_video, django_capture_on_commit_callbacks):
    attachment = legacy_video()
    service().process_video_attachment(attachment)
    before = Attachment.objects.values().get(pk=attachment.pk)
    with django_capture_on_commit_callbacks(execute=True):
        service().process_video_attachment(Attachment.objects.get(pk=attachment.pk))
    after = Attachment.objects.values().get(pk=attachment.pk)
    changed = {name for name in before if before[name] != after[name]}
    assert changed <= {"processed_at", "thumbnail"}
    posters = list(Path(attachment.thumbnail.storage.path("posters")).rglob("*.jpg"))
    assert [str(p) for p in posters] == [attachment.thumbnail.storage.path(after["thumbnail"])]


def test_a_permanent_failure_is_written_with_its_code(legacy_video, tmp_path):
    broken = tmp_path / "broken.mp4"
    broken.write_text("not a video at all " * 100)
    attachment = legacy_video(broken)
    assert not service().process_video_attachment(attachment).ok
    attachment = Attachment.objects.get(pk=attachment.pk)
    assert (attachment.processing_state, attachment.failure_code) == ("failed", "not_a_video")
    assert not attachment.thumbnail


def test_a_lost_file_is_a_failure_too(legacy_video):
    attachment = legacy_video()
    Path(attachment.file.path).unlink()
    assert service().process_video_attachment(attachment).error.code == "missing_file"


def test_a_row_deleted_meanwhile_leaves_no_poster(legacy_video):
    attachment = legacy_video()
    prepared = service().prepare(attachment)
    Attachment.objects.filter(pk=attachment.pk).delete()
    assert service().record(prepared) is False
    assert not attachment.thumbnail.storage.exists(prepared.thumbnail)


def test_a_passing_failure_does_not_spoil_a_ready_video(legacy_video):
    attachment = legacy_video()
    service().process_video_attachment(attachment)
    ready = Attachment.objects.get(pk=attachment.pk)
    slow = service(wall_seconds=0.001).process_video_attachment(ready)
    assert slow.error.code == "time_limit"
    after = Attachment.objects.get(pk=attachment.pk)
    assert (after.processing_state, after.codec) == ("ready", "h264")
    assert after.thumbnail.storage.exists(after.thumbnail.name)
