"""Short real clips, made with ffmpeg's own generators; once for all processes of a test run and
all later runs, until `make clean`."""

import fcntl
import hashlib
import os
import struct
import subprocess
from functools import cache
from pathlib import Path

from tests.machine import need_ffmpeg
from tests.running import ROOT

QUIET = ("-nostdin", "-v", "error", "-y")
FOLDER = ROOT / "build" / "clips"


@cache
def clip(
    name: str = "clip.mp4",
    *options: str,
    source: str = "testsrc=size=320x240:rate=25:duration=1",
    audio: bool = True,
) -> Path:
    """The path of a clip made from ``source`` (an lavfi graph), encoded as its name says.

    ``options`` are ffmpeg's output options; H.264 and AAC by default.  Not to be changed: others
    use the same file.
    """
    need_ffmpeg()
    sound = ["-f", "lavfi", "-i", "sine=frequency=440:duration=1"] if audio else []
    codecs = options or ("-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p")
    return made_once(name, "-f", "lavfi", "-i", source, *sound, *codecs, "-shortest")


def made_once(name: str, *arguments: str) -> Path:
    """What this ffmpeg makes of ``arguments``, in a folder named after both."""
    key = hashlib.sha256("\0".join([ffmpeg_version(), *arguments]).encode()).hexdigest()[:16]
    folder = FOLDER / key
    folder.mkdir(parents=True, exist_ok=True)
    path, draft = folder / name, folder / f"draft-{name}"  # its format follows from its name
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # who comes second waits, and finds it made
        if not path.exists():
            subprocess.run(
                ["ffmpeg", *QUIET, *arguments, draft],
                env={**os.environ, "SVT_LOG": "1"},  # its AV1 encoder writes to stderr by itself
                check=True,
                timeout=60,
            )
            draft.rename(path)
    return path


@cache
def ffmpeg_version() -> str:
    """With how it was built, which decides what its encoders make."""
    said = subprocess.run(["ffmpeg", "-version"], capture_output=True, text=True, check=True)
    return said.stdout


def rotated(path: Path, target: Path) -> Path:
    """A copy of an MP4 that players turn by 90° clockwise.

    Writes the matrix of ISO/IEC 14496-12 section 8.3.2 (track header), since the option for it
    differs between ffmpeg versions.
    """
    content = bytearray(path.read_bytes())
    matrix = content.index(b"tkhd") + 4 + 4 + 20 + 16
    turn = (0, 0x00010000, 0, -0x00010000, 0, 0, 0, 0, 0x40000000)
    content[matrix : matrix + 36] = struct.pack(">9i", *turn)
    draft = target.with_name(f"draft-{os.getpid()}-{target.name}")
    draft.write_bytes(content)
    return draft.replace(target)  # at once: other processes may be reading it
