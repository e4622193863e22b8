"""The file of a resumable upload: one writer at a time, and on record only what is on the disk."""

import contextlib
import fcntl
import hashlib
import os
import shutil
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from io import FileIO
from pathlib import Path

from django.conf import settings
from django.core.files.uploadedfile import UploadedFile
from django.db import transaction
from django.utils import timezone

from chat.errors import ChatError, VideoError
from chat.models import Attachment, ResumableUpload, UploadReservation
from chat.services.file_kinds import kind_of
from chat.services.local_files import storage_failure
from chat.services.quotas import RENEW_SECONDS
from chat.services.uploads import CHUNK_BYTES, NAME_PREFIX, Body, ReceivedFile

CHECKPOINT_BYTES = 16 * 1024 * 1024  # what a killed worker loses at most
CHECKSUMS = ("sha256", "sha1")


@dataclass(frozen=True, slots=True)
class Checksum:
    """What the client says the bytes of one request hash to."""

    algorithm: str  # of CHECKSUMS
    digest: bytes


def lifetime() -> timedelta:
    return timedelta(hours=settings.RESUMABLE_UPLOAD_HOURS)


def offset_of(upload: ResumableUpload) -> int:
    """Bytes that need not be sent again."""
    if upload.finished_at is not None:
        return upload.size
    try:
        return min(upload.offset, upload.path.stat().st_size)
    except FileNotFoundError:  # none has come yet, or the disk was lost
        return 0


@contextlib.contextmanager
def locked(upload: ResumableUpload) -> Iterator[tuple[FileIO, ResumableUpload]]:
    """The file of an upload, which nobody else writes in the block, and its row as it is now.

    Raises:
        ChatError: ``upload_locked``, ``not_found``, ``upload_expired``.
    """
    try:
        descriptor = os.open(upload.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise storage_failure(error) from error
    with FileIO(descriptor, "r+") as file:  # unbuffered: nothing is written later, in closing
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise ChatError("upload_locked") from error
        except OSError as error:
            raise storage_failure(error) from error
        if not is_named(upload.path, file):  # deleted between opening and locking
            raise ChatError("upload_locked")
        row = ResumableUpload.objects.select_related("owner", "conversation")
        current = row.filter(pk=upload.pk).first()
        if current is None or current.finished_at is not None:
            upload.path.unlink()  # left by a crash, or made just now
        if current is None:
            raise ChatError("not_found")
        yield file, current


def is_named(path: Path, file: FileIO) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(file.fileno()))
    except FileNotFoundError:
        return False


def prolong(upload: ResumableUpload, lease: timedelta, *, offset: int) -> bool:
    """Keep an upload for ``lease`` from now, and ``offset`` on record; False when it is gone."""
    now = timezone.now()
    with transaction.atomic():
        # In the order in which they are deleted with their conversation.
        promised = UploadReservation.objects.filter(resumable=upload, expires_at__gt=now)
        promised.update(expires_at=now + lease)
        row = ResumableUpload.objects.filter(pk=upload.pk, offset=upload.offset)
        if not row.update(offset=offset, expires_at=now + lease):
            transaction.set_rollback(True)
            return False
    upload.offset, upload.expires_at = offset, now + lease
    return True


class Writer:
    """Appends to the file of an upload whose lock is held.

    Attributes:
        kept: bytes on the disk and on record.
        end: bytes written.
    """

    def __init__(
        self,
        row: ResumableUpload,
        file: FileIO,
        offset: int,
        checksum: Checksum | None,
        lease: timedelta,
    ) -> None:
        self.row = row
        self.file = file
        self.lease = lease
        self.renewed = time.monotonic()
        self.kept = self.end = offset
        self.checksum = checksum
        self.part = hashlib.new(checksum.algorithm, usedforsecurity=False) if checksum else None
        self.whole = hashlib.sha256() if offset == 0 else None
        file.truncate(offset)  # what a killed worker wrote and did not record
        file.seek(offset)

    def take(self, body: Body) -> None:
        try:
            while chunk := body.read(CHUNK_BYTES):
                if self.end == 0 and self.part is None:
                    self.look_at_start(chunk)
                self.write(chunk)
        except ChatError as error:
            if error.code == "incomplete_body" and self.part is None:
                self.record()
            raise
        if self.part is not None and self.checksum and self.part.digest() != self.checksum.digest:
            raise ChatError("checksum_mismatch")
        self.record()

    def look_at_start(self, chunk: bytes) -> None:
        """Where a video is wanted, a picture need not be sent to its end to be refused."""
        if self.row.only_videos and kind_of(chunk)[0] == Attachment.Kind.IMAGE:
            raise VideoError("not_a_video", "begins as a picture")

    def write(self, chunk: bytes) -> None:
        left = memoryview(chunk)
        while left:  # a disk that fills up takes a part before it refuses
            left = left[self.file.write(left) :]
        self.end += len(chunk)
        for digest in (self.part, self.whole):
            if digest is not None:
                digest.update(chunk)
        if self.part is None and self.end - self.kept >= CHECKPOINT_BYTES:
            self.record()
        elif time.monotonic() > self.renewed + RENEW_SECONDS:
            self.renew()

    def record(self) -> None:
        """Bring what was written to the disk, then on record; the whole file only when kept."""
        os.fsync(self.file.fileno())
        if self.end == self.row.size:
            return
        self.renew(self.end)
        self.kept = self.end

    def renew(self, offset: int | None = None) -> None:
        """Give the upload more time, and put ``offset`` on record.

        A promise of room that has lapsed is not renewed: others may have been promised it since.
        """
        offset = self.row.offset if offset is None else offset
        if not prolong(self.row, self.lease, offset=offset):
            raise ChatError("not_found")  # its conversation or account was deleted
        self.renewed = time.monotonic()

    def drop(self) -> None:
        """Take back what is not on record."""
        self.file.truncate(self.kept)

    def sha256(self) -> str:
        if self.whole is not None:
            return self.whole.hexdigest()
        self.file.seek(0)
        return hashlib.file_digest(self.file, "sha256").hexdigest()


class AssembledFile(ReceivedFile):
    """A finished upload under a second name, for the storage to take with a rename."""

    def __init__(self, upload: ResumableUpload, sha256: str) -> None:
        self.path = Path(settings.FILE_UPLOAD_TEMP_DIR) / f"{NAME_PREFIX}{uuid.uuid4().hex}"
        try:
            os.link(upload.path, self.path)
        except OSError:  # a file system without links
            try:
                shutil.copyfile(upload.path, self.path)
            except OSError:
                self.path.unlink(missing_ok=True)
                raise
        UploadedFile.__init__(self, self.path.open("rb"), upload.original_name, size=upload.size)
        self.known_sha256 = sha256

    @property
    def sha256(self) -> str:
        return self.known_sha256
