"""The ``libav`` engine: PyAV and Pillow inside the sandboxed child, metadata and poster in one
opening of the file.  Runs in the media helper; knows no Django."""

import ctypes
import importlib
import pkgutil
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

import av
import av.logging
import PIL
from av.video.frame import VideoFrame

from chat.errors import VideoError
from chat.services import libav_words
from chat.services.examination import VideoBounds, describe, examine, frame_at
from chat.services.sandbox.layers import memory_ran_short
from chat.services.sandbox.libav_media import LibavMedia
from chat.services.sandbox.libav_pictures import deinterlaced
from chat.services.sandbox.tone_mapping import HLG, PQ, colour_table

POSTER = "poster.jpg"
# Opened once in the helper: a decoder's tables are computed then, and every child has them.
DECODERS = (
    "h264", "hevc", "vp8", "vp9", "mpeg4", "mpeg2video", "mpeg1video", "h263", "flv", "mjpeg",
    "aac", "mp3", "opus", "ac3",
)  # fmt: skip


def examine_task(parameters: dict[str, Any]) -> dict[str, Any]:
    """``{"path", "options", "bounds"}`` → ``{"metadata", "width", "height", "blank"}`` with the
    poster in the file POSTER, or ``{"error", "detail"}``."""
    bounds = VideoBounds(**parameters["bounds"])
    try:
        with LibavMedia(parameters["path"], parameters["options"]) as media:
            examined = examine(media, bounds)
    except VideoError as error:
        return refused(error)
    Path(POSTER).write_bytes(examined.poster.jpeg)
    return {
        "metadata": asdict(examined.metadata),
        "width": examined.poster.width,
        "height": examined.poster.height,
        "blank": examined.poster.blank,
    }


def frame_at_task(parameters: dict[str, Any]) -> dict[str, Any]:
    """As ``examine_task`` with ``"seconds"``: the picture of that time, without metadata."""
    bounds = VideoBounds(**parameters["bounds"])
    try:
        with LibavMedia(parameters["path"], parameters["options"]) as media:
            poster = frame_at(media, bounds, parameters["seconds"])
    except VideoError as error:
        return refused(error)
    Path(POSTER).write_bytes(poster.jpeg)
    return {"width": poster.width, "height": poster.height, "blank": poster.blank}


def probe_task(parameters: dict[str, Any]) -> dict[str, Any]:
    """As ``examine_task``, without a poster."""
    try:
        with LibavMedia(parameters["path"], parameters["options"]) as media:
            return {"metadata": asdict(describe(media)[1])}
    except VideoError as error:
        return refused(error)


def refused(error: VideoError) -> dict[str, str]:
    """What a task answers.  Some decoders (H.264) keep it to themselves that they found no
    memory; the process can tell."""
    code = error.code
    if code != "memory_limit" and error.permanent and memory_ran_short():
        code = "memory_limit"
    return {"error": code, "detail": error.detail}


def bound_allocations() -> None:
    """libav's own cap on one allocation; PyAV has no call for it."""
    loaded = Path("/proc/self/maps")
    if not loaded.exists():
        return
    for line in loaded.read_text().splitlines():
        if "libavutil" in line:
            library = ctypes.CDLL(line.split(maxsplit=5)[5])
            library.av_max_alloc(ctypes.c_size_t(libav_words.MAX_ALLOC_BYTES))
            return


def warm_up() -> None:
    """Import all of PyAV, and read a clip of our own once: under Landlock a late import fails."""
    for module in pkgutil.walk_packages(av.__path__, "av."):
        if not module.name.endswith(("__main__", "datasets", "device")):
            importlib.import_module(module.name)
    with tempfile.TemporaryDirectory() as directory:
        clip = Path(directory) / "clip"
        with av.open(str(clip), "w", format="mov") as container:
            stream = container.add_stream("mpeg4", rate=25)
            stream.width, stream.height, stream.pix_fmt = 64, 64, "yuv420p"
            for _ in range(30):
                container.mux(stream.encode(VideoFrame(64, 64, "yuv420p")))
            container.mux(stream.encode(None))
        bounds = VideoBounds(60, 10_000, 4, 64, 64)
        with LibavMedia(str(clip), {}) as media:
            examine(media, bounds)
    deinterlaced(VideoFrame(64, 64, "yuv420p"))
    for name in DECODERS:
        av.CodecContext.create(name, "r").open()
    for transfer in (PQ, HLG):
        colour_table(transfer)


av.logging.restore_default_callback()
av.logging.set_libav_level(av.logging.ERROR)
bound_allocations()
warm_up()

TASKS = {
    "libav.examine": examine_task,
    "libav.frame_at": frame_at_task,
    "libav.probe": probe_task,
}
VERSIONS = {
    "PyAV": av.__version__,
    "Pillow": PIL.__version__,
    **{name: ".".join(map(str, number)) for name, number in av.library_versions.items()},
}
