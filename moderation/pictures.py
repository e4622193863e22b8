"""Where the dashboard's pictures of a video are: the one place that makes their addresses."""

from collections.abc import Iterable

from django.urls import reverse

from chat.models import Attachment
from chat.rendition import Rendition

# Shapes of a grid's tiles, by width over height; the names are those of `static/css/grid.css`.
SHAPES = {
    "9x21": 9 / 21, "9x16": 9 / 16, "3x4": 3 / 4, "1x1": 1.0, "4x3": 4 / 3, "16x9": 16 / 9,
    "21x9": 21 / 9,
}  # fmt: skip
USUAL_SHAPE = "16x9"


def poster_address(attachment: Attachment) -> str:
    """It changes with the poster; empty where there is none."""
    if not attachment.thumbnail:
        return ""
    version = str(attachment.thumbnail.name).rsplit("/", 1)[-1][:12]
    return f"{reverse('moderation:video-thumbnail', args=[attachment.pk])}?v={version}"


def storyboard_address(attachment: Attachment) -> str:
    """Of the map, beside which the sheet lies."""
    return reverse("moderation:video-storyboard-map", args=[attachment.pk])


def with_storyboards(attachments: Iterable[Attachment]) -> set[int]:
    """The ids of those that have one, by one query."""
    maps = Rendition.objects.stored().filter(
        attachment__in=[each.pk for each in attachments], kind=Rendition.Kind.STORYBOARD_MAP
    )
    return set(maps.values_list("attachment_id", flat=True))


def tile_shape(attachment: Attachment) -> str:
    """The nearest of ``SHAPES``."""
    if not attachment.width or not attachment.height:
        return USUAL_SHAPE
    ratio = attachment.width / attachment.height
    return min(SHAPES, key=lambda name: max(ratio / SHAPES[name], SHAPES[name] / ratio))
