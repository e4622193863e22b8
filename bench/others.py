"""What others run for one video: metadata and a thumbnail.

MediaCMS: the commands of ``media_file_info`` in ``files/helpers.py`` and of its first thumbnail.
django-video-encoding: its own backend, called as a VideoField and its thumbnail are.
"""

import json
import random
import subprocess
import tempfile
from pathlib import Path
from typing import Any


def output(*arguments: str) -> bytes:
    return subprocess.run(arguments, check=True, capture_output=True).stdout


def probed(path: Path) -> dict[str, Any]:
    answer: dict[str, Any] = json.loads(
        output("ffprobe", "-v", "error", "-of", "json", "-show_streams", "-show_format", str(path))
    )
    return answer


def bare_pair(path: Path) -> None:
    """The cheapest two processes: ffprobe, and one scaled picture."""
    video = next(s for s in probed(path)["streams"] if s["codec_type"] == "video")
    assert video["width"]
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "poster.jpg"
        output(
            "ffmpeg", "-nostdin", "-v", "error", "-i", str(path), "-frames:v", "1",
            "-vf", "scale=640:-2", "-y", str(target),
        )  # fmt: skip
        assert target.stat().st_size


def mediacms(path: Path) -> None:
    name = str(path)
    output("stat", "-c", "%s", name)
    output("md5sum", name)
    probe = ("ffprobe", "-loglevel", "error")
    header = ("-show_streams", "-show_entries", "format=format_name", "-of", "json")
    streams = json.loads(output(*probe, *header, name))["streams"]
    by_kind = {stream["codec_type"]: stream for stream in reversed(streams)}
    duration = 0.0
    for kind, select in (("video", "v"), ("audio", "a")):
        if (stream := by_kind.get(kind)) is None:
            continue
        if "duration" not in stream and "DURATION" not in stream.get("tags", {}):
            form = json.loads(output(*probe, "-show_format", "-of", "json", name))["format"]
            stream["duration"] = form["duration"]
        if "bit_rate" not in stream:
            sizes = ("-select_streams", select, "-show_entries", "packet=size")
            output(*probe, *sizes, "-of", "compact=p=0:nk=1", name)
        if kind == "video":
            duration = float(stream.get("duration", 1.0))
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "thumbnail.jpg"
        at = str(round(random.uniform(0, max(0.0, duration - 0.1)), 1))
        output("ffmpeg", "-nostdin", "-ss", at, "-i", name, "-vframes", "1", "-y", str(target))
        assert target.stat().st_size


def django_video_encoding(path: Path) -> None:
    from video_encoding.backends.ffmpeg import FFmpegBackend

    backend = FFmpegBackend()
    backend.get_media_info(str(path))
    Path(backend.get_thumbnail(str(path))).unlink()
