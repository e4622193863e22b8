"""The storyboard of the ``libav`` engine: pictures decoded and put on one sheet in the sandboxed
child.  Runs in the media helper; knows no Django."""

import sys
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import av.error
from av.video.frame import VideoFrame
from PIL import Image

from chat.errors import VideoError
from chat.services.examination import FrameRequest, VideoBounds, refuse_excess
from chat.services.sandbox.libav_media import MAX_FRUITLESS_PACKETS, LibavMedia, limited
from chat.services.sandbox.libav_pictures import picture_of, short_of_memory
from chat.services.sandbox.libav_tasks import refused
from chat.services.sandbox.stills import compose
from chat.services.storyboard import (
    MAX_DECODED_PIXELS,
    SHEET,
    StoryboardPlan,
    plan_storyboard,
)
from chat.services.video_metadata import VideoMetadata

# After a seek: packets without a key frame among them after which to look elsewhere.
MAX_PACKETS_AFTER_SEEK = 200


def storyboard_task(parameters: dict[str, Any]) -> dict[str, Any]:
    """``{"path", "options", "bounds"}`` → the storyboard with its sheet in the file SHEET, ``{}``
    for a video of unknown length, or ``{"error", "detail"}``."""
    try:
        with LibavMedia(parameters["path"], parameters["options"]) as media:
            probe = media.probe()
            metadata = VideoMetadata.from_probe(probe)
            refuse_excess(probe, metadata, VideoBounds(**parameters["bounds"]))
            plan = plan_storyboard(metadata)
            if plan is None:
                return {}
            request = FrameRequest(probe.video_stream, plan.tile_width, plan.tile_height)
            return compose(plan, Pictures(media, plan, request).tiles(), Path(SHEET)).to_json()
    except VideoError as error:
        return refused(error)


class Pictures:
    """Those that a plan asks for, as tiles."""

    def __init__(self, media: LibavMedia, plan: StoryboardPlan, request: FrameRequest) -> None:
        self.media, self.plan, self.request = media, plan, request
        self.start = media.stream.start_time or 0
        self.base = media.stream.time_base or Fraction(1)

    def tiles(self) -> list[tuple[float, Image.Image]]:
        """Key frames by seeking; in one pass through the file where seeking leads nowhere; of all
        pictures where key frames are few and the video is short; the first picture alone where
        nothing else is found."""
        found = list(self.by_seeking())
        if len(found) < 2 < len(self.plan.times):
            found = list(self.in_one_pass(self.key_frames())) or found
        if self.plan.wants_more_than(len(found)):
            found = max(list(self.in_one_pass(self.all_frames())), found, key=len)
        if not found:
            first = self.media.first_picture()
            if first is None:
                raise VideoError("no_decodable_frame", self.media.said[-500:])
            found = [(0.0, picture_of(first, self.request))]
        return found

    def by_seeking(self) -> Iterator[tuple[float, Image.Image]]:
        """The last key frame before each time, each once."""
        shown: int | None = None
        for time in self.plan.times:
            target = self.start + int(time / self.base)
            try:
                self.media.container.seek(target, stream=self.media.stream)
                frame = next(self.key_frames(MAX_PACKETS_AFTER_SEEK), None)
            except (av.error.FFmpegError, ValueError, OverflowError):
                return
            if frame is None or frame.pts is None or frame.pts == shown:
                continue
            shown = frame.pts
            yield time, picture_of(frame, self.request)

    def in_one_pass(self, frames: Iterator[VideoFrame]) -> Iterator[tuple[float, Image.Image]]:
        """The last of ``frames`` before each time, reading the file from its start to its end."""
        self.media.reopen()
        held: tuple[int, VideoFrame] | None = None
        for frame in frames:
            at = float((frame.pts - self.start) * self.base) if frame.pts is not None else 0.0
            number = self.plan.first_time_after(at) if held else 0
            if number >= len(self.plan.times):
                break
            if held and number > held[0]:
                yield self.plan.times[held[0]], picture_of(held[1], self.request)
            held = max(number, held[0] if held else 0), frame
        if held:
            yield self.plan.times[held[0]], picture_of(held[1], self.request)

    def all_frames(self) -> Iterator[VideoFrame]:
        """But for those that no other refers to, as far as decoding is affordable."""
        self.media.stream.codec_context.skip_frame = "NONREF"
        left = MAX_DECODED_PIXELS
        for frame in self.media.frames(MAX_FRUITLESS_PACKETS):
            left -= frame.width * frame.height
            if left < 0:
                return
            yield frame

    def key_frames(self, packets: int = sys.maxsize) -> Iterator[VideoFrame]:
        """Of the next ``packets`` packets, each decoded by itself: the decoder is emptied after
        it, which would otherwise wait for pictures that are to be shown before."""
        context = self.media.stream.codec_context
        for packet in limited(self.media.container.demux(self.media.stream), packets):
            if packet.is_keyframe:
                try:
                    frames = [*packet.decode(), *context.decode(None)]
                except MemoryError as error:
                    raise short_of_memory(error) from error
                except (av.error.FFmpegError, ValueError):
                    frames = []
                context.flush_buffers()
                yield from frames[:1]


TASKS = {"libav.storyboard": storyboard_task}
