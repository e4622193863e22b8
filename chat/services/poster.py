"""What makes a good poster: how large, from where in the video, and not an empty picture."""

from dataclasses import dataclass

from chat.errors import VideoError

JPEG_START = b"\xff\xd8\xff"  # ITU-T T.81, SOI and the next marker
POSTER_WEBP = "poster.webp"  # the file that a child writes
# Where to look for a key frame, as shares of the duration, and never further in than this.
KEY_FRAME_SHARES = (0.1, 0.35, 0.65)
EXACT_SHARES = (0.35, 0.9)
MAX_SEEK_SECONDS = 600.0


@dataclass(frozen=True, slots=True)
class Poster:
    """A JPEG picture that a child has opened and looked at; width and height in pixels."""

    jpeg: bytes
    width: int
    height: int
    blank: bool  # flat, or as good as black


def poster_size(width: int, height: int, max_width: int, max_height: int) -> tuple[int, int]:
    """The video's display size shrunk to fit the bounds (never enlarged), at least 2 × 2."""
    scale = min(1.0, max_width / width, max_height / height)
    return max(2, round(width * scale)), max(2, round(height * scale))


def seek_points(duration: float | None) -> list[float]:
    """Seconds at which to look for a good key frame, best first; none when too short to seek."""
    if duration is None or duration < 0.5:
        return []
    return [min(duration * share, MAX_SEEK_SECONDS) for share in KEY_FRAME_SHARES]


def exact_points(duration: float | None) -> list[float]:
    """Seconds at which to look between the key frames, when those show nothing."""
    if duration is None or duration < 0.5:
        return []
    return [min(duration * share, MAX_SEEK_SECONDS) for share in EXACT_SHARES]


def poster_of_child(jpeg: bytes, width: int, height: int, *, blank: bool) -> Poster:
    """What a sandboxed child has written, opened again and looked at.  Nothing of it is decoded
    here: a decoder that was taken over may have written it.

    Raises:
        VideoError: ``no_decodable_frame`` when there is no JPEG.
    """
    if not jpeg.startswith(JPEG_START):
        raise VideoError("no_decodable_frame", f"the poster is no JPEG: {jpeg[:8]!r}")
    return Poster(jpeg, width, height, blank)
