"""Received pictures, opened by Pillow inside the sandboxed child: what they are, and a thumbnail.
Runs in the media helper; knows no Django."""

import importlib
import io
import warnings
from pathlib import Path
from typing import Any

from PIL import GifImagePlugin, Image, ImageOps, JpegImagePlugin, PngImagePlugin, WebPImagePlugin

from chat.services.poster import poster_size
from chat.services.sandbox.stills import as_jpeg, is_blank

# Besides these nothing is tried: Pillow knows 43 formats, one of which starts Ghostscript.
# (A JPEG that holds several pictures, as phones write them, opens as an "MPO".)
PLUGINS = (JpegImagePlugin, PngImagePlugin, WebPImagePlugin, GifImagePlugin)
FORMATS = ("JPEG", "PNG", "WEBP", "GIF")
LATE_IMPORTS = (
    "ImageCms", "ImageColor", "ImageFile", "ImageFilter", "ImagePalette", "BmpImagePlugin",
    "MpoImagePlugin", "PpmImagePlugin", "TiffImagePlugin", "TiffTags",
)  # fmt: skip
THUMBNAIL = "thumbnail.jpg"
ORIENTATION = 0x0112  # Exif tag; 5 to 8 are turned by 90 or 270 degrees
DEEP_MODES = ("I", "I;16", "I;16L", "I;16B", "I;16N")  # 16 bits a sample


def examine_image(parameters: dict[str, Any]) -> dict[str, Any]:
    """``{"path", "max_pixels", "max_width", "max_height"}`` → ``{"content_type", "width",
    "height", "thumbnail_width", "thumbnail_height", "blank"}`` with the thumbnail in the file
    THUMBNAIL, or ``{"error", "detail"}``.  Width and height are as displayed."""
    Image.MAX_IMAGE_PIXELS = parameters["max_pixels"]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(parameters["path"], formats=FORMATS) as image:
                return described(image, parameters)
    except (Image.DecompressionBombWarning, Image.DecompressionBombError) as error:
        return {"error": "too_many_pixels", "detail": str(error)}
    except MemoryError as error:
        return {"error": "memory_limit", "detail": str(error)}
    except PermissionError:  # a module that warm_up forgot: a mistake of ours, not of the file
        raise
    except Exception as error:  # Pillow's plugins raise almost anything over a damaged file
        return {"error": "corrupt", "detail": f"{type(error).__name__}: {error}"}


def described(image: Image.Image, parameters: dict[str, Any]) -> dict[str, Any]:
    width, height = image.size
    if image.getexif().get(ORIENTATION) in (5, 6, 7, 8):
        width, height = height, width
    content_type = "image/jpeg" if image.format == "MPO" else Image.MIME[image.format or ""]
    bounds = parameters["max_width"], parameters["max_height"]
    size = poster_size(width, height, *bounds)
    # A JPEG is decoded in a fraction of its size where that is enough.
    image.draft("RGB", (max(size), max(size)))
    upright = ImageOps.exif_transpose(image)
    thumbnail = opaque(upright).resize(size, Image.Resampling.LANCZOS, reducing_gap=2.0)
    thumbnail.info.clear()  # nor the comment, nor the colour profile, travel on
    jpeg = as_jpeg(thumbnail)
    Path(THUMBNAIL).write_bytes(jpeg)
    return {
        "content_type": content_type,
        "width": width,
        "height": height,
        "thumbnail_width": size[0],
        "thumbnail_height": size[1],
        "blank": is_blank(jpeg),
    }


def opaque(image: Image.Image) -> Image.Image:
    """The picture in RGB, on white where it is transparent."""
    if image.mode in DEEP_MODES:
        return image.convert("I").point(lambda value: value / 256).convert("L").convert("RGB")
    if not image.has_transparency_data:
        return image.convert("RGB")
    image = image.convert("RGBA")
    ground = Image.new("RGB", image.size, "white")
    ground.paste(image, mask=image.getchannel("A"))
    return ground


def warm_up() -> None:
    """Import all that Pillow imports late, and use every codec once: under Landlock a late
    import fails."""
    for name in LATE_IMPORTS:
        importlib.import_module(f"PIL.{name}")
    for plugin in PLUGINS:
        kind = plugin.__name__.rpartition(".")[2].removesuffix("ImagePlugin").upper()
        encoded = io.BytesIO()
        Image.new("RGB", (8, 8)).save(encoded, "JPEG" if kind == "JPEG" else kind)
        with Image.open(encoded, formats=FORMATS) as image:
            image.getexif()
            as_jpeg(opaque(ImageOps.exif_transpose(image)).resize((4, 4)))


warm_up()

TASKS = {"image.examine": examine_image}
