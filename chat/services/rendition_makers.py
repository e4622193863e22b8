"""The slow half of each kind of rendition: from a stored video to files in a scratch directory,
and from a stored rendition back to whether it is what it should be."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from django.db.models.fields.files import FieldFile

from chat.errors import VideoError
from chat.models import Attachment
from chat.rendition import Rendition
from chat.services import media_runner
from chat.services.local_files import local_path
from chat.services.media_engines import engine_for, refuse_unreadable
from chat.services.media_limits import MediaLimits
from chat.services.poster import POSTER_WEBP
from chat.services.preview import PREVIEW, PreviewPlan, refuse_false_preview, write_preview
from chat.services.scratch import scratch_folder
from chat.services.storyboard import SHEET

Kind = Rendition.Kind
MAP = "storyboard.vtt"


@dataclass(frozen=True, slots=True)
class MadeFile:
    """A file in the scratch directory; ``check`` raises VideoError for a stored one that is not
    it.  Width and height in pixels."""

    kind: str
    path: Path
    check: Callable[[FieldFile], None]
    width: int | None = None
    height: int | None = None


@dataclass(frozen=True, slots=True)
class Made:
    """``files`` is empty when there is no use for any."""

    files: tuple[MadeFile, ...] = ()
    placeholder: str = ""


def make_poster(attachment: Attachment, directory: Path, limits: MediaLimits) -> Made:
    """The stored poster as WebP where that is smaller, and the placeholder.

    Raises VideoError.
    """
    with local_path(attachment.thumbnail) as path:
        answer = ask_pictures("pictures.poster", {}, path, directory, limits)
        jpeg_bytes = path.stat().st_size
    webp = directory / POSTER_WEBP
    size = answer["width"], answer["height"]
    files: tuple[MadeFile, ...] = ()
    if webp.stat().st_size < jpeg_bytes:
        check = partial(refuse_false_picture, "WEBP", size, limits)
        files = (MadeFile(Kind.POSTER_WEBP, webp, check, *size),)
    return Made(files, answer["placeholder"])


def make_storyboard(attachment: Attachment, directory: Path, limits: MediaLimits) -> Made:
    """Sheet and map; nothing for a video of unknown length.

    Raises VideoError.
    """
    with local_path(attachment.file) as path:
        refuse_unreadable(path)
        board = engine_for(limits).write_storyboard(path, directory)
    if board is None:
        return Made()
    text = board.as_webvtt()
    map_file = directory / MAP
    map_file.write_text(text, "ascii")
    size = board.width, board.height
    return Made(
        (
            MadeFile(
                Kind.STORYBOARD,
                directory / SHEET,
                partial(refuse_false_picture, "JPEG", size, limits),
                *size,
            ),
            MadeFile(Kind.STORYBOARD_MAP, map_file, partial(refuse_false_text, text)),
        )
    )


def make_preview(attachment: Attachment, directory: Path, limits: MediaLimits) -> Made:
    """The preview; nothing where browsers do well with the video itself.

    Raises VideoError.
    """
    with local_path(attachment.file) as path:
        refuse_unreadable(path)
        plan = write_preview(path, directory, limits)
    if plan is None:
        return Made()
    check = partial(refuse_false_video, plan, limits)
    return Made((MadeFile(Kind.PREVIEW, directory / PREVIEW, check, plan.width, plan.height),))


def ask_pictures(
    task: str, parameters: dict[str, str], path: Path, directory: Path, limits: MediaLimits
) -> dict[str, Any]:
    """A picture task's answer about ``path``.

    Raises VideoError: the one that the task answered, or a limit.
    """
    source = path.resolve()
    answer: dict[str, Any] = media_runner.run_task(
        task, {**parameters, "path": str(source)}, limits.of_a_process, directory, source
    )
    if "error" in answer:
        raise VideoError(answer["error"], answer["detail"])
    return answer


def refuse_false_picture(
    image_format: str, size: tuple[int, int], limits: MediaLimits, stored: FieldFile
) -> None:
    with local_path(stored) as path, scratch_folder() as scratch:
        found = ask_pictures("pictures.look", {"format": image_format}, path, scratch, limits)
    if (found["width"], found["height"]) != size:
        raise VideoError("storage_error", f"{stored.name} is {found}, not {size}")


def refuse_false_text(text: str, stored: FieldFile) -> None:
    with local_path(stored) as path:
        if path.read_bytes() != text.encode("ascii"):
            raise VideoError("storage_error", f"{stored.name} is not what was written")


def refuse_false_video(plan: PreviewPlan, limits: MediaLimits, stored: FieldFile) -> None:
    with local_path(stored) as path:
        refuse_false_preview(engine_for(limits).examine(path).metadata, plan)
