"""Short real clips, made once a test run with ffmpeg's own generators."""

import os
import struct
import subprocess
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.machine import need_ffmpeg

QUIET = ("-nostdin", "-v", "error", "-y")
_folder = TemporaryDirectory(prefix="offchat-clips-")


@cache
def clip(
    name: str = "clip.mp4",
    *options: str,
    source: str = "testsrc=size=320x240:rate=25:duration=1",
    audio: bool = True,
) -> Path:
    """The path of a clip made from ``source`` (an lavfi graph), encoded as its name says.

    ``options`` are ffmpeg's output options; H.264 and AAC by default.
    """
    need_ffmpeg()
    path = Path(_folder.name) / f"{abs(hash((name, options, source, audio)))}-{name}"
    sound = ["-f", "lavfi", "-i", "sine=frequency=440:duration=1"] if audio else []
    codecs = options or ("-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p")
    subprocess.run(
        ["ffmpeg", *QUIET, "-f", "lavfi", "-i", source, *sound, *codecs, "-shortest", path],
        env={**os.environ, "SVT_LOG": "1"},  # its AV1 encoder writes to stderr by itself
        check=True,
        timeout=60,
    )
    return path


def rotated(path: Path, target: Path) -> Path:
    """A copy of an MP4 that players turn by 90° clockwise.

    Writes the matrix of ISO/IEC 14496-12 section 8.3.2 (track header), since the option for it
    differs between ffmpeg versions.
    """
    content = bytearray(path.read_bytes())
    matrix = content.index(b"tkhd") + 4 + 4 + 20 + 16
    turn = (0, 0x00010000, 0, -0x00010000, 0, 0, 0, 0, 0x40000000)
    content[matrix : matrix + 36] = struct.pack(">9i", *turn)
    target.write_bytes(content)
    return target
