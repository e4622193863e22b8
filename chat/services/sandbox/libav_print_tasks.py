"""The fingerprint's pictures through PyAV, inside the sandboxed child: decoded, turned upright and
hashed without a file between.  Runs in the media helper; knows no Django."""

import math
import time
from collections.abc import Iterator
from itertools import islice
from typing import Any

import av.error
import numpy
from av.video.frame import VideoFrame
from PIL import Image

from chat.errors import VideoError
from chat.services.fingerprints import PICTURE_SIDE_PIXELS as SIDE
from chat.services.fingerprints import Sampling
from chat.services.sandbox.libav_tasks import (
    MAX_FRUITLESS_PACKETS,
    LibavMedia,
    clockwise,
    display_matrix,
    upright_turn,
)
from chat.services.sandbox.print_tasks import hashed


def video_task(parameters: dict[str, Any]) -> dict[str, Any]:
    """``{"path", "options", "sampling", "seconds"}`` → ``{"frames": [[hex, quality, seconds]]}``,
    or ``{"error", "detail"}``.

    Stops after ``seconds`` of work with what it has: the fingerprint of the first part of a
    video that decodes slowly is better than none.
    """
    deadline = time.monotonic() + parameters["seconds"]
    sampling = Sampling(**parameters["sampling"])
    pick = key_frames if sampling.key_frames_only else shown_frames
    frames: list[list[Any]] = []
    try:
        with LibavMedia(parameters["path"], parameters["options"]) as media:
            media.probe()  # chooses the track
            media.reopen()
            for seconds, frame in islice(pick(media, sampling, deadline), sampling.count):
                try:
                    picture = grey_picture(frame)
                except (av.error.FFmpegError, ValueError):  # of a format that does not convert
                    continue
                frames.append([*hashed(picture), seconds])
            if not frames:
                raise VideoError("no_decodable_frame", media.said[-500:])
    except VideoError as error:
        return {"error": error.code, "detail": error.detail}
    return {"frames": frames}


Shown = tuple[float, VideoFrame]  # seconds since the first picture; what is shown then


def shown_frames(media: LibavMedia, sampling: Sampling, deadline: float) -> Iterator[Shown]:
    """The pictures shown at 0, 1, 2 … steps, everything between decoded."""
    first: float | None = None
    shown: VideoFrame | None = None
    wanted = 0
    for frame in media.frames(MAX_FRUITLESS_PACKETS):
        if time.monotonic() >= deadline:
            break
        if frame.pts is None:  # its time is unknown
            continue
        first = frame.time if first is None else first
        while shown and frame.time - first > wanted:
            yield wanted, shown
            wanted += sampling.step_seconds
        shown = frame
    if shown and first is not None and shown.time - first >= wanted:
        yield wanted, shown


def key_frames(media: LibavMedia, sampling: Sampling, deadline: float) -> Iterator[Shown]:
    """The key frames nearest before 0, 1, 2 … steps, each once."""
    media.stream.codec_context.skip_frame = "NONKEY"
    first = last = -math.inf
    for number in range(sampling.count):
        if number and media.seek(number * sampling.step_seconds) is None:
            return
        frame = next(media.frames(MAX_FRUITLESS_PACKETS), None)
        if frame is None or frame.pts is None or time.monotonic() >= deadline:
            return
        first = frame.time if not number else first
        if frame.time > last:
            last = frame.time
            yield last - first, frame


def grey_picture(frame: VideoFrame) -> Any:
    """The picture upright as ``SIDE`` × ``SIDE`` grey bytes."""
    small = frame.reformat(SIDE, SIDE, "gray", interpolation="BILINEAR")
    image = Image.fromarray(small.to_ndarray())
    if turn := upright_turn(clockwise(frame), display_matrix(frame)):
        image = image.transpose(turn)
    return numpy.asarray(image, numpy.uint8)


# Under Landlock a late import fails: do everything once.
hashed(grey_picture(VideoFrame(64, 64, "yuv420p")))

TASKS = {"prints.video": video_task}
