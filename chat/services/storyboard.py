"""A storyboard: small pictures from all over a video on one sheet, and the WebVTT map that says
which of them to show at which time.  No Django: the sandboxed child uses it too."""

from dataclasses import asdict, dataclass
from math import ceil
from typing import Any

from chat.services.poster import poster_size
from chat.services.video_metadata import VideoMetadata

MAX_TILES = 100
TILE_BOX_PIXELS = 160  # both sides of a tile: 160 × 90 of a wide picture, 90 × 160 of a tall one
COLUMNS = 10
MIN_INTERVAL_SECONDS = 1.0
# Key frames are decoded alone. A video with few of them, as a short one from an editor often has,
# is decoded whole if that is no more than this: 20 seconds in 720p at 30 pictures a second.
MAX_DECODED_PIXELS = 600_000_000
MOST_PICTURES_A_SECOND = 60  # where the rate is not known
SHEET = "storyboard.jpg"  # the file that an engine writes
# Where the sheet lies, as seen from the map's own address.
SHEET_ADDRESS = "storyboard/"


@dataclass(frozen=True, slots=True)
class StoryboardPlan:
    """Times (seconds from the start) at which to look, and how large a tile is (pixels);
    ``may_decode_all`` is whether every picture may be decoded to find more of them."""

    times: tuple[float, ...]
    duration: float
    tile_width: int
    tile_height: int
    may_decode_all: bool

    @property
    def interval(self) -> float:
        return self.duration / len(self.times)

    def wants_more_than(self, tiles: int) -> bool:
        """Whether so many key frames are too few."""
        return self.may_decode_all and 2 * tiles <= len(self.times)

    def first_time_after(self, seconds: float) -> int:
        """The number of the first time at which a picture of this moment is the last one seen."""
        return ceil(seconds / self.interval - 0.001)


@dataclass(frozen=True, slots=True)
class Cue:
    """From ``start`` to ``end`` (seconds) show the tile whose corner is at ``x``, ``y``."""

    start: float
    end: float
    x: int
    y: int


@dataclass(frozen=True, slots=True)
class Storyboard:
    """The map of a written sheet; sizes in pixels."""

    width: int
    height: int
    tile_width: int
    tile_height: int
    cues: tuple[Cue, ...]

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, told: dict[str, Any]) -> "Storyboard":
        return cls(**{**told, "cues": tuple(Cue(**cue) for cue in told["cues"])})

    def as_webvtt(self) -> str:
        """The map as players read it (W3C WebVTT, Media Fragments ``#xywh=``)."""
        lines = ["WEBVTT", ""]
        for cue in self.cues:
            corner = f"{cue.x},{cue.y},{self.tile_width},{self.tile_height}"
            lines += [
                f"{timestamp(cue.start)} --> {timestamp(cue.end)}",
                f"{SHEET_ADDRESS}#xywh={corner}",
                "",
            ]
        return "\n".join(lines)


def plan_storyboard(metadata: VideoMetadata) -> StoryboardPlan | None:
    """At most ``MAX_TILES`` times, evenly spread; None when the duration is not known."""
    duration = metadata.duration
    if not duration:
        return None
    count = min(MAX_TILES, max(1, ceil(duration / MIN_INTERVAL_SECONDS)))
    width, height = poster_size(metadata.width, metadata.height, TILE_BOX_PIXELS, TILE_BOX_PIXELS)
    pictures = duration * (metadata.frame_rate or MOST_PICTURES_A_SECOND)
    return StoryboardPlan(
        times=tuple(number * duration / count for number in range(count)),
        duration=duration,
        tile_width=width,
        tile_height=height,
        may_decode_all=pictures * metadata.width * metadata.height <= MAX_DECODED_PIXELS,
    )


def timestamp(seconds: float) -> str:
    """``01:02:03.456``."""
    milliseconds = round(seconds * 1000)
    minutes, milliseconds = divmod(milliseconds, 60_000)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02}:{minutes:02}:{milliseconds / 1000:06.3f}"
