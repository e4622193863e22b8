"""Whether what is stored is still what was stored: the file exists, with its size and hash, and
opens; so do the pictures made of it.  A slow half that reads, a fast one that writes the row."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass

from django.core.files.storage import Storage
from django.db.models.fields.files import FieldFile
from django.utils import timezone

from chat.errors import VideoError
from chat.models import ActivityLog, Attachment
from chat.services import activity
from chat.services.activity import SYSTEM, Actor
from chat.services.file_hash import sha256_of
from chat.services.local_files import local_path, storage_failure
from chat.services.video_service import VideoProcessingService

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Verified:
    """What was found before it is written; ``sha256`` where the row had none."""

    attachment: Attachment
    error: VideoError | None = None
    sha256: str = ""


class VerificationService:
    """Stateless; only ``record`` writes."""

    def verify(self, attachment: Attachment) -> str:
        """The SHA-256 of the stored bytes.

        Raises:
            VideoError: ``missing_file``, ``size_differs``, ``hash_differs``,
                ``missing_rendition``, or why the file does not open.
        """
        with local_path(attachment.file) as path:
            size = path.stat().st_size
            if size != attachment.size:
                raise VideoError("size_differs", f"{size} bytes are stored, not {attachment.size}")
            sha256 = sha256_of(path)
            if attachment.sha256 and sha256 != attachment.sha256:
                raise VideoError("hash_differs", f"{sha256}, not {attachment.sha256}")
            if attachment.is_ready:
                VideoProcessingService().extract_video_metadata(path)
        made: list[tuple[str, FieldFile]] = [("poster", attachment.thumbnail)]
        made += [(row.kind, row.file) for row in attachment.renditions.all()]
        for kind, file in made:
            if file.name and not _is_stored(file.storage, file.name):
                raise VideoError("missing_rendition", f"{kind}: {file.name}")
        return sha256

    def prepare(self, attachment: Attachment) -> Verified:
        """The slow half: read what is stored; an error is part of the result."""
        try:
            sha256 = self.verify(attachment)
        except VideoError as error:
            logger.info("attachment %s: %s (%s)", attachment.pk, error.code, error.detail)
            return Verified(attachment, error)
        return Verified(attachment, sha256="" if attachment.sha256 else sha256)

    def rehearse(self, attachment: Attachment) -> None:
        """As ``prepare``.

        Raises:
            VideoError: as ``verify``.
        """
        self.verify(attachment)

    def record(self, verified: Verified, actor: Actor = SYSTEM) -> bool:
        """The fast half, in the caller's transaction; False when the row is gone.  What the row
        says of the video stays: it was true of the bytes that were uploaded."""
        attachment, error = verified.attachment, verified.error
        attachment.verified_at = timezone.now()
        attachment.verification_code = error.code if error else ""
        attachment.sha256 = verified.sha256 or attachment.sha256
        if not attachment.write(["verified_at", "verification_code", "sha256"]):
            return False
        activity.record(
            ActivityLog.Action.ATTACHMENT_VERIFIED,
            actor,
            attachment,
            outcome=ActivityLog.Outcome.FAILED if error else ActivityLog.Outcome.OK,
            details={"code": error.code} if error else {},
        )
        return True

    def given_up(self, attachment: Attachment, error: VideoError) -> Verified:
        """The result for a file on which the workers ended."""
        return Verified(attachment, error)

    def discard(self, verified: Verified) -> None:
        """Nothing: what was found is in memory alone."""

    def discard_unrecorded(self, verified: Sequence[Verified]) -> None:
        """As ``discard``."""


def _is_stored(storage: Storage, name: str) -> bool:
    try:
        return storage.exists(name) and storage.size(name) > 0
    except OSError as error:
        raise storage_failure(error) from error
