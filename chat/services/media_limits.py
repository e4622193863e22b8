"""What one untrusted file may be and may use, from the settings."""

from dataclasses import dataclass

from django.conf import settings

from chat.services.examination import VideoBounds
from chat.services.sandbox.layers import Limits


@dataclass(frozen=True, slots=True)
class MediaLimits:
    """``bounds`` on what a video may be; the rest on what reading it may use."""

    bounds: VideoBounds
    wall_seconds: float
    cpu_seconds: int
    memory_bytes: int
    output_bytes: int

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
        )

    @property
    def of_a_process(self) -> Limits:
        return Limits(self.wall_seconds, self.cpu_seconds, self.memory_bytes, self.output_bytes)
