"""What is done to still pictures in the sandboxed child, with Pillow alone.  Knows no Django."""

import base64
import io
import warnings
from pathlib import Path
from typing import Any

from PIL import Image, UnidentifiedImageError
from thumbhash import rgba_to_thumb_hash

from chat.services.poster import POSTER_WEBP
from chat.services.sandbox.stills import as_jpeg, compose, is_blank
from chat.services.sandbox.tone_mapping import HLG, PQ, colour_table, tone_mapped
from chat.services.storyboard import SHEET, StoryboardPlan

WEBP_QUALITY = 80
PLACEHOLDER_PIXELS = 32  # the longer side of what a placeholder is computed from
UNREADABLE = (
    UnidentifiedImageError, OSError, ValueError, Image.DecompressionBombError,
    Image.DecompressionBombWarning,
)  # fmt: skip


def opened(path: str | Path, image_format: str) -> Image.Image:
    """The picture, decoded whole, as RGB without anything else that the file said."""
    with warnings.catch_warnings():
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        with Image.open(path, formats=[image_format]) as image:
            picture = image.convert("RGB")
    picture.info.clear()
    return picture


def poster_task(parameters: dict[str, Any]) -> dict[str, Any]:
    """``{"path"}`` of a JPEG → its placeholder and size, with its WebP in the file POSTER_WEBP."""
    try:
        picture = opened(parameters["path"], "JPEG")
    except UNREADABLE as error:
        return {"error": "no_decodable_frame", "detail": f"the poster does not open: {error}"}
    picture.save(POSTER_WEBP, "WEBP", quality=WEBP_QUALITY, method=4)
    width, height = picture.size
    return {"placeholder": placeholder(picture), "width": width, "height": height}


def placeholder(picture: Image.Image) -> str:
    """The ThumbHash in base64."""
    small = picture.copy()
    small.thumbnail((PLACEHOLDER_PIXELS, PLACEHOLDER_PIXELS))
    rgba = list(small.convert("RGBA").tobytes())
    return base64.b64encode(bytes(rgba_to_thumb_hash(*small.size, rgba))).decode()


def frame_task(parameters: dict[str, Any]) -> dict[str, Any]:
    """``{"path", "width", "height", "transfer"}`` of a JPEG that ffmpeg wrote → ``{"blank"}``, the
    file tone-mapped in its place where ``transfer`` is of HDR; or ``{"error", "detail"}`` when it
    is not the picture that was asked for."""
    path, expected = Path(parameters["path"]), (parameters["width"], parameters["height"])
    try:
        picture = opened(path, "JPEG")
    except UNREADABLE as error:
        return {"error": "no_decodable_frame", "detail": f"the poster does not open: {error}"}
    if picture.size != expected:
        detail = f"the poster is {picture.size}, not {expected}"
        return {"error": "no_decodable_frame", "detail": detail}
    if parameters["transfer"] in (PQ, HLG):
        path.write_bytes(as_jpeg(tone_mapped(picture, parameters["transfer"])))
    return {"blank": is_blank(path.read_bytes())}


def sheet_task(parameters: dict[str, Any]) -> dict[str, Any]:
    """``{"plan", "tiles": [[time, path]], "transfer"}`` of BMP tiles → the storyboard, with its
    sheet in the file SHEET."""
    plan = StoryboardPlan(**parameters["plan"])
    tiles: list[tuple[float, Image.Image]] = []
    before = b""
    try:
        for time, path in parameters["tiles"]:
            content = Path(path).read_bytes()
            if content != before:  # else the same key frame again
                tiles.append((time, opened(path, "BMP")))
            before = content
    except UNREADABLE as error:
        return {"error": "no_decodable_frame", "detail": f"a tile does not open: {error}"}
    tiles = [(time, tone_mapped(picture, parameters["transfer"])) for time, picture in tiles]
    return compose(plan, tiles, Path(SHEET)).to_json()


def look_task(parameters: dict[str, Any]) -> dict[str, Any]:
    """``{"path", "format"}`` → ``{"width", "height"}`` of a picture that decodes whole."""
    try:
        width, height = opened(parameters["path"], parameters["format"]).size
    except UNREADABLE as error:
        return {"error": "no_decodable_frame", "detail": f"it does not open: {error}"}
    return {"width": width, "height": height}


def warm_up() -> None:
    """Use once what a child will use: Pillow loads its formats late, and Landlock forbids it."""
    picture = Image.new("RGB", (48, 32), "red")
    placeholder(picture)
    for image_format in ("JPEG", "WEBP", "BMP"):
        written = io.BytesIO()
        picture.save(written, image_format)
        with Image.open(written, formats=[image_format]) as image:
            image.load()
    for transfer in (PQ, HLG):
        colour_table(transfer)


warm_up()

TASKS = {
    "pictures.poster": poster_task,
    "pictures.frame": frame_task,
    "pictures.sheet": sheet_task,
    "pictures.look": look_task,
}
