"""Tasks of a media helper for measuring.  Runs in the helper; knows no Django."""

import time
from typing import Any

from chat.services.sandbox import libav_media, libav_pictures, libav_tasks
from chat.services.sandbox.libav_media import LibavMedia

# Stage → where it happens.  Stages nest: "open" is part of "decode the first" when that reopens,
# "look" of "encode".
STAGES = {
    "open and find streams": (LibavMedia, "_open"),
    "last packets": (LibavMedia, "_packets"),
    "seek and decode a key frame": (LibavMedia, "_sought"),
    "decode the first, else reopen": (LibavMedia, "_first"),
    "scale, turn, encode JPEG": (libav_media, "jpeg_of"),
    "look whether it is blank": (libav_pictures, "is_blank"),
}
spent: dict[str, float] = {}


def timed(stage: str, owner: Any, name: str) -> None:
    inner = getattr(owner, name)

    def outer(*arguments: Any, **options: Any) -> Any:
        started = time.perf_counter()
        try:
            return inner(*arguments, **options)
        finally:
            spent[stage] = spent.get(stage, 0.0) + time.perf_counter() - started

    setattr(owner, name, outer)


def nothing(_parameters: dict[str, Any]) -> None:
    """What the sandbox itself costs."""


def examine_in_stages(parameters: dict[str, Any]) -> dict[str, float]:
    """Seconds spent in each stage; "began" and "ended" are times of the machine's clock."""
    began = time.monotonic()
    for stage, (owner, name) in STAGES.items():
        timed(stage, owner, name)
    libav_tasks.examine_task(parameters)
    return {**spent, "began": began, "ended": time.monotonic()}


TASKS = {"bench.nothing": nothing, "bench.stages": examine_in_stages}
