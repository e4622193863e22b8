"""Uploading: who may, and what is kept."""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.files.uploadedfile import SimpleUploadedFile
from PIL import Image
from rest_framework.test import APIClient

from chat.models import ActivityLog, Attachment, Conversation, Message, Participant
from chat.services import uploads
from tests.clips import clip

VIDEO = "/api/chat/videos/upload/"
ANY = "/api/chat/upload/"
BOTH = pytest.mark.parametrize("address", [VIDEO, ANY])
Send = Callable[..., Any]
Files = Callable[[], list[str]]

KEYS = [
    "id", "conversation", "message", "uploaded_by", "original_name", "kind", "content_type",
    "size", "duration", "duration_formatted", "width", "height", "video_dimensions", "bitrate",
    "codec", "audio_codec", "container", "frame_rate", "rotation", "processing_state",
    "failure_code", "visibility", "thumbnail_url", "placeholder", "storyboard_url", "preview_url",
    "download_url", "stream_url", "created_at",
]  # fmt: skip


@BOTH
def test_it_works(
    address: str,
    as_member: APIClient,
    member: User,
    conversation: Conversation,
    send_video: Send,
    stored_files: Files,
) -> None:
    path = clip()

    response = send_video(as_member, address=address)

    assert response.status_code == 201
    found = response.json()
    assert list(found) == KEYS
    assert found["conversation"] == conversation.pk
    assert found["message"] is None
    assert found["uploaded_by"] == {"id": member.pk, "username": "member"}
    assert found["original_name"] == path.name
    assert (found["kind"], found["content_type"]) == ("video", "video/mp4")
    assert found["size"] == path.stat().st_size
    assert found["duration"] == pytest.approx(1, abs=0.1)
    assert found["duration_formatted"] == "00:01"
    assert (found["width"], found["height"]) == (320, 240)
    assert found["video_dimensions"] == [320, 240]
    assert (found["codec"], found["audio_codec"], found["container"]) == ("h264", "aac", "mp4")
    assert (found["processing_state"], found["failure_code"]) == ("ready", "")
    assert found["storyboard_url"] is found["preview_url"] is None
    assert response.headers["Location"].endswith(f"/api/chat/attachments/{found['id']}/")
    assert response.headers["Cache-Control"] == "private, no-store"

    attachment = Attachment.objects.get()
    assert attachment.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert Path(attachment.file.path).read_bytes() == path.read_bytes()
    assert Path(attachment.file.path).suffix == ""
    with Image.open(attachment.thumbnail.path) as poster:
        assert poster.size == (320, 240)
    assert stored_files() == sorted(
        f"media/{name}" for name in (attachment.file.name, attachment.thumbnail.name)
    )
    entry = ActivityLog.objects.get()
    assert (entry.action, entry.actor, entry.object_id) == (
        "attachment_uploaded", member, attachment.pk
    )  # fmt: skip
    assert entry.conversation_id == conversation.pk


@BOTH
def test_text_makes_a_message(address: str, as_member: APIClient, send_video: Send) -> None:
    response = send_video(as_member, content="Look!", address=address)

    message = Message.objects.get()
    assert message.content == "Look!"
    assert response.json()["message"] == message.pk
    assert set(ActivityLog.objects.values_list("action", flat=True)) == {
        "attachment_uploaded",
        "message_sent",
    }


def test_the_conversation_may_stand_in_the_address(
    as_member: APIClient, conversation: Conversation
) -> None:
    with clip().open("rb") as file:
        response = as_member.post(
            f"{VIDEO}?conversation={conversation.pk}", {"file": file}, format="multipart"
        )

    assert response.status_code == 201


@BOTH
def test_anonymous(address: str, as_nobody: APIClient, send_video: Send) -> None:
    response = send_video(as_nobody, address=address)

    assert response.status_code == 401
    assert response.json()["code"] == "not_authenticated"
    assert response.headers["WWW-Authenticate"] == "Token"


@BOTH
def test_outsider(
    address: str, as_outsider: APIClient, send_video: Send, stored_files: Files
) -> None:
    response = send_video(as_outsider, address=address)

    assert response.status_code == 404
    assert response.json()["code"] == "not_found"
    assert stored_files() == []


def test_who_left_is_an_outsider(
    as_member: APIClient, member: User, send_video: Send, stored_files: Files
) -> None:
    Participant.objects.filter(user=member).update(left_at="2026-01-01T00:00Z")

    assert send_video(as_member).status_code == 404
    assert stored_files() == []


def test_an_outsider_is_refused_before_a_byte_is_kept(
    as_outsider: APIClient, send_video: Send, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The conversation is named before the file, so that the file need not be taken."""

    def never(*args: Any) -> None:
        raise AssertionError("a file was begun")

    monkeypatch.setattr(uploads, "ReceivedFile", never)

    assert send_video(as_outsider).status_code == 404


def test_the_conversation_may_also_come_last(
    as_member: APIClient, as_outsider: APIClient, conversation: Conversation, stored_files: Files
) -> None:
    for client, status in ((as_member, 201), (as_outsider, 404)):
        with clip().open("rb") as file:
            data = {"file": file, "conversation": conversation.pk}
            assert client.post(VIDEO, data, format="multipart").status_code == status
    assert len(stored_files()) == 2


@BOTH
@pytest.mark.parametrize("method", ["get", "put", "patch", "delete"])
def test_wrong_method(address: str, method: str, as_member: APIClient) -> None:
    response = getattr(as_member, method)(address)

    assert response.status_code == 405
    assert response.json()["code"] == "method_not_allowed"
    assert "POST" in response.headers["Allow"]


def test_files_of_other_fields_are_read_past(
    as_member: APIClient, conversation: Conversation, stored_files: Files
) -> None:
    with clip().open("rb") as file:
        data = {
            "conversation": conversation.pk,
            "other": SimpleUploadedFile("o", b"o" * 3_000_000),
            "file": file,
        }
        response = as_member.post(VIDEO, data, format="multipart")

    assert response.status_code == 201
    assert len(stored_files()) == 2


@pytest.mark.parametrize(
    ("content", "kind", "content_type"),
    [
        (b"hello", "file", "application/octet-stream"),
        (b"<script>alert(1)</script>", "file", "application/octet-stream"),
        (b"%PDF-1.7\n", "file", "application/octet-stream"),
        (b"\xff\xd8\xff\xe0" + b"\0" * 20, "file", "application/octet-stream"),
        (b"GIF89a" + b"\0" * 20, "file", "application/octet-stream"),
        (b"ID3\x04" + b"\0" * 100, "audio", "audio/mpeg"),
    ],
)
def test_any_other_file_is_kept_as_what_it_is(
    content: bytes,
    kind: str,
    content_type: str,
    as_member: APIClient,
    conversation: Conversation,
) -> None:
    file = SimpleUploadedFile("movie.mp4", content, content_type="text/html")

    response = as_member.post(
        ANY, {"conversation": conversation.pk, "file": file}, format="multipart"
    )

    assert response.status_code == 201
    found = response.json()
    assert (found["kind"], found["content_type"]) == (kind, content_type)
    assert found["processing_state"] is None
    assert found["thumbnail_url"] is None
    assert found["size"] == len(content)
    assert (found["stream_url"] is None) == (kind == "file")
    downloaded = as_member.get(found["download_url"])
    assert downloaded.headers["Content-Disposition"].startswith("attachment")
    assert b"".join(downloaded) == content


@pytest.mark.parametrize(
    ("name", "stored"),
    [
        ("../../etc/passwd", "passwd"),
        ("-version.mp4", "-version.mp4"),
        ("x%d.mp4", "x%d.mp4"),
        ("день \U0001f600.mp4", "день \U0001f600.mp4"),
        ("<b>.mp4", "<b>.mp4"),
        ("n" * 300 + ".mp4", "n" * 251 + ".mp4"),
    ],
)
def test_a_name_is_data(
    name: str, stored: str, as_member: APIClient, conversation: Conversation
) -> None:
    file = SimpleUploadedFile("x", b"hello")
    file._name = name  # not cleaned, as a hostile client sends it

    response = as_member.post(
        ANY, {"conversation": conversation.pk, "file": file}, format="multipart"
    )

    assert response.status_code == 201
    assert response.json()["original_name"] == stored
    downloaded = as_member.get(response.json()["download_url"])
    assert b"".join(downloaded) == b"hello"
