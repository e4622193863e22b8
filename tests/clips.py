"""Short real clips, made once a test run with ffmpeg's own generators."""

import subprocess
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

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
    path = Path(_folder.name) / f"{abs(hash((name, options, source, audio)))}-{name}"
    sound = ["-f", "lavfi", "-i", "sine=frequency=440:duration=1"] if audio else []
    codecs = options or ("-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p")
    subprocess.run(
        ["ffmpeg", "-nostdin", "-v", "error", "-y", "-f", "lavfi", "-i", source, *sound]
        + [*codecs, "-shortest", str(path)],
        check=True,
        timeout=60,
    )
    return path
