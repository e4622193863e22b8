"""System checks (`manage.py check`): what the media road needs from the machine."""

import shutil
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Warning, register


@register()
def media_tools(**_kwargs: Any) -> list[CheckMessage]:
    """ffmpeg and ffprobe can be found."""
    return [
        Warning(
            f"{name}={binary!r} is not on this machine: videos cannot be read.",
            hint=f"Install ffmpeg (4.0 or newer), or set {name} to where it is.",
            id="chat.W001",
        )
        for name, binary in (
            ("FFMPEG_BINARY", settings.FFMPEG_BINARY),
            ("FFPROBE_BINARY", settings.FFPROBE_BINARY),
        )
        if shutil.which(binary) is None
    ]
