"""The ``libav`` engine as the worker sees it: one sandboxed child reads metadata and poster in one
opening of the file (``sandbox.libav_tasks``)."""

from pathlib import Path
from typing import Any

from chat.errors import VideoError
from chat.services import libav_words, media_runner
from chat.services.examination import ExaminedVideo
from chat.services.media_helper import media_helper
from chat.services.media_limits import MediaLimits
from chat.services.poster import Poster, poster_of_child
from chat.services.scratch import scratch_folder
from chat.services.storyboard import Storyboard
from chat.services.video_metadata import VideoMetadata

POSTER = "poster.jpg"


class LibavEngine:
    """Stateless; safe to share between threads."""

    def __init__(self, limits: MediaLimits) -> None:
        self.limits = limits

    @staticmethod
    def is_available() -> bool:
        """Whether this machine's media helper could import PyAV."""
        return "libav.examine" in media_helper().known_tasks()

    def examine(self, source: Path) -> ExaminedVideo:
        """Raises VideoError: why the file is refused."""
        with scratch_folder() as scratch:
            answer = self._ask("libav.examine", source, scratch)
            jpeg = media_runner.output(scratch / POSTER)
            size = answer["width"], answer["height"]
            poster = poster_of_child(jpeg, *size, blank=answer["blank"])
            return ExaminedVideo(VideoMetadata(**answer["metadata"]), poster)

    def frame_at(self, source: Path, seconds: float) -> Poster:
        """Raises VideoError: why there is no picture of that time."""
        with scratch_folder() as scratch:
            answer = self._ask("libav.frame_at", source, scratch, seconds=seconds)
            jpeg = media_runner.output(scratch / POSTER)
            return poster_of_child(jpeg, answer["width"], answer["height"], blank=answer["blank"])

    def read_metadata(self, source: Path) -> VideoMetadata:
        """Raises VideoError: why the file is refused."""
        with scratch_folder() as scratch:
            answer = self._ask("libav.probe", source, scratch)
            return VideoMetadata(**answer["metadata"])

    def write_storyboard(self, source: Path, directory: Path) -> Storyboard | None:
        """The sheet as ``SHEET`` in ``directory``; None for a video of unknown length.

        Raises VideoError: why there is none.
        """
        answer = self._ask("libav.storyboard", source, directory, slow=True)
        return Storyboard.from_json(answer) if answer else None

    def _ask(
        self, task: str, source: Path, scratch: Path, *, slow: bool = False, **more: Any
    ) -> dict[str, Any]:
        # A name of ours only: no extension to guess a format from.
        path = scratch / "input"
        path.symlink_to(source.resolve())
        bounds = self.limits.bounds
        options = libav_words.input_options(bounds.max_pixels, bounds.max_streams)
        parameters = {"path": str(path), "options": options, "bounds": bounds.to_json(), **more}
        answer: dict[str, Any] = media_runner.run_task(
            task, parameters, self.limits.of_a_process, scratch, path, slow=slow
        )
        if "error" in answer:
            raise VideoError(answer["error"], answer["detail"])
        return answer
