"""The one road on which a file becomes a ready video, whoever asks: upload, message, backfill,
"process again"."""

import logging
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from django.core.files.base import ContentFile
from django.db import transaction

from chat.errors import VideoError
from chat.models import ActivityLog, Attachment, stored_name
from chat.services import activity
from chat.services.activity import SYSTEM, Actor
from chat.services.examination import ExaminedVideo
from chat.services.file_hash import sha256_of
from chat.services.local_files import local_path, storage_failure
from chat.services.media_engines import engine_for, refuse_unreadable
from chat.services.media_limits import MediaLimits, with_second_chance
from chat.services.poster import Poster
from chat.services.reading_ahead import ReadAhead, result_of
from chat.services.renditions import (
    POSTER,
    WORKS,
    PreparedRenditions,
    Renderer,
    RenditionWork,
    forget,
)
from chat.services.video_metadata import VideoMetadata

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Prepared:
    """An attachment's outcome before it is written: the video found, or the error."""

    attachment: Attachment
    examined: ExaminedVideo | None = None
    error: VideoError | None = None
    thumbnail: str = ""  # storage name of the poster that was stored for it
    sha256: str = ""  # of the bytes, where the row lacks it

    @property
    def ok(self) -> bool:
        return self.examined is not None


class VideoProcessingService:
    """``limits`` default to the settings.  Paths in, typed results out; only ``record`` and
    ``process_video_attachment`` touch the database.  Stateless but for what ``expect`` began."""

    def __init__(self, limits: MediaLimits | None = None) -> None:
        self.limits = limits or MediaLimits.from_settings()
        self._ahead = ReadAhead(self.examine)

    def validate_video_file(self, path: Path) -> None:
        """Whether one frame of the best video stream decodes: the only proof of a video.

        Raises:
            VideoError: why it is refused.
        """
        self.examine(path)

    def extract_video_metadata(self, path: Path) -> VideoMetadata:
        """What the file says of itself, checked for sanity; decodes nothing.

        Raises:
            VideoError: why it is refused.
        """
        refuse_unreadable(path)
        return with_second_chance(
            self.limits, lambda limits: engine_for(limits).read_metadata(path)
        )

    def generate_thumbnail(self, path: Path) -> Poster:
        """A poster, as displayed, within the bounds of the limits.

        Raises:
            VideoError: why there is none.
        """
        return self.examine(path).poster

    def examine(self, path: Path) -> ExaminedVideo:
        """Validate, read metadata and make the poster, in one go and one time limit; once more
        with twice the time where that was too short.

        Raises:
            VideoError: why it is refused.
        """
        refuse_unreadable(path)
        return with_second_chance(self.limits, lambda limits: engine_for(limits).examine(path))

    def process_video_attachment(self, attachment: Attachment, actor: Actor = SYSTEM) -> Prepared:
        """Make a stored attachment ready, or record why it cannot be.  Twice changes nothing."""
        prepared = self.prepare(attachment)
        with transaction.atomic():
            self.record(prepared, actor)
        return prepared

    def prepare(self, attachment: Attachment) -> Prepared:
        """The slow half: examine the stored file and store its poster.  No database; an error
        is part of the result.  Follow with ``record`` or ``discard``."""
        sha256 = ""
        try:
            with self._ahead.reading(attachment) as (path, reading):
                if not attachment.sha256:  # stored before there were hashes
                    # First: a failing disk is not to pass for a broken video.
                    sha256 = sha256_of(path)
                examined = result_of(reading)
            return Prepared(attachment, examined, None, store_poster(examined.poster), sha256)
        except VideoError as error:
            logger.info("attachment %s: %s (%s)", attachment.pk, error.code, error.detail)
            return Prepared(attachment, error=error, sha256=sha256)

    def expect(self, attachment: Attachment) -> None:
        """Have its file read already while others are stored and recorded: ``prepare`` will be
        called for it next, or for one that was expected before."""
        self._ahead.expect(attachment)

    def close(self) -> None:
        """Call off what is expected still."""
        self._ahead.close()

    def rehearse(self, attachment: Attachment) -> None:
        """The slow half without storing anything, to see how long it takes.

        Raises:
            VideoError: why the video is refused.
        """
        with local_path(attachment.file) as path:
            if not attachment.sha256:
                sha256_of(path)
            self.examine(path)

    def record(self, prepared: Prepared, actor: Actor = SYSTEM) -> bool:
        """The fast half: write row and activity entry in the caller's transaction.

        Returns False when the row is gone; the poster is deleted then, and when the transaction
        replaces an older poster that one is deleted after commit.
        """
        attachment, error = prepared.attachment, prepared.error
        old_thumbnail = attachment.thumbnail.name or ""
        hashes = ["sha256"] if prepared.sha256 else []
        attachment.sha256 = prepared.sha256 or attachment.sha256
        if prepared.examined:
            attachment.mark_ready(prepared.examined.metadata, prepared.thumbnail)
            written = attachment.write([*Attachment.READY_FIELDS, *hashes])
        elif error and not error.outcome.permanent and attachment.is_ready:
            written = True  # what is known stays true; a disk or a clock failed, not the video
        elif error:
            attachment.mark_failed(error.code, error.detail)
            written = attachment.write([*Attachment.FAILED_FIELDS, *hashes])
        if not written:
            self.discard(prepared)
            return False
        activity.record(
            ActivityLog.Action.ATTACHMENT_PROCESSED,
            actor,
            attachment,
            outcome=ActivityLog.Outcome.FAILED if error else ActivityLog.Outcome.OK,
            details={"code": error.code} if error else {},
        )
        if prepared.ok and old_thumbnail and old_thumbnail != prepared.thumbnail:
            storage = attachment.thumbnail.storage
            transaction.on_commit(lambda: storage.delete(old_thumbnail))
            forget(attachment, POSTER)  # made of the poster that was
        return True

    def make_renditions(
        self,
        attachment: Attachment,
        actor: Actor = SYSTEM,
        *,
        works: Collection[RenditionWork] = WORKS,
        force: bool = False,
    ) -> list[PreparedRenditions]:
        """Make what is wanted and not stored (with ``force``, all of ``works``), each kind of
        work committed before the next is begun.  Twice changes nothing."""
        done = []
        for work in works:
            renderer = Renderer((work,), force=force, limits=self.limits)
            prepared = renderer.prepare(attachment)
            with transaction.atomic():
                renderer.record(prepared, actor)
            done.append(prepared)
        return done

    def given_up(self, attachment: Attachment, error: VideoError) -> Prepared:
        """The result for a video on which the workers ended."""
        return Prepared(attachment, error=error)

    def discard(self, prepared: Prepared) -> None:
        """Undo ``prepare``: delete the poster that it stored."""
        if prepared.thumbnail:
            prepared.attachment.thumbnail.storage.delete(prepared.thumbnail)

    def discard_unrecorded(self, prepared: Sequence[Prepared]) -> None:
        """As ``discard``, for those of which no row names the poster: an interruption may come
        just after the commit."""
        rows = Attachment.objects.filter(pk__in=[each.attachment.pk for each in prepared])
        kept = set(rows.values_list("thumbnail", flat=True)) if prepared else set()
        for each in prepared:
            if each.thumbnail not in kept:
                self.discard(each)


def store_poster(poster: Poster) -> str:
    """Keep the picture under a name of our own and read it again: what is stored must be what
    the child has looked at.  Returns the storage name.

    Raises:
        VideoError: ``no_room`` or ``storage_error``.
    """
    storage = Attachment._meta.get_field("thumbnail").storage
    try:
        name = str(storage.save(stored_name("posters", ".jpg"), ContentFile(poster.jpeg)))
        with storage.open(name) as stored:
            same = stored.read() == poster.jpeg
    except OSError as error:
        raise storage_failure(error) from error
    if not same:
        storage.delete(name)
        raise VideoError("storage_error", f"{name} is not what was written")
    return name
