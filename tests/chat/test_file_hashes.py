"""The SHA-256 of the bytes, on every road by which a file comes in."""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from rest_framework.test import APIClient

from chat.errors import VideoError
from chat.models import Attachment, Conversation
from chat.services.activity import SYSTEM
from chat.services.file_hash import sha256_of
from chat.services.importing import import_video
from chat.services.video_service import VideoProcessingService
from tests.clips import clip

pytestmark = pytest.mark.django_db


def of(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_an_upload(as_owner: APIClient, send_video: Callable[..., Any]) -> None:
    assert send_video(as_owner).status_code == 201
    assert Attachment.objects.get().sha256 == of(clip())


def test_another_kind_of_file(
    as_owner: APIClient, send_video: Callable[..., Any], tmp_path: Path
) -> None:
    text = tmp_path / "notes.txt"
    text.write_text("hello")
    assert send_video(as_owner, text, address="/api/chat/upload/").status_code == 201
    assert Attachment.objects.get().sha256 == of(text)


def test_a_message(as_owner: APIClient, conversation: Conversation) -> None:
    with clip().open("rb") as file:
        response = as_owner.post(
            f"/api/chat/conversations/{conversation.pk}/messages/",
            {"content": "see", "files": file},
            format="multipart",
        )
    assert response.status_code == 201, response.json()
    assert Attachment.objects.get().sha256 == of(clip())


def test_an_import(conversation: Conversation, owner: User) -> None:
    import_video(clip(), conversation, owner, SYSTEM)
    assert Attachment.objects.get().sha256 == of(clip())


def test_processing_gives_it_to_a_legacy_row(legacy_video: Callable[..., Attachment]) -> None:
    attachment = legacy_video()
    assert attachment.sha256 == ""
    VideoProcessingService().process_video_attachment(attachment)
    assert Attachment.objects.get().sha256 == of(clip())


def test_also_where_the_file_is_no_video(
    legacy_video: Callable[..., Attachment], tmp_path: Path
) -> None:
    broken = tmp_path / "broken.mp4"
    broken.write_text("not a video")
    VideoProcessingService().process_video_attachment(legacy_video(broken))
    attachment = Attachment.objects.get()
    assert attachment.failure_code == "not_a_video"
    assert attachment.sha256 == of(broken)


def test_a_hash_that_is_known_is_not_made_again(legacy_video: Callable[..., Attachment]) -> None:
    attachment = legacy_video(sha256="f" * 64)
    VideoProcessingService().process_video_attachment(attachment)
    assert Attachment.objects.get().sha256 == "f" * 64


def test_a_lost_file_has_none(legacy_video: Callable[..., Attachment]) -> None:
    attachment = legacy_video()
    Path(attachment.file.path).unlink()
    VideoProcessingService().process_video_attachment(attachment)
    assert Attachment.objects.get().sha256 == ""


def test_a_disk_that_cannot_be_read_is_not_a_broken_video(
    legacy_video: Callable[..., Attachment],
) -> None:
    attachment = legacy_video()
    path = Path(attachment.file.path)
    path.unlink()
    path.symlink_to("/proc/self/mem")  # Linux: a file that opens, and whose first read fails
    with pytest.raises(VideoError) as refusal:
        sha256_of(path)
    assert refusal.value.code == "storage_error"
    prepared = VideoProcessingService().prepare(attachment)
    assert prepared.error
    assert prepared.error.code == "storage_error"
    assert not prepared.error.permanent
