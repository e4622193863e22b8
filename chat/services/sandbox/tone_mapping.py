"""High dynamic range to what an ordinary screen shows, for still pictures.

A picture decoded from HDR video carries PQ or HLG code values in BT.2020 colours; shown as they
are, they look grey and flat.  Pillow's three-dimensional colour table maps them in one pass.
Sources: SMPTE ST 2084 (PQ), ITU-R BT.2100 (HLG), BT.2087 (BT.2020 to BT.709), BT.2408 (reference
white of 203 cd/m²), the extended Reinhard curve.
"""

from functools import cache

from PIL import Image, ImageFilter

PQ, HLG = "smpte2084", "arib-std-b67"
# Numbers of the same in ISO/IEC 23091-2, as libav gives them.
TRANSFER_NAMES = {16: PQ, 18: HLG}

REFERENCE_WHITE = 203.0  # cd/m²
PEAK = 1000.0  # cd/m², of what most HDR video is graded for
TABLE_SIZE = 25
BT2020_TO_BT709 = (
    (1.6605, -0.5876, -0.0728),
    (-0.1246, 1.1329, -0.0083),
    (-0.0182, -0.1006, 1.1187),
)
LUMA_2020 = (0.2627, 0.6780, 0.0593)


def pq_to_light(value: float) -> float:
    """A PQ code value (0 to 1) as light, relative to reference white."""
    power = value ** (1 / 78.84375)
    linear = max(power - 0.8359375, 0.0) / (18.8515625 - 18.6875 * power)
    return float(10_000.0 * linear ** (1 / 0.1593017578125) / REFERENCE_WHITE)


def hlg_to_scene(value: float) -> float:
    """An HLG code value (0 to 1) as scene light, 0 to 1."""
    if value <= 0.5:
        return value * value / 3
    return float((2.718281828459045 ** ((value - 0.55991073) / 0.17883277) + 0.28466892) / 12)


def to_srgb(light: float) -> float:
    light = min(max(light, 0.0), 1.0)
    return 12.92 * light if light <= 0.0031308 else float(1.055 * light ** (1 / 2.4) - 0.055)


def luma(rgb: tuple[float, float, float]) -> float:
    return sum(weight * part for weight, part in zip(LUMA_2020, rgb, strict=True))


def light_of(rgb: tuple[float, float, float], transfer: str) -> tuple[float, float, float]:
    """Displayed light of three code values, relative to reference white."""
    if transfer == PQ:
        red, green, blue = (pq_to_light(part) for part in rgb)
        return red, green, blue
    scene = tuple(hlg_to_scene(part) for part in rgb)
    # The system gamma of a 1,000 cd/m² display (BT.2100, table 5).
    gain = luma((scene[0], scene[1], scene[2])) ** 0.2 * PEAK / REFERENCE_WHITE
    return scene[0] * gain, scene[1] * gain, scene[2] * gain


def mapped(rgb: tuple[float, float, float], transfer: str) -> tuple[float, float, float]:
    """Code values (0 to 1) of an HDR picture as sRGB code values."""
    light = light_of(rgb, transfer)
    bright = luma(light)
    white = PEAK / REFERENCE_WHITE
    factor = (1 + bright / (white * white)) / (1 + bright)
    toned = [part * factor for part in light]
    red, green, blue = (
        to_srgb(1.3 * sum(weight * part for weight, part in zip(row, toned, strict=True)))
        for row in BT2020_TO_BT709
    )
    return red, green, blue


@cache
def colour_table(transfer: str) -> ImageFilter.Color3DLUT:
    return ImageFilter.Color3DLUT.generate(
        TABLE_SIZE, lambda red, green, blue: mapped((red, green, blue), transfer)
    )


def tone_mapped(image: Image.Image, transfer: str) -> Image.Image:
    """An RGB picture as an ordinary screen should show it; unchanged when it is not HDR."""
    return image.filter(colour_table(transfer)) if transfer in (PQ, HLG) else image
