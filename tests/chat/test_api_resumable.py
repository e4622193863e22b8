"""Resumable uploads (tus 1.0): the protocol, request by request."""

import base64
import hashlib
import io
import os
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from django.contrib.auth.models import User
from django.utils import timezone
from rest_framework.test import APIClient

from chat.errors import ChatError
from chat.models import (
    ActivityLog,
    Attachment,
    Conversation,
    Message,
    Participant,
    ResumableUpload,
    UploadReservation,
)
from chat.services import quotas, resumable
from chat.services.activity import Actor
from chat.services.resumable import Checksum
from chat.services.uploads import Body
from tests.clips import clip

UPLOADS = "/api/chat/uploads/"
PART = "application/offset+octet-stream"
Files = Callable[[], list[str]]


def metadata(**values: object) -> str:
    return ",".join(
        f"{key} {base64.b64encode(str(value).encode()).decode()}" for key, value in values.items()
    )


class Tus:
    """A client of the protocol that checks nothing."""

    def __init__(self, client: APIClient, conversation: Conversation) -> None:
        self.client = client
        self.conversation = conversation
        self.headers = {"Tus-Resumable": "1.0.0"}

    def create(self, size: int, body: bytes | None = None, /, **values: object) -> Any:
        values = {"conversation": self.conversation.pk, "filename": "a.mp4", **values}
        extra = {} if body is None else {"data": body, "content_type": PART}
        headers = {"Upload-Length": str(size), "Upload-Metadata": metadata(**values)}
        return self.client.generic("POST", UPLOADS, headers=self.headers | headers, **extra)

    def begin(self, content: bytes, /, **values: object) -> str:
        response = self.create(len(content), **values)
        assert response.status_code == 201, response.json()
        location: str = response.headers["Location"]
        return location

    def patch(self, location: str, offset: int, part: bytes, **headers: str) -> Any:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.client.generic(
            "PATCH",
            location,
            part,
            content_type=PART,
            headers={**self.headers, "Upload-Offset": str(offset), **named},
        )

    def head(self, location: str) -> Any:
        return self.client.head(location, headers=self.headers)

    def offset(self, location: str) -> int:
        return int(self.head(location).headers["Upload-Offset"])

    def delete(self, location: str) -> Any:
        return self.client.delete(location, headers=self.headers)


@pytest.fixture
def tus(as_member: APIClient, conversation: Conversation) -> Tus:
    return Tus(as_member, conversation)


@pytest.fixture
def content() -> bytes:
    return clip().read_bytes()


def log() -> list[str]:
    return list(ActivityLog.objects.order_by("pk").values_list("action", flat=True))


def test_it_works(
    tus: Tus, content: bytes, member: User, conversation: Conversation, stored_files: Files
) -> None:
    created = tus.create(len(content), filename="beach.mp4", filetype="video/mp4")
    location = created.headers["Location"]

    assert created.status_code == 201
    assert created.headers["Tus-Resumable"] == "1.0.0"
    assert created.headers["Upload-Offset"] == "0"
    assert "Upload-Expires" in created.headers
    assert tus.offset(location) == 0
    for start in range(0, len(content), 4000):
        response = tus.patch(location, start, content[start : start + 4000])
        assert response.status_code == 204
        assert int(response.headers["Upload-Offset"]) == min(start + 4000, len(content))

    attachment = Attachment.objects.get()
    assert response.headers["Attachment-Id"] == str(attachment.pk)
    assert response.headers["Content-Location"] == f"/api/chat/attachments/{attachment.pk}/"
    assert (attachment.original_name, attachment.uploaded_by) == ("beach.mp4", member)
    assert attachment.conversation == conversation
    assert attachment.is_ready
    assert attachment.sha256 == hashlib.sha256(content).hexdigest()
    assert Path(attachment.file.path).read_bytes() == content
    assert stored_files() == sorted(
        f"media/{name}" for name in (attachment.file.name, attachment.thumbnail.name)
    )
    assert log() == ["attachment_uploaded"]
    assert not UploadReservation.objects.exists()

    told = tus.head(location).headers
    assert told["Upload-Offset"] == told["Upload-Length"] == str(len(content))
    assert told["Attachment-Id"] == str(attachment.pk)
    assert told["Cache-Control"] == "private, no-store"
    assert tus.patch(location, len(content), b"").status_code == 204
    assert Attachment.objects.count() == 1


def test_in_one_request(tus: Tus, content: bytes, stored_files: Files) -> None:
    response = tus.create(len(content), content, content="Look!")

    attachment = Attachment.objects.get()
    assert response.status_code == 201
    assert response.headers["Upload-Offset"] == str(len(content))
    assert response.headers["Attachment-Id"] == str(attachment.pk)
    assert attachment.message == Message.objects.get(content="Look!")
    assert attachment.sha256 == hashlib.sha256(content).hexdigest()
    assert log() == ["attachment_uploaded", "message_sent"]
    assert len(stored_files()) == 2


def test_the_first_bytes_may_come_along(tus: Tus, content: bytes) -> None:
    response = tus.create(len(content), content[:700])

    assert (response.status_code, response.headers["Upload-Offset"]) == (201, "700")
    location = response.headers["Location"]
    assert tus.offset(location) == 700
    assert tus.patch(location, 700, content[700:]).status_code == 204
    assert Attachment.objects.get().sha256 == hashlib.sha256(content).hexdigest()


def test_what_the_server_can_do_is_told_to_anybody(as_nobody: APIClient, settings: Any) -> None:
    response = as_nobody.options(UPLOADS)

    assert response.status_code == 204
    assert response.headers["Tus-Version"] == response.headers["Tus-Resumable"] == "1.0.0"
    assert response.headers["Tus-Max-Size"] == str(settings.UPLOAD_MAX_BYTES)
    assert set(response.headers["Tus-Extension"].split(",")) == {
        "creation", "creation-with-upload", "expiration", "checksum", "termination"
    }  # fmt: skip
    assert {"sha1", "sha256"} <= set(response.headers["Tus-Checksum-Algorithm"].split(","))


class TestWho:
    @pytest.fixture
    def location(self, tus: Tus, content: bytes) -> str:
        return tus.begin(content)

    def all_ways(self, tus: Tus, location: str) -> list[int]:
        answers = (tus.head(location), tus.patch(location, 0, b"a"), tus.delete(location))
        return [answer.status_code for answer in answers]

    def test_another_participant(
        self, location: str, as_owner: APIClient, conversation: Conversation
    ) -> None:
        assert self.all_ways(Tus(as_owner, conversation), location) == [404] * 3

    def test_who_left(self, location: str, tus: Tus, member: User) -> None:
        Participant.objects.filter(user=member).update(left_at="2026-01-01T00:00Z")

        assert self.all_ways(tus, location) == [404] * 3

    def test_nobody(self, location: str, as_nobody: APIClient, conversation: Conversation) -> None:
        nobody = Tus(as_nobody, conversation)
        assert self.all_ways(nobody, location) == [401] * 3
        assert nobody.create(10).status_code == 401

    def test_an_outsider(self, as_outsider: APIClient, conversation: Conversation) -> None:
        assert Tus(as_outsider, conversation).create(10).status_code == 404

    def test_an_unknown_upload(self, tus: Tus) -> None:
        assert self.all_ways(tus, f"{UPLOADS}{uuid4()}/") == [404] * 3

    def test_who_leaves_while_sending(
        self, location: str, tus: Tus, member: User, content: bytes, stored_files: Files
    ) -> None:
        """After the look at the address: found when the file is to be kept."""
        upload = ResumableUpload.objects.get()
        Participant.objects.filter(user=member).update(left_at="2026-01-01T00:00Z")

        body = Body(io.BytesIO(content), len(content), upload.size)

        with pytest.raises(ChatError, match="not_found"):
            resumable.append(upload, Actor(user=member), 0, body)

        assert stored_files() == []
        assert not ResumableUpload.objects.exists()


def cut_off(part: bytes, announced: int, checksum: Checksum | None = None) -> None:
    """As a request whose connection ends early."""
    upload = ResumableUpload.objects.get()
    body = Body(io.BytesIO(part), announced, upload.size)
    with pytest.raises(ChatError, match="incomplete_body"):
        resumable.append(upload, Actor(user=upload.owner), 0, body, checksum)


@pytest.mark.parametrize("method", ["get", "put", "patch", "delete"])
def test_wrong_method(method: str, as_member: APIClient) -> None:
    response = getattr(as_member, method)(UPLOADS, headers={"Tus-Resumable": "1.0.0"})

    assert response.status_code == 405
    assert "POST" in response.headers["Allow"]


@pytest.mark.parametrize("version", [None, "0.2.2", "2.0.0"])
def test_another_version(version: str | None, tus: Tus, content: bytes) -> None:
    location = tus.begin(content)
    tus.headers = {"Tus-Resumable": version} if version else {}

    response = tus.create(10)

    assert response.status_code == 412
    assert response.headers["Tus-Version"] == "1.0.0"
    assert response.json()["code"] == "unsupported_tus_version"
    assert tus.head(location).status_code == 412


@pytest.mark.parametrize(
    ("headers", "field"),
    [
        ({}, "Upload-Length"),
        ({"Upload-Defer-Length": "1"}, "Upload-Length"),
        ({"Upload-Length": "-1"}, "Upload-Length"),
        ({"Upload-Length": "1e3"}, "Upload-Length"),
        ({"Upload-Length": "٣"}, "Upload-Length"),
        ({"Upload-Length": "9" * 19}, "Upload-Length"),
        ({"Upload-Length": "9", "Upload-Concat": "partial"}, "Upload-Concat"),
        ({"Upload-Length": "9"}, "conversation"),
        ({"Upload-Length": "9", "Upload-Metadata": "conversation"}, "conversation"),
        ({"Upload-Length": "9", "Upload-Metadata": "conversation !"}, "Upload-Metadata"),
        ({"Upload-Length": "9", "Upload-Metadata": "ä MQ=="}, "Upload-Metadata"),
        ({"Upload-Length": "9", "Upload-Metadata": "conversation /w=="}, "Upload-Metadata"),
        ({"Upload-Length": "9", "Upload-Metadata": metadata(conversation="x")}, "conversation"),
        ({"Upload-Length": "9", "Upload-Metadata": metadata(conversation=1, kind="x")}, "kind"),
        ({"Upload-Length": "9", "Upload-Metadata": metadata(content="\0", conversation=1)},
         "content"),
    ],
)  # fmt: skip
def test_a_creation_that_is_not_right(
    headers: dict[str, str], field: str, as_member: APIClient
) -> None:
    response = as_member.post(UPLOADS, headers={"Tus-Resumable": "1.0.0", **headers})

    assert (response.status_code, list(response.json())) == (400, [field])


@pytest.mark.parametrize(
    ("size", "values", "status", "code"),
    [
        (0, {}, 422, "empty_file"),
        (1001, {}, 413, "too_large"),
        (10, {"kind": "video", "filetype": "text/plain"}, 415, "not_a_video"),
        (501, {}, 403, "quota_exceeded"),
        (401, {}, 429, "too_many_uploads"),
        (10, {"conversation": 4711}, 404, "not_found"),
    ],
)
def test_refused_before_a_byte(
    size: int, values: dict[str, object], status: int, code: str, tus: Tus, settings: Any
) -> None:
    settings.UPLOAD_MAX_BYTES = 1000
    settings.USER_QUOTA_BYTES = 500
    settings.UPLOAD_PENDING_MAX_BYTES = 400

    response = tus.create(size, **values)

    assert (response.status_code, response.json()["code"]) == (status, code)
    assert not ResumableUpload.objects.exists()
    assert not UploadReservation.objects.exists()
    logged = status in (403, 413, 415, 422)
    assert log() == ["attachment_refused"] * logged


def test_more_than_the_disk_has(tus: Tus, settings: Any) -> None:
    settings.UPLOAD_MAX_BYTES = settings.USER_QUOTA_BYTES = 2**62
    settings.UPLOAD_PENDING_MAX_BYTES = 2**62

    response = tus.create(2**61)

    assert (response.status_code, response.json()["code"]) == (507, "no_room")


class TestAppending:
    def test_a_wrong_offset(self, tus: Tus, content: bytes) -> None:
        location = tus.begin(content)
        tus.patch(location, 0, content[:100])

        for offset in (0, 99, 101, len(content)):
            response = tus.patch(location, offset, b"")
            assert (response.status_code, response.json()["code"]) == (409, "offset_conflict")
        assert tus.offset(location) == 100

    @pytest.mark.parametrize("offset", ["", "-1", "x", "1" * 30])
    def test_no_offset(self, offset: str, tus: Tus, content: bytes) -> None:
        location = tus.begin(content)

        response = tus.patch(location, 0, b"", Upload_Offset=offset)

        assert (response.status_code, list(response.json())) == (400, ["Upload-Offset"])

    def test_another_content_type(self, tus: Tus, content: bytes) -> None:
        location = tus.begin(content)
        headers = {**tus.headers, "Upload-Offset": "0"}

        response = tus.client.generic(
            "PATCH", location, b"a", content_type="text/plain", headers=headers
        )

        assert (response.status_code, response.json()["code"]) == (415, "unsupported_media_type")

    def test_more_than_was_announced(self, tus: Tus, content: bytes) -> None:
        location = tus.begin(content)

        response = tus.patch(location, 0, content + b"a")

        assert (response.status_code, response.json()["code"]) == (413, "too_large")
        assert tus.offset(location) == 0

    def test_through_post(self, tus: Tus, content: bytes) -> None:
        """For clients that cannot send PATCH or DELETE."""
        location = tus.begin(content)
        headers = {**tus.headers, "Upload-Offset": "0", "X-HTTP-Method-Override": "PATCH"}

        response = tus.client.generic(
            "POST", location, content[:9], content_type=PART, headers=headers
        )

        assert (response.status_code, response.headers["Upload-Offset"]) == (204, "9")
        headers["X-HTTP-Method-Override"] = "DELETE"
        assert tus.client.post(location, headers=headers).status_code == 204
        assert tus.client.post(location, headers=tus.headers).status_code == 405

    def test_one_writer_at_a_time(self, tus: Tus, content: bytes) -> None:
        location = tus.begin(content)

        with resumable.locked(ResumableUpload.objects.get()):
            locked = tus.patch(location, 0, content)
            assert tus.delete(location).status_code == 423
            assert tus.offset(location) == 0

        assert (locked.status_code, locked.json()["code"]) == (423, "upload_locked")
        assert locked.headers["Retry-After"] == "1"
        assert tus.patch(location, 0, content).status_code == 204

    def test_a_body_cut_off_is_kept_as_far_as_it_came(self, tus: Tus, content: bytes) -> None:
        location = tus.begin(content)

        cut_off(content[:500], announced=900)

        assert tus.offset(location) == 500
        assert tus.patch(location, 500, content[500:]).status_code == 204
        assert Attachment.objects.get().sha256 == hashlib.sha256(content).hexdigest()

    def test_what_is_not_on_record_is_written_over(
        self, tus: Tus, content: bytes, stored_files: Files
    ) -> None:
        """As a worker leaves it that was killed while it wrote."""
        location = tus.begin(content)
        tus.patch(location, 0, content[:100])
        with ResumableUpload.objects.get().path.open("ab") as file:
            file.write(b"not on record" * 5000)

        assert tus.offset(location) == 100
        assert tus.patch(location, 100, content[100:]).status_code == 204
        assert Attachment.objects.get().sha256 == hashlib.sha256(content).hexdigest()

    def test_bytes_that_the_disk_lost(self, tus: Tus, content: bytes) -> None:
        location = tus.begin(content)
        tus.patch(location, 0, content[:1000])
        ResumableUpload.objects.get().path.write_bytes(content[:400])

        assert tus.offset(location) == 400
        assert tus.patch(location, 1000, content[1000:]).status_code == 409
        assert tus.patch(location, 400, content[400:]).status_code == 204
        assert Attachment.objects.get().sha256 == hashlib.sha256(content).hexdigest()


class TestChecksum:
    @pytest.mark.parametrize("algorithm", ["sha1", "sha256"])
    def test_right_and_wrong(
        self, algorithm: str, tus: Tus, content: bytes, stored_files: Files
    ) -> None:
        location = tus.begin(content)
        digest = base64.b64encode(hashlib.new(algorithm, content[:100]).digest()).decode()
        checksum = f"{algorithm} {digest}"
        assert tus.patch(location, 0, content[:100], Upload_Checksum=checksum).status_code == 204

        response = tus.patch(location, 100, content[100:], Upload_Checksum=checksum)

        assert (response.status_code, response.json()["code"]) == (460, "checksum_mismatch")
        assert response.reason_phrase == "Checksum Mismatch"
        assert tus.offset(location) == 100
        assert ResumableUpload.objects.get().path.stat().st_size == 100
        assert not Attachment.objects.exists()

    def test_a_part_that_is_cut_off_is_not_kept(self, tus: Tus, content: bytes) -> None:
        location = tus.begin(content)

        cut_off(content[:50], 100, Checksum("sha1", hashlib.sha1(content[:100]).digest()))

        assert tus.offset(location) == 0
        assert ResumableUpload.objects.get().path.stat().st_size == 0

    @pytest.mark.parametrize("checksum", ["", "sha1", "crc32 AAAA", "sha1 !"])
    def test_nonsense(self, checksum: str, tus: Tus, content: bytes) -> None:
        location = tus.begin(content)

        response = tus.patch(location, 0, content, Upload_Checksum=checksum)

        assert response.status_code in (400, 460)
        assert tus.offset(location) == 0


class TestOutcome:
    """The last part tells what became of the file."""

    @pytest.mark.parametrize(
        ("sent", "kind", "status", "code"),
        [
            (b"hello, world\n" * 100, "video", 415, "not_a_video"),
            (b"\0\0\0\x1cftypisom" + b"\0" * 1000, "any", 422, None),
        ],
    )
    def test_a_refusal_leaves_nothing(
        self,
        sent: bytes,
        kind: str,
        status: int,
        code: str | None,
        tus: Tus,
        stored_files: Files,
    ) -> None:
        location = tus.begin(sent, kind=kind, content="Look!")
        tus.patch(location, 0, sent[:100])

        response = tus.patch(location, 100, sent[100:])

        assert response.status_code == status
        assert code in (None, response.json()["code"])
        assert stored_files() == []
        assert not ResumableUpload.objects.exists()
        assert not UploadReservation.objects.exists()
        assert not Message.objects.exists()
        assert log() == ["attachment_refused"]
        assert tus.head(location).status_code == 404

    @pytest.mark.parametrize(
        ("name", "stored"),
        [
            ("../../etc/passwd", "passwd"),
            ("C:\\films\\a\r\nb.mp4", "ab.mp4"),
            ("день.mp4", "день.mp4"),
            ("n" * 300 + ".mp4", "n" * 251 + ".mp4"),
            ("..\u202e/", "file"),
        ],
    )
    def test_a_name_is_data(self, name: str, stored: str, tus: Tus) -> None:
        assert tus.create(5, b"hello", filename=name).status_code == 201
        assert Attachment.objects.get().original_name == stored

    def test_a_picture_for_a_video_is_refused_at_its_start(
        self, tus: Tus, stored_files: Files
    ) -> None:
        picture = b"\x89PNG\r\n\x1a\n" + b"\0" * 1000
        location = tus.begin(picture * 10, kind="video")

        response = tus.patch(location, 0, picture)

        assert (response.status_code, response.json()["code"]) == (415, "not_a_video")
        assert tus.head(location).status_code == 404
        assert stored_files() == []
        assert not UploadReservation.objects.exists()
        assert log() == ["attachment_refused"]

    def test_any_other_file(self, tus: Tus) -> None:
        response = tus.create(5, b"hello", filename="notes.txt", filetype="text/plain")

        assert response.status_code == 201
        assert Attachment.objects.get().kind == "file"

    def test_an_error_of_ours_can_be_tried_again(
        self, tus: Tus, content: bytes, settings: Any, stored_files: Files
    ) -> None:
        location = tus.begin(content)
        tus.patch(location, 0, content[:100])
        settings.MEDIA_ROOT = "/proc/nowhere"

        response = tus.patch(location, 100, content[100:])

        assert (response.status_code, response.json()["code"]) == (503, "storage_error")
        assert tus.offset(location) == 100
        assert UploadReservation.objects.count() == 1
        assert len(stored_files()) == 1

    def test_a_crash_before_the_commit_neither_loses_nor_doubles(
        self,
        tus: Tus,
        content: bytes,
        stored_files: Files,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        """The worst moment: the file is in the storage already, and no row names it."""

        class Killed(BaseException):
            pass

        def killed(*_args: object) -> None:
            raise Killed

        location = tus.begin(content)
        with monkeypatch.context() as patch:
            patch.setattr(quotas, "become_stored", killed)
            patch.setattr(resumable.attachments, "delete_files", lambda _files: None)
            with pytest.raises(Killed):
                tus.patch(location, 0, content)
        assert not Attachment.objects.exists()

        offset = tus.offset(location)
        assert tus.patch(location, offset, content[offset:]).status_code == 204

        attachment = Attachment.objects.get()
        assert Path(attachment.file.path).read_bytes() == content
        assert log() == ["attachment_uploaded"]


class TestEnd:
    def test_termination(self, tus: Tus, content: bytes, stored_files: Files) -> None:
        location = tus.begin(content)
        tus.patch(location, 0, content[:100])

        assert tus.delete(location).status_code == 204

        assert tus.head(location).status_code == 404
        assert stored_files() == []
        assert not UploadReservation.objects.exists()

    def test_termination_of_a_finished_one_keeps_the_attachment(
        self, tus: Tus, content: bytes
    ) -> None:
        location = tus.create(len(content), content).headers["Location"]

        assert tus.delete(location).status_code == 204

        assert Path(Attachment.objects.get().file.path).exists()
        assert tus.head(location).status_code == 404

    def test_expired_uploads_are_refused_and_swept(
        self, tus: Tus, content: bytes, stored_files: Files
    ) -> None:
        kept, over = tus.begin(content), tus.begin(content)
        for location in (kept, over):
            tus.patch(location, 0, content[:100])
        upload = ResumableUpload.objects.get(pk=over.rstrip("/").rpartition("/")[2])
        past = timezone.now() - timedelta(seconds=1)
        ResumableUpload.objects.filter(pk=upload.pk).update(expires_at=past)

        for answer in (tus.head(over), tus.patch(over, 100, b"a")):
            assert answer.status_code == 410
        assert resumable.sweep() == 1

        assert tus.head(over).status_code == 404
        assert tus.offset(kept) == 100
        assert len(stored_files()) == 1
        assert UploadReservation.objects.count() == 1

    def test_one_that_is_written_to_is_not_swept(self, tus: Tus, content: bytes) -> None:
        tus.begin(content)
        past = timezone.now() - timedelta(seconds=1)
        ResumableUpload.objects.update(expires_at=past)

        with resumable.locked(ResumableUpload.objects.get()):
            assert resumable.sweep() == 0

    def test_files_without_an_upload_are_swept(
        self, tus: Tus, content: bytes, conversation: Conversation, tmp_path: Path
    ) -> None:
        location = tus.begin(content)
        tus.patch(location, 0, content[:100])
        path = ResumableUpload.objects.get().path
        conversation.delete()
        young, foreign = (tmp_path / "incoming" / name for name in ("resumable-x", "other"))
        for file in (young, foreign):
            file.write_bytes(b"a")
        assert resumable.sweep() == 0

        for file in (path, young, foreign):
            os.utime(file, (0, 0))

        assert resumable.sweep() == 1
        assert not path.exists()

    def test_each_part_gives_more_time(self, tus: Tus, content: bytes) -> None:
        location = tus.begin(content)
        soon = timezone.now() + timedelta(minutes=1)
        ResumableUpload.objects.update(expires_at=soon)
        UploadReservation.objects.update(expires_at=soon)

        tus.patch(location, 0, content[:100])

        upload = ResumableUpload.objects.get()
        assert upload.expires_at > timezone.now() + timedelta(hours=23)
        assert upload.reservation.expires_at == upload.expires_at
