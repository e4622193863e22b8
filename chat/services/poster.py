"""What makes a good poster: how large, from where in the video, and not an empty picture."""

import io
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, ImageStat, UnidentifiedImageError

from chat.errors import VideoError
from chat.services.tone_mapping import HLG, PQ, tone_mapped

# Below these a picture shows nothing (8-bit luma: standard deviation; mean of a dark one).
FLAT_DEVIATION = 3.0
DARK_MEAN = 20.0
DARK_DEVIATION = 8.0
JPEG_QUALITY = 85
# Where to look for a key frame, as shares of the duration, and never further in than this.
KEY_FRAME_SHARES = (0.1, 0.35, 0.65)
MAX_SEEK_SECONDS = 600.0


@dataclass(frozen=True, slots=True)
class Poster:
    """A JPEG picture that has been opened and looked at; width and height in pixels."""

    jpeg: bytes
    width: int
    height: int


def poster_size(width: int, height: int, max_width: int, max_height: int) -> tuple[int, int]:
    """The video's display size shrunk to fit the bounds (never enlarged), at least 2 × 2."""
    scale = min(1.0, max_width / width, max_height / height)
    return max(2, round(width * scale)), max(2, round(height * scale))


def seek_points(duration: float | None) -> list[float]:
    """Seconds at which to look for a good key frame, best first; none when too short to seek."""
    if duration is None or duration < 0.5:
        return []
    return [min(duration * share, MAX_SEEK_SECONDS) for share in KEY_FRAME_SHARES]


def open_poster(path: Path, expected_size: tuple[int, int], transfer: str = "") -> Poster | None:
    """The written picture, decoded whole and tone-mapped where ``transfer`` is of HDR; None when
    there is none.

    Raises:
        VideoError: ``no_decodable_frame`` when what was written is not the picture asked for.
    """
    if not path.exists() or not path.stat().st_size:
        return None
    jpeg = path.read_bytes()
    try:
        with Image.open(io.BytesIO(jpeg), formats=["JPEG"]) as image:
            image.load()
            size = image.size
            if transfer in (PQ, HLG):
                jpeg = as_jpeg(tone_mapped(image.convert("RGB"), transfer))
    except (UnidentifiedImageError, OSError, ValueError, Image.DecompressionBombError) as error:
        raise VideoError("no_decodable_frame", f"the poster does not open: {error}") from error
    if size != expected_size:
        raise VideoError("no_decodable_frame", f"the poster is {size}, not {expected_size}")
    return Poster(jpeg, *size)


def poster_of_child(jpeg: bytes, expected_size: tuple[int, int]) -> Poster:
    """A picture that the sandboxed child has opened and looked at.  Here only its header is read:
    what decodes it must be a child, for a decoder that was taken over may have written it.

    Raises:
        VideoError: ``no_decodable_frame`` when it is not the picture that the child told of.
    """
    try:
        with Image.open(io.BytesIO(jpeg), formats=["JPEG"]) as image:
            size = image.size
    except (UnidentifiedImageError, OSError, ValueError, Image.DecompressionBombError) as error:
        raise VideoError("no_decodable_frame", f"the poster does not open: {error}") from error
    if size != expected_size:
        raise VideoError("no_decodable_frame", f"the poster is {size}, not {expected_size}")
    return Poster(jpeg, *size)


def as_jpeg(image: Image.Image) -> bytes:
    """The picture's JPEG bytes, without any metadata."""
    written = io.BytesIO()
    image.save(written, "JPEG", quality=JPEG_QUALITY)
    return written.getvalue()


def is_blank(poster: Poster) -> bool:
    """Whether the picture is flat or as good as black."""
    with Image.open(io.BytesIO(poster.jpeg), formats=["JPEG"]) as image:
        image.draft("L", image.size)  # the luma is there already
        grey = ImageStat.Stat(image.convert("L"))
    mean, deviation = grey.mean[0], grey.stddev[0]
    return deviation < FLAT_DEVIATION or (mean < DARK_MEAN and deviation < DARK_DEVIATION)
