"""The perceptual fingerprint of a video: which pictures are hashed, how the hashes are kept, and
when two videos show the same.  Pure rules; the sandboxed child uses them too.

Each picture becomes a PDQ hash of 256 bits with a quality from 0 to 100; a video becomes the
hashes of one picture a second, as vPDQ does (github.com/facebook/ThreatExchange).
"""

import math
import struct
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

ALGORITHM = "vpdq"
# vPDQ's own numbers: bits in which the same picture may differ, and the quality below which a
# picture shows too little (a black or flat one) to be told from others.
MAX_DISTANCE_BITS = 31
MIN_QUALITY = 50
# Pictures are hashed in this size, each side in pixels; vPDQ takes none larger.
PICTURE_SIDE_PIXELS = 512
# What is decoded for one fingerprint: about two minutes of 1080p at 25 a second.
MAX_DECODED_PIXELS = 1920 * 1080 * 25 * 120
# Half of a usual distance between key frames: what is decoded after a seek, to reach a time.
SECONDS_AFTER_SEEK = 2
UNKNOWN_FRAME_RATE = 60.0

PACKED = struct.Struct(">32sBI")


@dataclass(frozen=True, slots=True)
class FrameHash:
    """One picture: 32 bytes of PDQ, most significant bit first; quality 0 to 100; its time."""

    pdq: bytes
    quality: int
    milliseconds: int


def pack(frames: Iterable[FrameHash]) -> bytes:
    """37 bytes a picture, in the order given."""
    return b"".join(PACKED.pack(each.pdq, each.quality, each.milliseconds) for each in frames)


def unpack(packed: bytes) -> list[FrameHash]:
    return [FrameHash(*fields) for fields in PACKED.iter_unpack(packed)]


def telling(frames: Iterable[FrameHash]) -> list[FrameHash]:
    """Those that show enough to be matched."""
    return [each for each in frames if each.quality >= MIN_QUALITY]


@dataclass(frozen=True, slots=True)
class Sampling:
    """Which pictures of a video are hashed: ``count`` of them, those shown every
    ``step_seconds``; reached by seeking, or by decoding everything."""

    step_seconds: int
    count: int
    seeks: bool = False

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def sampling_for(
    duration: float | None, pixels: int, frame_rate: float | None, max_frames: int
) -> Sampling:
    """One picture a second; every 2, 4, 8 … seconds where that would be more than ``max_frames``
    or too much to decode.

    Steps are powers of two, so that copies of another length, size or codec are looked at in the
    same places: of two fingerprints the sparser one is found in the other.  Key frames alone
    would be quicker, but an encoder puts them where it likes.

    ``duration`` is in seconds, None when unknown; ``pixels`` of one picture.
    """
    seconds = duration or float(max_frames)
    pixels_a_second = pixels * (frame_rate or UNKNOWN_FRAME_RATE)
    seeks = seconds * pixels_a_second > MAX_DECODED_PIXELS
    step = 1
    while (count := math.ceil(seconds / step)) > max_frames or (
        seeks
        and count > 1
        and count * min(step, SECONDS_AFTER_SEEK) * pixels_a_second > MAX_DECODED_PIXELS
    ):
        step *= 2
    return Sampling(step, max(1, count), seeks)


@dataclass(frozen=True, slots=True)
class Match:
    """How much of each of two videos is found in the other, from 0 to 1.

    Both near 1: the same video.  One of them alone: it is contained in the other.
    """

    of_first: float
    of_second: float


def match(first: Sequence[FrameHash], second: Sequence[FrameHash]) -> Match:
    """Compare two fingerprints, wherever in each video the like pictures are.

    A video without a telling picture matches nothing.
    """
    ours, theirs = as_numbers(first), as_numbers(second)
    return Match(share_found(ours, theirs), share_found(theirs, ours))


def as_numbers(frames: Sequence[FrameHash]) -> list[int]:
    return [int.from_bytes(each.pdq) for each in telling(frames)]


def share_found(wanted: Sequence[int], among: Sequence[int]) -> float:
    """The share of ``wanted`` that lies within ``MAX_DISTANCE_BITS`` of one ``among``."""
    found = sum(
        any((one ^ other).bit_count() <= MAX_DISTANCE_BITS for other in among) for one in wanted
    )
    return found / len(wanted) if wanted else 0.0
