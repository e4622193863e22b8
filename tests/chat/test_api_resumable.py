"""Resumable uploads (tus 1.0): the protocol, request by request."""

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
    Attachment,
    Conversation,
    Message,
    Participant,
    ResumableUpload,
    UploadReservation,
)
from chat.services import partial_file, quotas, resumable
from chat.services.activity import Actor
from chat.services.uploads import Body
from tests.chat.tus import UPLOADS, Tus, log, metadata

Files = Callable[[], list[str]]


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

        with partial_file.locked(ResumableUpload.objects.get()):
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

    def test_what_nobody_was_told_of_ends_soon(
        self, tus: Tus, content: bytes, stored_files: Files, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A worker that is killed while the first bytes come along leaves this."""

        class Killed(BaseException):
            pass

        def killed(*_args: object) -> None:
            raise Killed

        with monkeypatch.context() as patch:
            patch.setattr(resumable, "announce", killed)
            with pytest.raises(Killed):
                tus.create(len(content), content[:700])
        upload = ResumableUpload.objects.get()
        soon = timezone.now() + timedelta(minutes=5)
        assert upload.expires_at <= soon
        assert upload.reservation.expires_at <= soon

        monkeypatch.setattr(timezone, "now", lambda: soon)
        assert not quotas.pending(upload.owner).exists()
        assert resumable.sweep() == 1
        assert stored_files() == []

    @pytest.mark.parametrize("first", [None, 700])
    def test_what_nobody_comes_back_to_gives_its_room_back_within_the_hour(
        self,
        first: int | None,
        tus: Tus,
        content: bytes,
        settings: Any,
        stored_files: Files,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        """The answer with its address was lost, so that its client began another one."""
        settings.USER_QUOTA_BYTES = len(content)
        part = None if first is None else content[:first]
        began = tus.create(len(content), part)
        assert tus.create(1).status_code == 403

        hour = timezone.now() + timedelta(minutes=60)
        monkeypatch.setattr(timezone, "now", lambda: hour)

        assert tus.head(began.headers["Location"]).status_code == 410
        assert tus.create(len(content)).status_code == 201
        assert resumable.sweep() == 1
        assert stored_files() == []

    @pytest.mark.parametrize("first", [None, 700])
    def test_who_comes_back_can_go_on_for_long(
        self, first: int | None, tus: Tus, content: bytes
    ) -> None:
        began = tus.create(len(content), None if first is None else content[:first])

        tus.patch(began.headers["Location"], first or 0, content[first or 0 : 900])

        upload = ResumableUpload.objects.get()
        assert upload.expires_at > timezone.now() + timedelta(hours=23)
        assert upload.reservation.expires_at == upload.expires_at

    def test_what_became_of_a_whole_one_is_told_for_long(self, tus: Tus, content: bytes) -> None:
        tus.create(len(content), content)

        upload = ResumableUpload.objects.get()
        assert upload.expires_at > timezone.now() + timedelta(hours=23)

    def test_a_promise_that_lapsed_is_not_renewed(self, tus: Tus, content: bytes) -> None:
        """Somebody else may have been promised the room since."""
        location = tus.begin(content)
        past = timezone.now() - timedelta(seconds=1)
        UploadReservation.objects.update(expires_at=past)

        tus.patch(location, 0, content[:100])

        assert UploadReservation.objects.get().expires_at == past
