"""What this machine's ffmpeg can do, by its own word; asked once a process."""

import re
from functools import cache

from django.conf import settings

from chat.services import media_runner
from chat.services.sandbox.layers import Limits
from chat.services.scratch import scratch_folder


@cache
def known_filters() -> frozenset[str]:
    """Names of the filters that this machine's ffmpeg was built with."""
    return frozenset(re.findall(r"^ [A-Z.]{2,3} (\w+) ", said_of_itself("-filters"), re.MULTILINE))


@cache
def variable_rate() -> dict[str, str]:
    """The option that keeps ffmpeg from repeating pictures up to an even rate: ``vsync`` was
    there first and is gone from the newest."""
    known = re.search(r"^ *-fps_mode\b", said_of_itself("-h", "long"), re.MULTILINE)
    return {"fps_mode" if known else "vsync": "vfr"}


def said_of_itself(*question: str) -> str:
    limits = Limits(wall_seconds=10, cpu_seconds=10, memory_bytes=1024**3, output_bytes=1024**2)
    with scratch_folder() as directory:
        arguments = [settings.FFMPEG_BINARY, "-nostdin", "-v", "error", *question]
        return media_runner.run(arguments, limits, directory).stdout.decode()
