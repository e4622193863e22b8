"""Pictures that are no videos: looked at in the sandboxed child, never in this process."""

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from django.conf import settings

from chat.errors import VideoError
from chat.services import media_runner
from chat.services.media_limits import MediaLimits, with_second_chance
from chat.services.poster import Poster, poster_of_child
from chat.services.scratch import scratch_folder

logger = logging.getLogger(__name__)

THUMBNAIL = "thumbnail.jpg"  # as sandbox.image_tasks names it
TOO_HARD = "The picture could not be read. Send it in another format or a smaller one."


@dataclass(frozen=True, slots=True)
class ExaminedImage:
    """What a picture is: its size in pixels as displayed, and a thumbnail without metadata."""

    content_type: str
    width: int
    height: int
    thumbnail: Poster


def examine_image(path: Path) -> ExaminedImage | None:
    """What the picture is; None when it is damaged, or of a format that is not opened.

    Raises:
        VideoError: ``too_many_pixels``, or a limit that decoding it passed, twice if of time.
    """
    limits = MediaLimits.from_settings()
    try:
        return with_second_chance(limits, lambda limits: examine_within(limits, path))
    except VideoError as error:
        if error.permanent and error.code != "too_many_pixels":
            error.message = TOO_HARD
        raise


def examine_within(limits: MediaLimits, path: Path) -> ExaminedImage | None:
    """As ``examine_image``, once."""
    with scratch_folder() as scratch:
        source = scratch / "input"
        source.symlink_to(path.resolve())
        parameters = {
            "path": str(source),
            "max_pixels": settings.IMAGE_MAX_PIXELS,
            "max_width": settings.POSTER_MAX_WIDTH_PIXELS,
            "max_height": settings.POSTER_MAX_HEIGHT_PIXELS,
        }
        answer: dict[str, Any] = media_runner.run_task(
            "image.examine", parameters, limits.of_a_process, scratch, source
        )
        if answer.get("error") == "corrupt":
            logger.info("a picture is damaged: %s", answer["detail"])
            return None
        if "error" in answer:
            raise VideoError(answer["error"], answer["detail"])
        size = answer["thumbnail_width"], answer["thumbnail_height"]
        jpeg = media_runner.output(scratch / THUMBNAIL)
        thumbnail = poster_of_child(jpeg, *size, blank=answer["blank"])
        return ExaminedImage(answer["content_type"], answer["width"], answer["height"], thumbnail)
