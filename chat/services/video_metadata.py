"""From what a media engine read to what is true of a video: pure rules, no files, no processes.

A media engine fills a ``Probe``; ``VideoMetadata.from_probe`` applies the rules.  They are
written here once, whatever engine read the file.
"""

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from chat.errors import VideoError

MIN_FRAME_RATE = 0.001  # a picture in a quarter of an hour; less would be stored as 0
MAX_FRAME_RATE = 300.0  # above it stands a time base (1000/1), not a rate
MIN_SANE_DURATION_SECONDS = 0.001  # less would be stored as 0
MAX_SANE_DURATION_SECONDS = 100 * 3600.0
# How far a header may be from the packets and still be believed: seconds, and a share.
DURATION_TOLERANCE_SECONDS = 0.5
DURATION_TOLERANCE_SHARE = 0.05
MAX_KBPS = 2_000_000

CONTENT_TYPES = {
    "mp4": "video/mp4",
    "mov": "video/quicktime",
    "3gp": "video/3gpp",
    "webm": "video/webm",
    "matroska": "video/x-matroska",
    "avi": "video/x-msvideo",
    "flv": "video/x-flv",
    "asf": "video/x-ms-wmv",
    "mpegts": "video/mp2t",
    "mpeg": "video/mpeg",
    "ogg": "video/ogg",
}
# MP4 major brands (ISO/IEC 14496-12 section 4.3) that tell more than "some MP4".
QUICKTIME_BRAND = "qt"
STILL_IMAGE_BRANDS = ("avif", "avis", "heic", "heix", "mif1", "msf1")
WEBM_CODECS = {"vp8", "vp9", "av1", "vorbis", "opus", ""}


@dataclass(frozen=True, slots=True)
class ProbedStream:
    """One track as the engine saw it; unknown numbers are None, unknown names empty."""

    index: int
    kind: str  # "video", "audio", "subtitle", "data", ...
    codec: str
    codec_tag: str = ""
    width: int = 0
    height: int = 0
    sample_aspect: Fraction | None = None
    display_rotation: float = 0.0  # degrees counter-clockwise, as the display matrix says
    average_rate: Fraction | None = None
    base_rate: Fraction | None = None
    duration: float | None = None  # seconds
    bit_rate: int | None = None  # bit/s
    attached_picture: bool = False
    still_image: bool = False
    default: bool = False
    encrypted: bool = False
    interlaced: bool = False
    transfer: str = ""  # ffmpeg's name of the transfer characteristics, such as "smpte2084"
    pixel_format: str = ""  # ffmpeg's name, such as "yuv420p"; of ffprobe only
    matrix: str = ""  # ffmpeg's name of the colour space, such as "bt709"; of ffprobe only

    @property
    def area(self) -> int:
        return self.width * self.height


@dataclass(frozen=True, slots=True)
class Probe:
    """A whole file as the engine saw it."""

    format_name: str  # ffmpeg's demuxer name, such as "mov,mp4,m4a,3gp,3g2,mj2"
    major_brand: str
    duration: float | None  # seconds, from the header
    bit_rate: int | None  # bit/s
    size: int  # bytes
    streams: tuple[ProbedStream, ...]
    # Seconds: where the first packet and the header's own start time lie, and where the last
    # packet of each track ends.  No ends: they could not be read.
    starts: tuple[float, ...] = (0.0,)
    track_ends: tuple[float, ...] = ()

    @property
    def video_stream(self) -> ProbedStream:
        """The best moving picture: never cover art; the default one first, then the largest.

        Raises:
            VideoError: ``not_a_video``, ``no_video_stream``, ``unsupported_codec``.
        """
        if self.major_brand in STILL_IMAGE_BRANDS:
            raise VideoError("not_a_video", f"a still image (brand {self.major_brand})")
        moving = [s for s in self.streams if s.kind == "video" and not s.attached_picture]
        moving = [s for s in moving if not s.still_image] or moving
        if not moving:
            raise VideoError("no_video_stream", f"streams: {[s.codec for s in self.streams]}")
        known = [s for s in moving if s.codec and s.area]
        if not known:
            names = ", ".join(s.codec or s.codec_tag or "unknown" for s in moving)
            raise VideoError("unsupported_codec", f"no picture size or decoder for: {names}")
        # A default track wins unless it is a small still beside the real picture.
        largest = max(known, key=lambda s: (s.area, -s.index))
        return max(
            known,
            key=lambda s: (s.default and s.area * 16 >= largest.area, s.area, -s.index),
        )

    @property
    def audio_stream(self) -> ProbedStream | None:
        sounds = [s for s in self.streams if s.kind == "audio" and s.codec]
        return max(sounds, key=lambda s: (s.default, -s.index), default=None)

    @property
    def container(self) -> str:
        """The short name of the container: a key of ``CONTENT_TYPES`` or ffmpeg's own name."""
        names = self.format_name.split(",")
        if "mov" in names:
            if self.major_brand.startswith(QUICKTIME_BRAND):
                return "mov"
            return "3gp" if self.major_brand.startswith(("3gp", "3g2")) else "mp4"
        if "webm" in names:
            playable = {s.codec for s in self.streams if s.kind in ("video", "audio")}
            return "webm" if playable <= WEBM_CODECS else "matroska"
        return "mpeg" if names[0] == "mpegvideo" else names[0]


@dataclass(frozen=True, slots=True)
class VideoMetadata:
    """What is known of a video, as stored in its row."""

    width: int  # pixels as displayed: after rotation, with square pixels
    height: int
    duration: float | None  # seconds; None rather than a lie
    bitrate: int | None  # kbps: of the stream, else of the container, else size over duration
    codec: str
    container: str
    content_type: str
    audio_codec: str  # empty when there is no sound
    frame_rate: float | None  # frames a second; None rather than 0/0 or absurd
    rotation: int  # degrees clockwise: 0, 90, 180 or 270

    @classmethod
    def from_probe(cls, probe: Probe) -> "VideoMetadata":
        """Apply the rules to what an engine read.

        Raises:
            VideoError: ``not_a_video``, ``no_video_stream``, ``unsupported_codec``.
        """
        stream = probe.video_stream
        audio = probe.audio_stream
        rotation = clockwise_rotation(stream.display_rotation)
        width, height = display_size(stream, rotation)
        duration = true_duration(probe, stream)
        return cls(
            width=width,
            height=height,
            duration=duration,
            bitrate=kilobits_per_second(probe, stream, duration),
            codec=stream.codec,
            container=probe.container,
            content_type=CONTENT_TYPES.get(probe.container, "application/octet-stream"),
            audio_codec=audio.codec if audio else "",
            frame_rate=sane_rate(stream),
            rotation=rotation,
        )


def clockwise_rotation(matrix_degrees: float) -> int:
    """The display matrix's angle (counter-clockwise) as 0, 90, 180 or 270 degrees clockwise.

    A zero matrix gives an absurd angle on real files: it turns nothing.
    """
    if not math.isfinite(matrix_degrees) or abs(matrix_degrees) > 360:
        return 0
    return round(-matrix_degrees / 90) * 90 % 360


def display_size(stream: ProbedStream, rotation: int) -> tuple[int, int]:
    """(width, height) in square pixels after rotation, at least 1 each.

    The sample aspect stretches or shrinks the width, as players do.
    """
    width, height = stream.width, stream.height
    aspect = stream.sample_aspect
    if aspect and Fraction(1, 20) < aspect < 20:
        width = max(1, round(width * aspect))
    return (height, width) if rotation in (90, 270) else (width, height)


def sane_seconds(value: float | None) -> float | None:
    """The value when it can be a duration: finite, a millisecond or more, below 100 hours."""
    if value is None or not math.isfinite(value):
        return None
    return value if MIN_SANE_DURATION_SECONDS <= value < MAX_SANE_DURATION_SECONDS else None


def true_duration(probe: Probe, stream: ProbedStream) -> float | None:
    """Seconds: the header's word where a track's packets agree with it (or where their end is
    unknown), else what the longest track spans."""
    header = sane_seconds(probe.duration) or sane_seconds(stream.duration)
    spans = [sane_seconds(end - start) for end in probe.track_ends for start in probe.starts]
    known = [span for span in spans if span is not None]
    if header is not None:
        # Any track will do: tracks end at different times, and after a seek some demuxers (Ogg)
        # count the times of one of them wrongly.  Any start: the first packet is not the first
        # picture where pictures are reordered, and a header's start time may be made up.
        tolerance = max(DURATION_TOLERANCE_SECONDS, DURATION_TOLERANCE_SHARE * header)
        if not known or any(abs(header - span) <= tolerance for span in known):
            return round(header, 3)
    return round(max(known), 3) if known else None


def kilobits_per_second(probe: Probe, stream: ProbedStream, duration: float | None) -> int | None:
    for bits in (stream.bit_rate, probe.bit_rate):
        if bits and 0 < bits // 1000 <= MAX_KBPS:
            return bits // 1000
    if duration:
        measured = round(probe.size * 8 / duration / 1000)
        return measured if 0 < measured <= MAX_KBPS else None
    return None


def sane_rate(stream: ProbedStream) -> float | None:
    for rate in (stream.average_rate, stream.base_rate):
        if rate and MIN_FRAME_RATE <= rate <= MAX_FRAME_RATE:
            return round(float(rate), 3)
    return None


def as_fraction(text: Any, separator: str = "/") -> Fraction | None:
    """``"30000/1001"`` → Fraction; None for ``0/0``, ``N/A`` and nonsense."""
    numerator, _, denominator = str(text or "").partition(separator)
    try:
        return Fraction(int(numerator), int(denominator or 1))
    except (ValueError, ZeroDivisionError):
        return None


def as_float(text: Any) -> float | None:
    try:
        return float(text)
    except (TypeError, ValueError):
        return None


def as_int(text: Any) -> int | None:
    try:
        return int(text)
    except (TypeError, ValueError):
        return None
