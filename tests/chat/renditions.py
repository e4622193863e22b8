"""Making renditions in tests, and reading what was stored."""

import re
from pathlib import Path

import pytest
from django.core.files.storage import default_storage
from PIL import Image

from chat.errors import VideoError
from chat.models import Attachment
from chat.rendition import Rendition
from chat.services.video_service import VideoProcessingService

Kind = Rendition.Kind
CUE = re.compile(r"^([\d:.]+) --> ([\d:.]+)\nstoryboard/#xywh=(\d+),(\d+),(\d+),(\d+)$", re.M)
MPEG4 = ("-c:v", "mpeg4", "-c:a", "mp3")


def make(attachment: Attachment, *works, **options) -> dict[str, Rendition]:
    if works:
        options["works"] = works
    for done in VideoProcessingService().make_renditions(attachment, **options):
        if done.error:
            raise done.error
    attachment.refresh_from_db()
    return {row.kind: row for row in attachment.renditions.all()}


def refused(attachment: Attachment, *works, **options) -> VideoError:
    with pytest.raises(VideoError) as caught:
        make(attachment, *works, **options)
    return caught.value


def stored() -> set[str]:
    folder = Path(default_storage.path("renditions"))
    return {
        str(path.relative_to(default_storage.path("")))
        for path in folder.rglob("*")
        if path.is_file()
    }


def named() -> set[str]:
    return set(Rendition.objects.stored().values_list("file", flat=True))


def cues(rows: dict[str, Rendition]) -> list[tuple]:
    """(start, end, x, y, width, height), in seconds and pixels."""
    text = Path(rows[Kind.STORYBOARD_MAP].file.path).read_text()
    assert text.startswith("WEBVTT\n\n")
    return [
        (seconds(start), seconds(end), *map(int, corner))
        for start, end, *corner in CUE.findall(text)
    ]


def seconds(stamp: str) -> float:
    hours, minutes, rest = stamp.split(":")
    return int(hours) * 3600 + int(minutes) * 60 + float(rest)


def sheet(rows: dict[str, Rendition]) -> Image.Image:
    row = rows[Kind.STORYBOARD]
    with Image.open(row.file.path, formats=["JPEG"]) as image:
        image.load()
        assert image.size == (row.width, row.height)
        assert not image.info.get("exif")
    return image


def probed(row: Rendition):
    return VideoProcessingService().examine(Path(row.file.path)).metadata
