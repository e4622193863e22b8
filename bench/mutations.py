"""Damaged copies of good videos, each a pure function of its seed and index."""

import random
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass

# Box and element names near which a change reaches a parser rather than a picture.
NAMES = (
    b"moov", b"mvhd", b"trak", b"tkhd", b"mdia", b"mdhd", b"hdlr", b"minf", b"stbl", b"stsd",
    b"stts", b"ctts", b"stss", b"stsc", b"stsz", b"stco", b"co64", b"elst", b"moof", b"traf",
    b"trun", b"tfhd", b"sidx", b"avcC", b"hvcC", b"esds", b"mdat", b"ftyp", b"RIFF", b"LIST",
    b"avih", b"strh", b"strf", b"idx1", b"movi", b"onMetaData", b"OggS", b"theora", b"matroska",
    b"webm", b"\x1aE\xdf\xa3", b"\x18S\x80g", b"\x16T\xaek", b"\x1fC\xb6u", b"\x47\x40",
)  # fmt: skip
EDGES = (
    0, 1, 7, 8, 0x7F, 0xFF, 0x7FFF, 0xFFFF, 0x10000, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFE,
    0xFFFFFFFF,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Mutation:
    """The ``index``-th damaged file of a seed, and what was done to it."""

    index: int
    source: str
    steps: tuple[str, ...]
    content: bytes


def mutation(seed: int, index: int, sources: Sequence[tuple[str, bytes]]) -> Mutation:
    """Always the same for the same seed, index and sources."""
    chance = random.Random(f"{seed}/{index}")
    name, content = chance.choice(sources)
    damaged = bytearray(content)
    steps = []
    for _ in range(chance.choice((1, 1, 2, 4))):
        step = chance.choice(STEPS)
        step(damaged, chance)
        steps.append(step.__name__)
        if not damaged:
            break
    return Mutation(index, name, tuple(steps), bytes(damaged))


def place(content: bytearray, chance: random.Random) -> int:
    """An offset: anywhere, near the start, or at a name that a parser looks for."""
    near = chance.random()
    if near < 0.4:
        at = content.find(chance.choice(NAMES))
        if at >= 0:
            return min(len(content) - 1, max(0, at + chance.randrange(-8, 40)))
    if near < 0.7:
        return chance.randrange(min(len(content), 4096))
    return chance.randrange(len(content))


def flip_bits(content: bytearray, chance: random.Random) -> None:
    for _ in range(chance.randrange(1, 33)):
        content[place(content, chance)] ^= 1 << chance.randrange(8)


def write_noise(content: bytearray, chance: random.Random) -> None:
    at = place(content, chance)
    size = min(len(content) - at, chance.randrange(1, 257))
    content[at : at + size] = chance.randbytes(size)


def write_edges(content: bytearray, chance: random.Random) -> None:
    """Numbers at the edge of their type, in either byte order."""
    for _ in range(chance.randrange(1, 5)):
        at = place(content, chance)
        number = struct.pack(chance.choice("<>") + "I", chance.choice(EDGES))
        content[at : at + 4] = number[: len(content) - at]


def lie_about_a_size(content: bytearray, chance: random.Random) -> None:
    """The four bytes before the name of a box, or after that of a chunk."""
    at = content.find(chance.choice(NAMES), chance.randrange(max(1, len(content) // 2)))
    if at < 4:
        return
    size = chance.choice((*EDGES, len(content), chance.randrange(2**32)))
    struct.pack_into(">I", content, at - 4, size)


def cut_off(content: bytearray, chance: random.Random) -> None:
    del content[chance.randrange(1, len(content) + 1) :]


def cut_out(content: bytearray, chance: random.Random) -> None:
    at = place(content, chance)
    del content[at : at + chance.randrange(1, 1 + max(1, len(content) // 4))]


def repeat(content: bytearray, chance: random.Random) -> None:
    at = place(content, chance)
    content[at:at] = content[at : at + chance.randrange(1, 8192)]


def swap(content: bytearray, chance: random.Random) -> None:
    size = chance.randrange(1, 1 + max(1, min(8192, len(content) // 4)))
    one, other = (chance.randrange(max(1, len(content) - size)) for _ in range(2))
    first, second = content[one : one + size], content[other : other + size]
    content[one : one + len(second)] = second
    content[other : other + len(first)] = first


def blank(content: bytearray, chance: random.Random) -> None:
    at = place(content, chance)
    size = min(len(content) - at, chance.randrange(1, 4097))
    content[at : at + size] = bytes(size)


STEPS: tuple[Callable[[bytearray, random.Random], None], ...] = (
    flip_bits, write_noise, write_edges, lie_about_a_size, cut_off, cut_out, repeat, swap, blank,
)  # fmt: skip
