"""Which engine reads a file, and what it is never given."""

from pathlib import Path

from django.conf import settings

from chat.errors import VideoError
from chat.services.ffmpeg_engine import FfmpegEngine
from chat.services.libav_engine import LibavEngine
from chat.services.media_limits import MediaLimits


def engine_for(limits: MediaLimits) -> FfmpegEngine | LibavEngine:
    """The engine that MEDIA_ENGINE names; ``ffmpeg`` where PyAV is not installed."""
    if settings.MEDIA_ENGINE == "libav" and LibavEngine.is_available():
        return LibavEngine(limits)
    return FfmpegEngine(limits)


def refuse_unreadable(path: Path) -> None:
    """Refuse what is no regular file with bytes in it: no device, pipe, folder or link is
    opened."""
    if path.is_symlink() or not path.is_file():
        raise VideoError("missing_file", f"{path} is no regular file")
    if not path.stat().st_size:
        raise VideoError("empty_file", "0 bytes")
