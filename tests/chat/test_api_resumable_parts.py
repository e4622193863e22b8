"""Resumable uploads: what comes in each request, and what becomes of the whole file."""

import base64
import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from chat.models import (
    Attachment,
    Message,
    ResumableUpload,
    UploadReservation,
)
from chat.services import partial_file, quotas, resumable
from chat.services.partial_file import Checksum
from tests.chat.tus import PART, Tus, cut_off, log

Files = Callable[[], list[str]]


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

        with partial_file.locked(ResumableUpload.objects.get()):
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
