"""Still pictures as Pillow sees them, inside the sandboxed child: written as JPEG, looked at, put
on one sheet.  Knows no Django."""

import io
import itertools
from collections.abc import Sequence
from math import ceil
from pathlib import Path

from PIL import Image, ImageStat

from chat.services.storyboard import COLUMNS, Cue, Storyboard, StoryboardPlan

# Below these a picture shows nothing (8-bit luma: standard deviation; mean of a dark one).
FLAT_DEVIATION = 3.0
DARK_MEAN = 20.0
DARK_DEVIATION = 8.0
JPEG_QUALITY = 85
SHEET_QUALITY = 70


def as_jpeg(image: Image.Image, quality: int = JPEG_QUALITY, *, optimize: bool = False) -> bytes:
    """The picture's JPEG bytes, without any metadata."""
    written = io.BytesIO()
    image.save(written, "JPEG", quality=quality, optimize=optimize)
    return written.getvalue()


def is_blank(jpeg: bytes) -> bool:
    """Whether the picture is flat or as good as black."""
    with Image.open(io.BytesIO(jpeg), formats=["JPEG"]) as image:
        image.draft("L", image.size)  # the luma is there already
        grey = ImageStat.Stat(image.convert("L"))
    mean, deviation = grey.mean[0], grey.stddev[0]
    return deviation < FLAT_DEVIATION or (mean < DARK_MEAN and deviation < DARK_DEVIATION)


def compose(
    plan: StoryboardPlan, tiles: Sequence[tuple[float, Image.Image]], target: Path
) -> Storyboard:
    """Write the sheet as JPEG to ``target``.

    ``tiles`` are (time from which it is shown, picture), ascending and each different from the
    one before; the first is shown from the start whatever its time.
    """
    columns = min(COLUMNS, len(tiles))
    rows = ceil(len(tiles) / columns)
    sheet = Image.new("RGB", (columns * plan.tile_width, rows * plan.tile_height))
    starts = [0.0, *(time for time, _picture in tiles[1:]), plan.duration]
    cues = []
    for number, (start, end) in enumerate(itertools.pairwise(starts)):
        corner = number % columns * plan.tile_width, number // columns * plan.tile_height
        sheet.paste(tiles[number][1], corner)
        cues.append(Cue(start, end, *corner))
    # Not to the file itself: Pillow's encoder does not notice when only a part was written.
    target.write_bytes(as_jpeg(sheet, SHEET_QUALITY, optimize=True))
    return Storyboard(*sheet.size, plan.tile_width, plan.tile_height, tuple(cues))
