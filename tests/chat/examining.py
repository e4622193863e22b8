"""The service with other limits, and what a test makes of its answers."""

import dataclasses
import io
from pathlib import Path

import pytest
from PIL import Image

from chat.errors import VideoError
from chat.services.examination import VideoBounds
from chat.services.media_limits import MediaLimits
from chat.services.video_service import VideoProcessingService


def service(**changes) -> VideoProcessingService:
    """With limits and bounds changed by name."""
    limits = MediaLimits.from_settings()
    bounds = {name: changes.pop(name) for name in VideoBounds.__slots__ if name in changes}
    bounds = dataclasses.replace(limits.bounds, **bounds)
    return VideoProcessingService(dataclasses.replace(limits, bounds=bounds, **changes))


def refused(path: Path, **limits) -> str:
    with pytest.raises(VideoError) as caught:
        service(**limits).examine(path)
    return caught.value.code


def picture(jpeg: bytes) -> Image.Image:
    return Image.open(io.BytesIO(jpeg), formats=["JPEG"])
