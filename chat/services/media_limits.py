"""What one untrusted file may be and may use, from the settings."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TypeVar

from django.conf import settings

from chat.errors import VideoError
from chat.services.examination import VideoBounds
from chat.services.libav_words import MAX_ALLOC_BYTES
from chat.services.sandbox.layers import Limits

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class PreviewBounds:
    """How much of a video a preview shows, and from where on a video that browsers play is too
    heavy for them; ``heavy_pixels`` is of the shorter side."""

    max_seconds: float
    heavy_kbps: int
    heavy_bytes: int
    heavy_pixels: int


@dataclass(frozen=True, slots=True)
class MediaLimits:
    """``bounds`` on what a video may be; the rest on what reading it may use."""

    bounds: VideoBounds
    wall_seconds: float
    cpu_seconds: int
    memory_bytes: int
    output_bytes: int
    storyboard: Limits
    preview: Limits
    preview_bounds: PreviewBounds
    work: str = "MEDIA"

    @classmethod
    def from_settings(cls) -> "MediaLimits":
        return cls(
            bounds=VideoBounds(
                max_duration_seconds=settings.VIDEO_MAX_DURATION_SECONDS,
                max_pixels=settings.VIDEO_MAX_PIXELS,
                max_streams=settings.VIDEO_MAX_STREAMS,
                poster_max_width=settings.POSTER_MAX_WIDTH_PIXELS,
                poster_max_height=settings.POSTER_MAX_HEIGHT_PIXELS,
            ),
            wall_seconds=settings.MEDIA_WALL_SECONDS,
            cpu_seconds=settings.MEDIA_CPU_SECONDS,
            memory_bytes=settings.MEDIA_MEMORY_BYTES,
            output_bytes=settings.MEDIA_OUTPUT_BYTES,
            storyboard=Limits(
                wall_seconds=settings.STORYBOARD_WALL_SECONDS,
                cpu_seconds=settings.STORYBOARD_CPU_SECONDS,
                memory_bytes=settings.STORYBOARD_MEMORY_BYTES,
                output_bytes=settings.STORYBOARD_OUTPUT_BYTES,
                work="STORYBOARD",
            ),
            preview=Limits(
                wall_seconds=settings.PREVIEW_WALL_SECONDS,
                cpu_seconds=settings.PREVIEW_CPU_SECONDS,
                memory_bytes=settings.PREVIEW_MEMORY_BYTES,
                output_bytes=settings.PREVIEW_OUTPUT_BYTES,
                work="PREVIEW",
            ),
            preview_bounds=PreviewBounds(
                max_seconds=settings.PREVIEW_MAX_SECONDS,
                heavy_kbps=settings.PREVIEW_HEAVY_KBPS,
                heavy_bytes=settings.PREVIEW_HEAVY_BYTES,
                heavy_pixels=settings.PREVIEW_HEAVY_PIXELS,
            ),
        )

    @property
    def of_a_process(self) -> Limits:
        return Limits(
            self.wall_seconds, self.cpu_seconds, self.memory_bytes, self.output_bytes, self.work
        )

    def of_work(self, limits: Limits) -> "MediaLimits":
        """These limits with those of another kind of work in their place."""
        return replace(
            self,
            wall_seconds=limits.wall_seconds,
            cpu_seconds=limits.cpu_seconds,
            memory_bytes=limits.memory_bytes,
            output_bytes=limits.output_bytes,
            work=limits.work,
        )

    def doubled(self) -> "MediaLimits":
        return self.of_work(self.of_a_process.doubled())


def name_limit(error: VideoError, limits: MediaLimits) -> None:
    """Tell the operator which setting it was that memory or time ran out of, and its value."""
    if error.code == "memory_limit":
        value = f"{limits.memory_bytes} bytes, or {MAX_ALLOC_BYTES} in one piece"
        error.detail = f"{limits.work}_MEMORY_BYTES: {value}, were not enough: {error.detail}"
    elif error.code == "time_limit" and "_CPU_SECONDS" not in error.detail:
        # Of several processes the last one was told what the others had left.
        seconds = f"{limits.wall_seconds:.3g} s, and then twice as many"
        error.detail = f"{limits.work}_WALL_SECONDS: {seconds}, were used up"


def with_second_chance(limits: MediaLimits, work: Callable[[MediaLimits], T]) -> T:
    """``work(limits)``; once more with twice the time when it ran out of it.

    Raises:
        VideoError: what ``work`` raises; a second ``time_limit`` is permanent.
    """
    try:
        return work(limits)
    except VideoError as error:
        name_limit(error, limits)
        if error.code != "time_limit":
            raise
    try:
        return work(limits.doubled())
    except VideoError as error:
        name_limit(error, limits)
        if error.code == "time_limit":
            error.permanent = True
        raise
