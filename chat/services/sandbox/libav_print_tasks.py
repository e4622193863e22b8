"""The fingerprint's pictures through PyAV, inside the sandboxed child: decoded, turned upright and
hashed without a file between.  Runs in the media helper; knows no Django."""

import gc
import time
from collections.abc import Iterator
from typing import Any

import av.error
import numpy
from av.video.frame import VideoFrame
from PIL import Image

from chat.errors import VideoError
from chat.services.fingerprints import PICTURE_SIDE_PIXELS as SIDE
from chat.services.fingerprints import Sampling
from chat.services.sandbox.libav_media import MAX_FRUITLESS_PACKETS, LibavMedia
from chat.services.sandbox.libav_pictures import clockwise, display_matrix, upright_turn
from chat.services.sandbox.libav_tasks import refused
from chat.services.sandbox.print_tasks import hashed

# Nearer than this to a wanted time everything is decoded: pictures come out later than they go in.
NEAR_SECONDS = 2.0


def video_task(parameters: dict[str, Any]) -> dict[str, Any]:
    """``{"path", "options", "sampling", "seconds"}`` → ``{"frames": [[hex, quality, seconds]]}``,
    or ``{"error", "detail"}``.

    Stops after ``seconds`` of work with what it has: the fingerprint of the first part of a
    video that decodes slowly is better than none.
    """
    deadline = time.monotonic() + parameters["seconds"]
    sampling = Sampling(**parameters["sampling"])
    frames: list[list[Any]] = []
    try:
        with LibavMedia(parameters["path"], parameters["options"]) as media:
            media.probe()  # chooses the track
            media.reopen(threads=2)
            for seconds, frame in shown_frames(media, sampling, deadline):
                try:
                    picture = grey_picture(frame)
                except (av.error.FFmpegError, ValueError):  # of a format that does not convert
                    continue
                frames.append([*hashed(picture), seconds])
                # A frame and its side data hold each other, and the child's memory is short.
                # Cheap: what the helper had imported is frozen.
                del frame
                gc.collect()
            if not frames:
                raise VideoError("no_decodable_frame", media.said[-500:])
    except VideoError as error:
        return refused(error)
    return {"frames": frames}


def shown_frames(
    media: LibavMedia, sampling: Sampling, deadline: float
) -> Iterator[tuple[float, VideoFrame]]:
    """(seconds, the picture shown then) at 0, 1, 2 … steps after the first picture."""
    times = (number * sampling.step_seconds for number in range(sampling.count))
    wanted = next(times)
    first: float | None = None
    shown: VideoFrame | None = None
    frames = media.frames(MAX_FRUITLESS_PACKETS)
    while time.monotonic() < deadline:
        frame = next(frames, None)
        if frame is None:
            break
        if frame.pts is None:  # its time is unknown
            continue
        first = frame.time if first is None else first
        seconds = frame.time - first
        if seconds <= wanted:
            shown = frame
            # Pictures that no other one needs are passed over on the way.
            on_the_way = wanted - seconds > NEAR_SECONDS
            media.stream.codec_context.skip_frame = "NONREF" if on_the_way else "DEFAULT"
            continue
        while seconds > wanted:
            yield wanted, shown or frame
            following = next(times, None)
            if following is None:
                return
            wanted = following
        shown = frame
        if sampling.seeks and media.seek(wanted) is not None:
            frames, shown = media.frames(MAX_FRUITLESS_PACKETS), None
    if shown and first is not None and (shown.time - first >= wanted or not wanted):
        yield wanted, shown


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
