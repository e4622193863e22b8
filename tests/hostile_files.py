"""Files that cost more than they weigh: memory, pixel, time and number bombs, made in pure Python
and, where a codec is needed, by ffmpeg.

The MP4s are written box by box (ISO/IEC 14496-12; ``cmov`` after the QuickTime File Format); their
pictures are PNGs, which libav decodes from MP4.
"""

import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache

from tests.clips import clip

MILLION = 1_000_000
UNITY_MATRIX = struct.pack(">9i", 0x10000, 0, 0, 0, 0x10000, 0, 0, 0, 0x40000000)
TIMESCALE = 1000


@cache
def png(width: int, height: int, *, level: int = 6) -> bytes:
    """A grey picture with a bright upper half, so that it is not taken for a blank one."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        checksum = zlib.crc32(kind + body)
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", checksum)

    packer = zlib.compressobj(level)
    packed = bytearray()
    for row in range(height):
        packed += packer.compress(b"\0" + bytes([230 if row < height // 2 else 60]) * width)
    packed += packer.flush()
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", bytes(packed))
        + chunk(b"IEND", b"")
    )


def box(kind: bytes, *parts: bytes) -> bytes:
    body = b"".join(parts)
    return struct.pack(">I", 8 + len(body)) + kind + body


def full_box(kind: bytes, *parts: bytes, flags: int = 0) -> bytes:
    return box(kind, struct.pack(">I", flags), *parts)


@dataclass
class Track:
    """One video track.  Every sample is the same picture, ``sample_bytes`` long; ``samples`` of
    them are claimed, ``ticks`` (ms) apart."""

    samples: int = 25
    ticks: int = 40
    sample_bytes: int = 0
    side: tuple[int, int] = (64, 64)
    claimed_duration: int | None = None  # ms
    chunk_offsets: Sequence[int] = field(default_factory=list)

    @property
    def duration(self) -> int:
        claimed = self.claimed_duration
        return self.samples * self.ticks if claimed is None else claimed

    def boxes(self, number: int) -> bytes:
        width, height = self.side
        duration = min(self.duration, 0xFFFFFFF0)
        header = struct.pack(">IIIII", 0, 0, number, 0, duration) + bytes(16) + UNITY_MATRIX
        header += struct.pack(">II", width << 16, height << 16)
        media = struct.pack(">IIIIHH", 0, 0, TIMESCALE, duration, 0x55C4, 0)
        kind = struct.pack(">I4s12x", 0, b"vide") + b"\0"
        data = full_box(b"dref", struct.pack(">I", 1), full_box(b"url ", flags=1))
        return box(
            b"trak",
            full_box(b"tkhd", header, flags=3),
            box(
                b"mdia",
                full_box(b"mdhd", media),
                full_box(b"hdlr", kind),
                box(
                    b"minf",
                    full_box(b"vmhd", bytes(8), flags=1),
                    box(b"dinf", data),
                    box(b"stbl", self.description(), *self.tables()),
                ),
            ),
        )

    def description(self) -> bytes:
        width, height = self.side
        entry = struct.pack(">6xH16xHHIIIH32sHh", 1, width, height, 72 << 16, 72 << 16, 0, 1,
                            b"", 24, -1)  # fmt: skip
        return full_box(b"stsd", struct.pack(">I", 1), box(b"png ", entry))

    def tables(self) -> tuple[bytes, ...]:
        chunks = len(self.chunk_offsets) or 1
        offsets = self.chunk_offsets or [0]
        return (
            full_box(b"stts", struct.pack(">III", bool(self.samples), self.samples, self.ticks)),
            full_box(b"stsc", struct.pack(">IIII", 1, 1, max(1, self.samples // chunks), 1)),
            full_box(b"stsz", struct.pack(">II", self.sample_bytes, self.samples)),
            full_box(b"stco", struct.pack(f">I{len(offsets)}I", len(offsets), *offsets)),
        )


def movie(tracks: Sequence[Track], *extra: bytes) -> bytes:
    """ftyp and moov; ``extra`` boxes go into the moov."""
    duration = min(max((t.duration for t in tracks), default=0), 0xFFFFFFF0)
    header = struct.pack(">IIIIIH10x", 0, 0, TIMESCALE, duration, 0x10000, 0x100)
    header += UNITY_MATRIX + bytes(24) + struct.pack(">I", len(tracks) + 1)
    boxes = [track.boxes(number) for number, track in enumerate(tracks, 1)]
    return file_type() + box(b"moov", full_box(b"mvhd", header), *boxes, *extra)


def file_type() -> bytes:
    return box(b"ftyp", b"isom", struct.pack(">I", 512), b"isomiso2mp41")


def film(picture: bytes, *extra: bytes, tracks: int = 1, **values: object) -> bytes:
    """A whole MP4 in which every sample of every track is the one ``picture``."""
    made = [Track(sample_bytes=len(picture), **values) for _ in range(tracks)]  # type: ignore[arg-type]
    for track in made:
        track.chunk_offsets = [0] * track.samples
    start = len(movie(made, *extra)) + 8
    for track in made:
        track.chunk_offsets = [start] * track.samples
    return movie(made, *extra) + box(b"mdat", picture)


# --- Memory -------------------------------------------------------------------------------------


def sample_table(samples: int = 60 * MILLION, tracks: int = 1) -> bytes:
    """A table that claims millions of samples of one size in a few bytes."""
    picture = png(64, 64)
    made = [Track(samples=samples, ticks=1, sample_bytes=1) for _ in range(tracks)]
    return movie(made) + box(b"mdat", picture)


def fragment_runs(samples: int = 30 * MILLION, runs: int = 40) -> bytes:
    """Fragments whose runs claim millions of samples without a byte for each."""
    defaults = full_box(b"trex", struct.pack(">IIIII", 1, 1, 1, 1, 0))
    start = movie([Track(samples=0)], box(b"mvex", defaults))
    run = full_box(b"trun", struct.pack(">I", samples))
    header = full_box(b"tfhd", struct.pack(">I", 1), flags=0x020000)
    fragment = box(b"traf", header, *[run] * runs)
    moof = box(b"moof", full_box(b"mfhd", struct.pack(">I", 1)), fragment)
    return start + moof + box(b"mdat", png(64, 64))


def compressed_header(claimed_bytes: int = 2**31 - 1) -> bytes:
    """A QuickTime ``cmov``: 195 MB of nothing in 195 KB, said to be 2 GB."""
    packer = zlib.compressobj(9)
    packed = b"".join(packer.compress(bytes(MILLION)) for _ in range(195)) + packer.flush()
    body = box(b"dcom", b"zlib") + box(b"cmvd", struct.pack(">I", claimed_bytes), packed)
    return box(b"ftyp", b"qt  ", bytes(4)) + box(b"moov", box(b"cmov", body)) + box(b"mdat")


def long_comment(size: int = 50 * MILLION) -> bytes:
    """A good film with a comment of 50 MB."""
    value = box(b"data", struct.pack(">II", 1, 0), b"x" * size)
    handler = full_box(b"hdlr", struct.pack(">I4s12x", 0, b"mdir") + b"\0")
    meta = full_box(b"meta", handler, box(b"ilst", box(b"\xa9cmt", value)))
    return film(png(64, 64), box(b"udta", meta))


def many_tags(count: int = MILLION) -> bytes:
    """A good film with a million comments of one letter."""
    value = box(b"data", struct.pack(">II", 1, 0), b"x")
    keys = b"".join(box(b"\xa9" + name, value) for name in (b"cmt", b"nam", b"ART", b"alb"))
    handler = full_box(b"hdlr", struct.pack(">I4s12x", 0, b"mdir") + b"\0")
    meta = full_box(b"meta", handler, box(b"ilst", keys * (count // 4)))
    return film(png(64, 64), box(b"udta", meta))


# --- Pixels -------------------------------------------------------------------------------------


def large_pictures() -> bytes:
    """Two thousand times a picture of 13,000 × 13,000."""
    return film(png(13_000, 13_000), samples=2000, side=(13_000, 13_000))


def large_h264() -> bytes:
    options = ("-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p", "-frames:v", "1")
    source = "color=green:size=8192x8192:rate=1:duration=1"
    return clip("8192.mp4", *options, source=source, audio=False).read_bytes()


def wide_gif(width: int = 16_000, height: int = 16_000) -> bytes:
    """43 bytes: one pixel on a large canvas."""
    canvas = struct.pack("<HHBBB", width, height, 0x80, 0, 0) + b"\0\0\0\xff\xff\xff"
    return b"GIF89a" + canvas + b"," + struct.pack("<HHHHB", 0, 0, 1, 1, 0) + b"\2\2\x44\1\0;"


def said_to_be_small() -> bytes:
    """13,000 × 13,000 pictures in a track that says 64 × 64."""
    return film(png(13_000, 13_000))


def said_to_be_large() -> bytes:
    """64 × 64 pictures in a track that says 65,535 × 65,535."""
    return film(png(64, 64), side=(65_535, 65_535))


# --- Time ---------------------------------------------------------------------------------------


def two_frames(hours: float) -> bytes:
    return film(png(64, 64), samples=2, ticks=round(hours * 3_600_000))


def thousand_a_second() -> bytes:
    return film(png(64, 64), samples=10_000, ticks=1)


def one_a_second(hours: float) -> bytes:
    return film(png(64, 64), samples=round(hours * 3600), ticks=1000)


def said_to_last_for_weeks() -> bytes:
    return film(png(64, 64), claimed_duration=0xFFFFFFF0)
