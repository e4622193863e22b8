"""Examining one opened file: the order of questions, the limits on what it may be, the choice of
the poster.  Written once for both engines; an engine answers ``probe`` and ``frame``."""

from dataclasses import asdict, dataclass
from typing import Any, Protocol

from chat.errors import VideoError
from chat.services.libav_words import limit_named
from chat.services.poster import Poster, exact_points, poster_size, seek_points
from chat.services.video_metadata import Probe, ProbedStream, VideoMetadata

MAX_SIDE_PIXELS = 16_384  # no codec in use here goes further; JPEG ends at 65,535


@dataclass(frozen=True, slots=True)
class VideoBounds:
    """What a video may be, and how large its poster becomes; names carry the units."""

    max_duration_seconds: float
    max_pixels: int
    max_streams: int
    poster_max_width: int
    poster_max_height: int

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True, slots=True)
class FrameRequest:
    """Which frame to take and how large to make it (pixels, after rotation)."""

    stream: ProbedStream
    width: int
    height: int
    seek_seconds: float = 0.0
    key_frames_only: bool = True


class OpenedMedia(Protocol):
    """One file as an engine holds it.  Both methods raise VideoError."""

    @property
    def said(self) -> str:
        """The end of what the tool or library logged."""

    def probe(self) -> Probe: ...

    def frame(self, request: FrameRequest) -> Poster | None: ...


@dataclass(frozen=True, slots=True)
class ExaminedVideo:
    """What a file turned out to be: its metadata and a poster that opens."""

    metadata: VideoMetadata
    poster: Poster


def examine(media: OpenedMedia, bounds: VideoBounds) -> ExaminedVideo:
    """Metadata and poster.

    Raises:
        VideoError: why the file is refused.
    """
    probe, metadata = describe(media)
    refuse_excess(probe, metadata, bounds)
    return ExaminedVideo(metadata, choose_poster(media, probe, metadata, bounds))


def frame_at(media: OpenedMedia, bounds: VideoBounds, seconds: float) -> Poster:
    """The picture at this time, as a poster; one that shows nothing is taken as it is.

    Raises:
        VideoError: why there is none; ``no_decodable_frame`` past the end.
    """
    probe, metadata = describe(media)
    refuse_excess(probe, metadata, bounds)
    if metadata.duration is not None and seconds >= metadata.duration:
        raise VideoError("no_decodable_frame", f"{seconds:.3f} s is past the end")
    size = poster_size(
        metadata.width, metadata.height, bounds.poster_max_width, bounds.poster_max_height
    )
    request = FrameRequest(probe.video_stream, *size, seconds, key_frames_only=False)
    poster = media.frame(request)
    if poster is None:
        raise VideoError("no_decodable_frame", f"at {seconds:.3f} s: {media.said[-500:]}")
    return poster


def describe(media: OpenedMedia) -> tuple[Probe, VideoMetadata]:
    """What was read, and what is true of it.

    Raises:
        VideoError: why the file is refused.
    """
    try:
        probe = media.probe()
        return probe, VideoMetadata.from_probe(probe)
    except VideoError as error:
        # Of a picture that was too large to open no size is known: the limit is the reason.
        if error.code == "unsupported_codec" and (limit := limit_named(media.said)):
            raise limit from error
        raise


def refuse_excess(probe: Probe, metadata: VideoMetadata, bounds: VideoBounds) -> None:
    """Refuse what passes a bound, naming its setting and both values."""
    stream = probe.video_stream
    longer_side = max(stream.width, stream.height)
    for code, value, name, limit in (
        ("too_many_streams", len(probe.streams), "VIDEO_MAX_STREAMS", bounds.max_streams),
        ("too_many_pixels", stream.area, "VIDEO_MAX_PIXELS", bounds.max_pixels),
        ("too_many_pixels", longer_side, "the longest side", MAX_SIDE_PIXELS),
        ("too_long", metadata.duration or 0.0, "VIDEO_MAX_DURATION_SECONDS",
         bounds.max_duration_seconds),
    ):  # fmt: skip
        if value > limit:
            raise VideoError(code, f"{value:.10g} passes {name}, {limit:.10g}")


def choose_poster(
    media: OpenedMedia, probe: Probe, metadata: VideoMetadata, bounds: VideoBounds
) -> Poster:
    """A frame that shows something, else any frame that decodes.

    Key frames further in first; then the first frame, which decodes wherever anything does; last
    frames between them, decoded from the key frame before.

    Raises:
        VideoError: ``no_decodable_frame`` or ``encrypted`` when no frame decodes, or a limit.
    """
    stream = probe.video_stream
    size = poster_size(
        metadata.width, metadata.height, bounds.poster_max_width, bounds.poster_max_height
    )
    seen: list[Poster] = []
    for seek in seek_points(metadata.duration):
        try:
            poster = media.frame(FrameRequest(stream, *size, seek))
        except VideoError as error:
            if error.code in ("media_tools_missing", "media_helper_lost"):
                raise
            break
        if poster is None:
            break
        if poster in seen:  # the next key frame is further in
            continue
        if not poster.blank:
            return poster
        seen.append(poster)
    if not seen:
        poster = media.frame(FrameRequest(stream, *size, key_frames_only=False))
        if poster is None:
            raise VideoError(
                "encrypted" if stream.encrypted else "no_decodable_frame", media.said[-500:]
            )
        if not poster.blank:
            return poster
        seen.append(poster)
    for seek in exact_points(metadata.duration):
        try:
            poster = media.frame(FrameRequest(stream, *size, seek, key_frames_only=False))
        except VideoError:
            break  # too costly; a decoded picture is at hand
        if poster and not poster.blank:
            return poster
    return seen[0]
