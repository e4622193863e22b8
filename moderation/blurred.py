"""The blurred picture that stands for a poster until somebody asks to see it: made from its
ThumbHash, some 25 bytes that our own child has written, so that nothing of the poster leaves the
server.  The format is that of https://evanw.github.io/thumbhash/ (without transparency)."""

import base64
import binascii
import struct
import zlib
from math import cos, pi

LONGER_SIDE_PIXELS = 32
PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
GREY, RGB = 0, 2  # colour types of PNG


def blurred_png(placeholder: str, *, greyscale: bool) -> bytes:
    """``placeholder`` is the ThumbHash in base64, as ``Attachment.placeholder`` has it.

    Raises ValueError when it is none.
    """
    width, height, lightness, yellow_blue, red_green = planes(placeholder)
    rows = []
    for y in range(height):
        row = bytearray(b"\0")  # no filter
        for at in range(y * width, (y + 1) * width):
            light = lightness[at]
            if greyscale:
                row.append(as_byte(light))
                continue
            blue = light - 2 / 3 * yellow_blue[at]
            red = (3 * light - blue + red_green[at]) / 2
            row += bytes((as_byte(red), as_byte(red - red_green[at]), as_byte(blue)))
        rows.append(bytes(row))
    return png(width, height, GREY if greyscale else RGB, b"".join(rows))


def planes(placeholder: str) -> tuple[int, int, list[float], list[float], list[float]]:
    """Width, height (pixels); lightness, yellow against blue, red against green, row by row."""
    try:
        content = base64.b64decode(placeholder, validate=True)
    except binascii.Error as error:
        raise ValueError("not base64") from error
    if len(content) < 5:
        raise ValueError("too short for a ThumbHash")
    first = int.from_bytes(content[:3], "little")
    second = int.from_bytes(content[3:5], "little")
    if first >> 23:
        raise ValueError("a poster has no transparency")
    landscape, other_side = second >> 15, max(3, second & 7)
    across, down = (7, other_side) if landscape else (other_side, 7)
    ratio = (7 if landscape else second & 7) / ((second & 7 if landscape else 7) or 1)
    if ratio <= 0:
        raise ValueError("no shape")
    width = LONGER_SIDE_PIXELS if ratio > 1 else max(1, round(LONGER_SIDE_PIXELS * ratio))
    height = LONGER_SIDE_PIXELS if ratio <= 1 else max(1, round(LONGER_SIDE_PIXELS / ratio))
    # Four bits each, the lower ones of a byte first; zeros after the end, as other readers do.
    steps = [nibble / 7.5 - 1 for byte in content[5:] for nibble in (byte & 15, byte >> 4)]
    steps += [0.0] * 64
    channels = []
    for nx, ny, middle, scale in (
        (across, down, (first & 63) / 63, (first >> 18 & 31) / 31),
        (3, 3, (first >> 6 & 63) / 31.5 - 1, (second >> 3 & 63) / 63 * 1.25),
        (3, 3, (first >> 12 & 63) / 31.5 - 1, (second >> 9 & 63) / 63 * 1.25),
    ):
        waves = [
            (cx, cy)
            for cy in range(ny)
            for cx in range(0 if cy else 1, nx)
            if cx * ny < nx * (ny - cy)
        ]
        weights = [step * scale for step in steps[: len(waves)]]
        del steps[: len(waves)]
        channels.append(waved(width, height, middle, list(zip(waves, weights, strict=True))))
    return width, height, *channels  # type: ignore[return-value]


def waved(
    width: int, height: int, middle: float, waves: list[tuple[tuple[int, int], float]]
) -> list[float]:
    """The sum of these cosine waves at each pixel."""
    over_x = [[cos(pi / width * (x + 0.5) * cx) for x in range(width)] for cx in range(8)]
    over_y = [[cos(pi / height * (y + 0.5) * cy) for y in range(height)] for cy in range(8)]
    values = []
    for y in range(height):
        at_y = [(over_x[cx], weight * over_y[cy][y] * 2) for (cx, cy), weight in waves]
        values += [middle + sum(wave[x] * weight for wave, weight in at_y) for x in range(width)]
    return values


def as_byte(value: float) -> int:
    return round(255 * min(1.0, max(0.0, value)))


def png(width: int, height: int, colour: int, rows: bytes) -> bytes:
    """A PNG of 8-bit rows, each with its filter byte (ISO/IEC 15948)."""
    header = struct.pack("!IIBBBBB", width, height, 8, colour, 0, 0, 0)
    parts = ((b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b""))
    return PNG_SIGNATURE + b"".join(
        struct.pack("!I", len(body)) + name + body + struct.pack("!I", zlib.crc32(name + body))
        for name, body in parts
    )
