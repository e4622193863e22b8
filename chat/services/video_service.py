"""The one road on which a file becomes a ready video, whoever asks: upload, message, backfill,
"process again"."""

import errno
import logging
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from django.conf import settings
from django.core.files.base import ContentFile
from django.db import transaction

from chat.errors import VideoError
from chat.models import ActivityLog, Attachment, stored_name
from chat.services import activity
from chat.services.activity import SYSTEM, Actor
from chat.services.ffmpeg_engine import FfmpegEngine, FrameRequest, limit_named
from chat.services.local_files import local_path
from chat.services.media_runner import ProcessLimits, remaining
from chat.services.poster import Poster, is_blank, open_poster, poster_size, seek_points
from chat.services.video_metadata import Probe, ProbedStream, VideoMetadata

logger = logging.getLogger(__name__)

MAX_SIDE_PIXELS = 16_384  # no codec in use here goes further; JPEG ends at 65,535


@dataclass(frozen=True, slots=True)
class MediaLimits:
    """What one file may be and may use; names carry the units."""

    wall_seconds: float
    cpu_seconds: int
    memory_bytes: int
    output_bytes: int
    max_duration_seconds: float
    max_pixels: int
    max_streams: int
    poster_max_width: int
    poster_max_height: int

    @classmethod
    def from_settings(cls) -> "MediaLimits":
        return cls(
            wall_seconds=settings.MEDIA_WALL_SECONDS,
            cpu_seconds=settings.MEDIA_CPU_SECONDS,
            memory_bytes=settings.MEDIA_MEMORY_BYTES,
            output_bytes=settings.MEDIA_OUTPUT_BYTES,
            max_duration_seconds=settings.VIDEO_MAX_DURATION_SECONDS,
            max_pixels=settings.VIDEO_MAX_PIXELS,
            max_streams=settings.VIDEO_MAX_STREAMS,
            poster_max_width=settings.POSTER_MAX_WIDTH_PIXELS,
            poster_max_height=settings.POSTER_MAX_HEIGHT_PIXELS,
        )


@dataclass(frozen=True, slots=True)
class ExaminedVideo:
    """What a file turned out to be: its metadata and a poster that opens."""

    metadata: VideoMetadata
    poster: Poster


@dataclass(frozen=True, slots=True)
class Prepared:
    """An attachment's outcome before it is written: the video found, or the error."""

    attachment: Attachment
    examined: ExaminedVideo | None = None
    error: VideoError | None = None
    thumbnail: str = ""  # storage name of the poster that was stored for it

    @property
    def ok(self) -> bool:
        return self.examined is not None


class VideoProcessingService:
    """Stateless; ``limits`` default to the settings.  Paths in, typed results out; only
    ``record`` and ``process_video_attachment`` touch the database."""

    def __init__(self, limits: MediaLimits | None = None) -> None:
        self.limits = limits or MediaLimits.from_settings()
        self.engine = FfmpegEngine(self.limits.max_pixels, self.limits.max_streams)

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
        with Examination(self, Path(path)) as examination:
            return examination.metadata

    def generate_thumbnail(self, path: Path) -> Poster:
        """A poster, as displayed, within the bounds of the limits.

        Raises:
            VideoError: why there is none.
        """
        return self.examine(path).poster

    def examine(self, path: Path) -> ExaminedVideo:
        """Validate, read metadata and make the poster, in one go and one time limit.

        Raises:
            VideoError: why it is refused.
        """
        with Examination(self, Path(path)) as examination:
            return ExaminedVideo(examination.metadata, examination.poster())

    def process_video_attachment(self, attachment: Attachment, actor: Actor = SYSTEM) -> Prepared:
        """Make a stored attachment ready, or record why it cannot be.  Twice changes nothing."""
        prepared = self.prepare(attachment)
        with transaction.atomic():
            self.record(prepared, actor)
        return prepared

    def prepare(self, attachment: Attachment) -> Prepared:
        """The slow half: examine the stored file and store its poster.  No database; an error
        is part of the result.  Follow with ``record`` or ``discard``."""
        try:
            with local_path(attachment.file) as path:
                examined = self.examine(path)
            return Prepared(attachment, examined, None, store_poster(examined.poster))
        except VideoError as error:
            logger.info("attachment %s: %s (%s)", attachment.pk, error.code, error.detail)
            return Prepared(attachment, error=error)

    def record(self, prepared: Prepared, actor: Actor = SYSTEM) -> bool:
        """The fast half: write row and activity entry in the caller's transaction.

        Returns False when the row is gone; the poster is deleted then, and when the transaction
        replaces an older poster that one is deleted after commit.
        """
        attachment, error = prepared.attachment, prepared.error
        old_thumbnail = attachment.thumbnail.name or ""
        if prepared.examined:
            attachment.mark_ready(prepared.examined.metadata, prepared.thumbnail)
            written = attachment.write(Attachment.READY_FIELDS)
        elif error and not error.permanent and attachment.is_ready:
            written = True  # what is known stays true; a disk or a clock failed, not the video
        elif error:
            attachment.mark_failed(error.code, error.detail)
            written = attachment.write(Attachment.FAILED_FIELDS)
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
        return True

    def discard(self, prepared: Prepared) -> None:
        """Undo ``prepare``: delete the poster that it stored."""
        if prepared.thumbnail:
            prepared.attachment.thumbnail.storage.delete(prepared.thumbnail)


class Examination:
    """One reading of one file, with a scratch directory and a deadline for all of it."""

    def __init__(self, service: VideoProcessingService, path: Path) -> None:
        self.engine, self.limits = service.engine, service.limits
        self.source = path.absolute()
        self.deadline = time.monotonic() + self.limits.wall_seconds

    def __enter__(self) -> "Examination":
        self._scratch = tempfile.TemporaryDirectory(prefix="offchat-media-")
        self.directory = Path(self._scratch.name)
        # The tools see a name of ours only: no extension to guess a format from, no `%d`.
        self.path = self.directory / "input"
        self.path.symlink_to(self.source)
        try:
            self.probe = self._probe()
            self.stream: ProbedStream = self.probe.video_stream
            self.metadata = VideoMetadata.from_probe(self.probe)
            self._refuse_excess()
        except BaseException:
            self._scratch.cleanup()
            raise
        return self

    def __exit__(self, *_exc: object) -> None:
        self._scratch.cleanup()

    def poster(self) -> Poster:
        """A frame that shows something, else any frame that decodes.

        Key frames further in first; then the first frame, which decodes wherever anything does;
        last a frame in the middle, decoded from the key frame before it.

        Raises:
            VideoError: ``no_decodable_frame`` or ``encrypted`` when no frame decodes, or a limit.
        """
        seen: list[Poster] = []
        seeks = seek_points(self.metadata.duration)
        for seek_seconds in seeks:
            try:
                poster, _said = self._frame(seek_seconds, key_frames_only=True)
            except VideoError as error:
                if error.code == "media_tools_missing":
                    raise
                break
            if poster is None or poster in seen:  # nothing there, or the only key frame again
                break
            if not is_blank(poster):
                return poster
            seen.append(poster)
        if not seen:
            poster, said = self._frame(0.0, key_frames_only=False)
            if poster is None:
                code = "encrypted" if self.stream.encrypted else "no_decodable_frame"
                raise limit_named(said) or VideoError(code, said[-500:])
            if not is_blank(poster):
                return poster
            seen.append(poster)
        return (self._frame_in_the_middle(seeks) if seeks else None) or seen[0]

    def _frame_in_the_middle(self, seeks: list[float]) -> Poster | None:
        """A frame between key frames that shows something; None when that costs too much."""
        try:
            poster, _said = self._frame(seeks[len(seeks) // 2], key_frames_only=False)
        except VideoError:
            return None
        return poster if poster and not is_blank(poster) else None

    def _frame(self, seek_seconds: float, key_frames_only: bool) -> tuple[Poster | None, str]:
        limits = self.limits
        size = poster_size(
            self.metadata.width,
            self.metadata.height,
            limits.poster_max_width,
            limits.poster_max_height,
        )
        request = FrameRequest(self.stream.index, *size, seek_seconds, key_frames_only)
        path, said = self.engine.save_frame(
            self.path, request, self._process_limits(), self.directory
        )
        return open_poster(path, size), said

    def _probe(self) -> Probe:
        if not self.path.stat().st_size:
            raise VideoError("empty_file", "0 bytes")
        return self.engine.probe(self.path, self._process_limits(), self.directory)

    def _process_limits(self) -> ProcessLimits:
        return ProcessLimits(
            wall_seconds=remaining(self.deadline),
            cpu_seconds=self.limits.cpu_seconds,
            memory_bytes=self.limits.memory_bytes,
            output_bytes=self.limits.output_bytes,
        )

    def _refuse_excess(self) -> None:
        """Refuse what passes a limit, naming the limit and the value."""
        streams, pixels = len(self.probe.streams), self.stream.area
        side = max(self.stream.width, self.stream.height)
        duration = self.metadata.duration or 0.0
        for code, value, limit in (
            ("too_many_streams", streams, self.limits.max_streams),
            ("too_many_pixels", pixels, self.limits.max_pixels),
            ("too_many_pixels", side, MAX_SIDE_PIXELS),
            ("too_long", duration, self.limits.max_duration_seconds),
        ):
            if value > limit:
                raise VideoError(code, f"{value:g} passes the limit of {limit:g}")


def store_poster(poster: Poster) -> str:
    """Keep the picture under a name of our own; returns the storage name.

    Raises:
        VideoError: ``no_room`` or ``storage_error``.
    """
    storage = Attachment._meta.get_field("thumbnail").storage
    try:
        return str(storage.save(stored_name("posters", ".jpg"), ContentFile(poster.jpeg)))
    except OSError as error:
        raise storage_failure(error) from error


def storage_failure(error: OSError) -> VideoError:
    """``no_room`` for a full disk or quota, else ``storage_error``."""
    full = error.errno in (errno.ENOSPC, errno.EDQUOT)
    return VideoError("no_room" if full else "storage_error", str(error))
