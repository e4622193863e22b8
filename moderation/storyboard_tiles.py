"""The pictures of a stored storyboard one by one, for pages that show them beside each other."""

import re
from dataclasses import dataclass

from chat.models import Attachment
from chat.rendition import Rendition

# As `Storyboard.as_webvtt` writes a cue.
CUE = re.compile(r"(\d+):(\d\d):(\d\d\.\d{3}) --> .*\n.*#xywh=(\d+),(\d+),(\d+),(\d+)")


@dataclass(frozen=True, slots=True)
class Tile:
    """From ``seconds`` on; its corner and size on the sheet in pixels."""

    seconds: float
    x: int
    y: int
    width: int
    height: int


def tiles_of(attachment: Attachment) -> list[Tile]:
    """In order; none where there is no storyboard, or its map is no longer stored."""
    rendition = attachment.stored_rendition(Rendition.Kind.STORYBOARD_MAP)
    if rendition is None:
        return []
    try:
        with rendition.file.open("rb") as file:
            text = file.read().decode()
    except OSError:
        return []
    return [
        Tile(int(hours) * 3600 + int(minutes) * 60 + float(seconds), *map(int, place))
        for hours, minutes, seconds, *place in CUE.findall(text)
    ]
