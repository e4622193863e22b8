"""Uploading: what is refused, and that a refusal leaves nothing."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from rest_framework.test import APIClient

from chat.models import ActivityLog, Attachment, Conversation, Message, Participant
from chat.services import uploads
from tests.clips import clip

VIDEO = "/api/chat/videos/upload/"
ANY = "/api/chat/upload/"
BOTH = pytest.mark.parametrize("address", [VIDEO, ANY])
Send = Callable[..., Any]
Files = Callable[[], list[str]]


def refusals() -> list[ActivityLog]:
    return list(ActivityLog.objects.filter(action="attachment_refused"))


@pytest.mark.parametrize(
    "conversation_id", ["", "x", "0", "-1", "1.5", "9" * 19, "9" * 5000, "\x00", "١٢"]
)
def test_nonsense_for_a_conversation(
    conversation_id: str, as_member: APIClient, send_video: Send, stored_files: Files
) -> None:
    response = send_video(as_member, conversation=conversation_id)

    assert response.status_code in (400, 404)
    if response.status_code == 400:
        assert "conversation" in response.json()
    assert stored_files() == []


def test_unknown_conversation(as_member: APIClient, send_video: Send) -> None:
    assert send_video(as_member, conversation=4711).status_code == 404


@BOTH
def test_missing_fields(address: str, as_member: APIClient, conversation: Conversation) -> None:
    without_file = as_member.post(address, {"conversation": conversation.pk}, format="multipart")
    file = SimpleUploadedFile("a.txt", b"a")
    without_conversation = as_member.post(address, {"file": file}, format="multipart")

    assert (without_file.status_code, list(without_file.json())) == (400, ["file"])
    assert (without_conversation.status_code, list(without_conversation.json())) == (
        400,
        ["conversation"],
    )


@BOTH
def test_a_body_that_is_no_form(
    address: str, as_member: APIClient, conversation: Conversation
) -> None:
    response = as_member.post(address, {"conversation": conversation.pk})

    assert response.status_code == 415
    assert response.json()["code"] == "unsupported_media_type"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"--x",
        b"garbage" * 100,
        b"--x--\r\n",
        b'--x\r\nContent-Disposition: form-data; name="',
    ],
)
def test_a_form_that_is_broken(
    body: bytes, as_member: APIClient, conversation: Conversation, stored_files: Files
) -> None:
    response = as_member.generic(
        "POST",
        f"{VIDEO}?conversation={conversation.pk}",
        body,
        content_type="multipart/form-data; boundary=x",
    )

    assert response.status_code == 400
    assert stored_files() == []


def test_two_files_at_once(
    as_member: APIClient, conversation: Conversation, stored_files: Files
) -> None:
    files = [SimpleUploadedFile(name, b"a") for name in ("a", "b")]

    response = as_member.post(
        ANY, {"conversation": conversation.pk, "file": files}, format="multipart"
    )

    assert response.status_code == 400
    assert response.json()["code"] == "too_many_files"
    assert stored_files() == []


@pytest.mark.parametrize(
    ("content", "name", "status", "code"),
    [
        (b"hello, world\n" * 100, "a.mp4", 415, "not_a_video"),
        (b"", "a.mp4", 422, "empty_file"),
        (b"\x89PNG\r\n\x1a\n" + b"\0" * 100, "a.mp4", 415, None),
        (b"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n/etc/passwd\n", "a.mp4", 415, None),
    ],
)
def test_what_is_no_video_is_refused_and_leaves_nothing(
    content: bytes,
    name: str,
    status: int,
    code: str | None,
    as_member: APIClient,
    conversation: Conversation,
    send_video: Send,
    stored_files: Files,
    tmp_path: Path,
) -> None:
    path = tmp_path / name
    path.write_bytes(content)

    response = send_video(as_member, path)

    assert response.status_code == status
    assert set(response.json()) == {"detail", "code"}
    assert code in (None, response.json()["code"])
    assert stored_files() == []
    assert not Attachment.objects.exists()
    (entry,) = refusals()
    assert (entry.object_type, entry.object_id) == ("conversation", conversation.pk)
    assert entry.details["code"] == response.json()["code"]


@BOTH
def test_a_damaged_video_is_refused_with_its_message(
    address: str, as_member: APIClient, send_video: Send, stored_files: Files, tmp_path: Path
) -> None:
    whole = clip().read_bytes()
    path = tmp_path / "cut.mp4"
    path.write_bytes(whole[: len(whole) // 2])

    response = send_video(as_member, path, content="Look!", address=address)

    assert response.status_code == 422
    assert response.json()["code"] in ("corrupt", "no_decodable_frame")
    assert stored_files() == []
    assert not Message.objects.exists()
    assert len(refusals()) == 1


class TestSize:
    @pytest.fixture(autouse=True)
    def _limits(self, settings: Any) -> None:
        settings.UPLOAD_MAX_BYTES = 1000
        settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 2000

    def post(self, client: APIClient, conversation: Conversation, size: int) -> Any:
        file = SimpleUploadedFile("a.bin", b"a" * size)
        return client.post(
            ANY, {"conversation": conversation.pk, "file": file}, format="multipart"
        )

    def test_the_limit_itself(self, as_member: APIClient, conversation: Conversation) -> None:
        assert self.post(as_member, conversation, 1000).status_code == 201

    @pytest.mark.parametrize("size", [1001, 3000, 200_000, 3_000_000])
    def test_above(
        self, size: int, as_member: APIClient, conversation: Conversation, stored_files: Files
    ) -> None:
        response = self.post(as_member, conversation, size)

        assert response.status_code == 413
        assert response.json()["code"] == "too_large"
        assert stored_files() == []
        (entry,) = refusals()
        assert entry.details == {"code": "too_large"}

    def test_a_form_field(self, as_member: APIClient, conversation: Conversation) -> None:
        response = as_member.post(
            ANY, {"conversation": conversation.pk, "content": "a" * 3000}, format="multipart"
        )

        assert response.status_code == 413


@pytest.mark.parametrize("cut", [200, -30, -1000])
def test_a_body_cut_short_leaves_nothing(
    cut: int, as_member: APIClient, conversation: Conversation, stored_files: Files
) -> None:
    """Also when the cut falls behind the file, in the field after it."""
    from django.test.client import BOUNDARY, MULTIPART_CONTENT, encode_multipart

    data = {"file": SimpleUploadedFile("a.mp4", clip().read_bytes()), "content": "word " * 100}
    whole = encode_multipart(BOUNDARY, data)

    response = as_member.generic(
        "POST",
        f"{VIDEO}?conversation={conversation.pk}",
        whole[:cut],
        content_type=MULTIPART_CONTENT,
        CONTENT_LENGTH=len(whole),
    )

    assert response.status_code == 400
    assert response.json()["code"] == "incomplete_body"
    assert stored_files() == []
    assert not Attachment.objects.exists()


def test_a_full_disk_answers_507_and_leaves_nothing(
    as_member: APIClient,
    send_video: Send,
    stored_files: Files,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The kernel's own refusal: each write goes to /dev/full."""
    begin = uploads.ReceivedFile.__init__

    def on_a_full_disk(self: uploads.ReceivedFile, name: str) -> None:
        begin(self, name)
        os.dup2(os.open("/dev/full", os.O_WRONLY), self.file.fileno())

    monkeypatch.setattr(uploads.ReceivedFile, "__init__", on_a_full_disk)

    response = send_video(as_member)

    assert response.status_code == 507
    assert response.json()["code"] == "no_room"
    assert stored_files() == []
    assert [entry.details for entry in refusals()] == [{"code": "no_room"}]


def test_a_failing_commit_leaves_no_file(
    as_member: APIClient,
    conversation: Conversation,
    stored_files: Files,
    send_video: Send,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Whoever leaves while the video is read has no rights any more when it is to be kept."""
    from chat.services import attachments

    examine = attachments.examine

    def leave_meanwhile(*args: Any) -> Any:
        Participant.objects.filter(conversation=conversation).update(left_at="2026-01-01T00:00Z")
        return examine(*args)

    monkeypatch.setattr(attachments, "examine", leave_meanwhile)

    assert send_video(as_member).status_code == 404
    assert stored_files() == []


@pytest.mark.parametrize("content", ["a\x00b", "x" * 20_001])
def test_text_that_is_not_taken(
    content: str, as_member: APIClient, send_video: Send, stored_files: Files
) -> None:
    response = send_video(as_member, content=content)

    assert (response.status_code, list(response.json())) == (400, ["content"])
    assert stored_files() == []


def test_abandoned_uploads_are_swept(tmp_path: Path) -> None:
    old, new, other = (
        tmp_path / "incoming" / name for name in ("upload-old", "upload-new", "not-ours")
    )
    for path in (old, new, other):
        path.write_bytes(b"a")
    for path in (old, other):
        os.utime(path, (0, 0))

    assert uploads.sweep_abandoned() == 1

    assert not old.exists()
    assert new.exists()
    assert other.exists()


def test_a_name_in_the_place_of_the_file(as_owner: APIClient, conversation: Conversation) -> None:
    """As ``curl -F file=beach.mp4`` sends it, without the ``@``."""
    fields = {"conversation": conversation.pk, "file": "beach.mp4"}

    response = as_owner.post("/api/chat/upload/", fields, format="multipart")

    assert (response.status_code, list(response.json())) == (400, ["file"])


def test_address_and_form_that_name_two_conversations(
    as_owner: APIClient, conversation: Conversation, send_video: Callable[..., Any]
) -> None:
    address = f"/api/chat/upload/?conversation={conversation.pk}"

    response = send_video(as_owner, address=address, conversation=conversation.pk + 1)

    assert (response.status_code, list(response.json())) == (400, ["conversation"])
