"""Making and storing a video's perceptual fingerprint: the slow half in a sandboxed child, the
fast half in the caller's transaction, as ``video_service`` does for metadata."""

import importlib.util
import logging
import shutil
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ffmpeg
from django.conf import settings

from chat.errors import VideoError
from chat.models import FINGERPRINT_VERSION, ActivityLog, Attachment, VideoFingerprint
from chat.services import activity, libav_words, media_runner
from chat.services.activity import SYSTEM, Actor
from chat.services.ffmpeg_engine import FfmpegMedia
from chat.services.fingerprints import (
    ALGORITHM,
    PICTURE_SIDE_PIXELS,
    FrameHash,
    Sampling,
    pack,
    sampling_for,
    telling,
)
from chat.services.local_files import local_path
from chat.services.media_helper import print_helper
from chat.services.media_limits import MediaLimits
from chat.services.sandbox.layers import Limits
from chat.services.scratch import scratch_folder

logger = logging.getLogger(__name__)

INSTALL = "install a C++ compiler and start again, or see “Fingerprints” in the setup guide"
# The share of the wall clock after which decoding stops with what it has.
DECODING_SHARE = 0.8
PICTURES, PART = "pictures.raw", "part.raw"


@dataclass(frozen=True, slots=True)
class PreparedFingerprint:
    """An attachment's fingerprint before it is written, or the error."""

    attachment: Attachment
    frames: tuple[FrameHash, ...] = ()
    error: VideoError | None = None


def missing_because() -> str:
    """Why this machine can make no fingerprints, as a sentence; empty when it can.  Only looks
    whether the library is there: cheap enough for a page or a check."""
    if importlib.util.find_spec("pdqhash") is None:
        return f"Fingerprints need pdqhash, which is not installed here: {INSTALL}."
    return ""


class FingerprintService:
    """Stateless.  Paths in, hashes out; only ``record`` touches the database."""

    def __init__(self, limits: MediaLimits | None = None) -> None:
        self.media_limits = limits or MediaLimits.from_settings()

    @property
    def limits(self) -> Limits:
        """What one child may use."""
        return Limits(
            wall_seconds=settings.FINGERPRINT_WALL_SECONDS,
            cpu_seconds=2 * int(settings.FINGERPRINT_WALL_SECONDS) + 1,  # of two threads
            memory_bytes=settings.MEDIA_MEMORY_BYTES,
            # Pictures on their way from ffmpeg to the hash, and a little for the result.
            output_bytes=PICTURE_SIDE_PIXELS**2 * settings.FINGERPRINT_MAX_FRAMES + 2**20,
        )

    def hash_frames(self, path: Path, sampling: Sampling) -> list[FrameHash]:
        """The hashes of the pictures that ``sampling`` names, flat and black ones left out.

        Raises:
            VideoError: why there is none; ``fingerprints_missing`` where pdqhash is not installed.
        """
        helper = print_helper()
        tasks = helper.known_tasks()
        if "prints.pictures" not in tasks:
            reason = helper.unavailable.get("print_tasks", "")
            raise VideoError("fingerprints_missing", reason)
        libav = settings.MEDIA_ENGINE == "libav" and "prints.video" in tasks
        hashed = self._decode_and_hash if libav else self._write_then_hash
        with scratch_folder() as scratch:
            answer = hashed(path, scratch, sampling)
        if "error" in answer:
            raise VideoError(answer["error"], answer["detail"])
        return telling(
            FrameHash(bytes.fromhex(pdq), quality, round(seconds * 1000))
            for pdq, quality, seconds in answer["frames"]
        )

    def _options(self) -> dict[str, str]:
        bounds = self.media_limits.bounds
        return libav_words.input_options(bounds.max_pixels, bounds.max_streams)

    def _decode_and_hash(self, path: Path, scratch: Path, sampling: Sampling) -> dict[str, Any]:
        # A name of ours only: no extension to guess a format from.
        source = scratch / "input"
        source.symlink_to(path.resolve())
        parameters = {
            "path": str(source),
            "options": self._options(),
            "sampling": sampling.to_json(),
            "seconds": self.limits.wall_seconds * DECODING_SHARE,
        }
        answer: dict[str, Any] = media_runner.run_task(
            "prints.video", parameters, self.limits, scratch, source, print_helper()
        )
        return answer

    def _write_then_hash(self, path: Path, scratch: Path, sampling: Sampling) -> dict[str, Any]:
        """With the ``ffmpeg`` engine: raw pictures from ffmpeg, hashed in another child."""
        media = FfmpegMedia(path, scratch, self.media_limits)
        track = media.probe().video_stream.index
        pictures = scratch / PICTURES
        deadline = time.monotonic() + self.limits.wall_seconds
        said = ""
        with pictures.open("wb") as all_pictures:
            for arguments in self.ffmpeg_runs(media.path, track, scratch / PART, sampling):
                finished = media_runner.run(arguments, self.limits, scratch, media.source)
                said = finished.stderr
                if (scratch / PART).exists():
                    with (scratch / PART).open("rb") as part:
                        shutil.copyfileobj(part, all_pictures)
                    (scratch / PART).unlink()
                if deadline - time.monotonic() < self.limits.wall_seconds * (1 - DECODING_SHARE):
                    break
        if not pictures.stat().st_size:
            raise libav_words.limit_named(said) or VideoError("no_decodable_frame", said[-500:])
        parameters = {
            "path": str(pictures),
            "first_seconds": 0,
            "step_seconds": sampling.step_seconds,
        }
        answer: dict[str, Any] = media_runner.run_task(
            "prints.pictures",
            parameters,
            self.limits,
            scratch,
            pictures,
            print_helper(),
        )
        return answer

    def ffmpeg_runs(
        self, source: Path, track: int, target: Path, sampling: Sampling
    ) -> Iterator[list[str]]:
        """ffmpeg's argument lists that write the pictures as raw grey bytes to ``target``: one
        for all, or one for each where they are reached by seeking."""
        if not sampling.seeks:
            yield self.ffmpeg_arguments(source, track, target, sampling)
            return
        for number in range(sampling.count):
            one = Sampling(sampling.step_seconds, 1)
            seek = number * sampling.step_seconds
            yield self.ffmpeg_arguments(source, track, target, one, seek)

    def ffmpeg_arguments(
        self, source: Path, track: int, target: Path, sampling: Sampling, seek: int = 0
    ) -> list[str]:
        options: dict[str, Any] = {**self._options(), "threads": 2}
        if seek:
            options["ss"] = seek
        side = PICTURE_SIDE_PIXELS
        output = (
            ffmpeg.input(f"file:{source}", **options)[str(track)]
            .filter("fps", f"1/{sampling.step_seconds}", round="up")
            .filter("scale", side, side, flags="bilinear", out_range="pc")
            .filter("format", "gray")
            .output(
                f"file:{target}",
                f="rawvideo",
                vframes=sampling.count,
                timelimit=max(1, int(self.limits.wall_seconds * DECODING_SHARE)),
            )
            .global_args("-nostdin", "-v", "error", "-max_alloc", str(libav_words.MAX_ALLOC_BYTES))
        )
        arguments: list[str] = ffmpeg.compile(
            output, cmd=settings.FFMPEG_BINARY, overwrite_output=True
        )
        return arguments

    def prepare(self, attachment: Attachment) -> PreparedFingerprint:
        """The slow half: read the stored file.  No database; an error is part of the result."""
        try:
            return PreparedFingerprint(attachment, tuple(self.hash_attachment(attachment)))
        except VideoError as error:
            logger.info(
                "attachment %s: no fingerprint: %s (%s)", attachment.pk, error.code, error.detail
            )
            return PreparedFingerprint(attachment, error=error)

    def rehearse(self, attachment: Attachment) -> None:
        """As ``prepare``, to see how long it takes.

        Raises:
            VideoError: as ``hash_frames``.
        """
        self.hash_attachment(attachment)

    def hash_attachment(self, attachment: Attachment) -> list[FrameHash]:
        """Of the stored file.

        Raises:
            VideoError: as ``hash_frames``.
        """
        sampling = sampling_for(
            attachment.duration,
            (attachment.width or 0) * (attachment.height or 0),
            attachment.frame_rate,
            settings.FINGERPRINT_MAX_FRAMES,
        )
        with local_path(attachment.file) as path:
            return self.hash_frames(path, sampling)

    def record(self, prepared: PreparedFingerprint, actor: Actor = SYSTEM) -> bool:
        """The fast half: write fingerprint and activity entry in the caller's transaction.

        An error leaves the attachment as it is: a video without a fingerprint plays as before.
        """
        error = prepared.error
        if error is None:
            VideoFingerprint.objects.update_or_create(
                attachment_id=prepared.attachment.pk,
                defaults={
                    "algorithm": ALGORITHM,
                    "packed_frames": pack(prepared.frames),
                    "pipeline_version": FINGERPRINT_VERSION,
                },
            )
        activity.record(
            ActivityLog.Action.ATTACHMENT_FINGERPRINTED,
            actor,
            prepared.attachment,
            outcome=ActivityLog.Outcome.FAILED if error else ActivityLog.Outcome.OK,
            details={"code": error.code} if error else {"frames": len(prepared.frames)},
        )
        return True

    def given_up(self, attachment: Attachment, error: VideoError) -> PreparedFingerprint:
        """The outcome of an attachment that is not tried."""
        return PreparedFingerprint(attachment, error=error)

    def discard(self, prepared: PreparedFingerprint) -> None:
        """Nothing: what was prepared is in memory alone."""

    def discard_unrecorded(self, prepared: Sequence[PreparedFingerprint]) -> None:
        """As ``discard``."""
