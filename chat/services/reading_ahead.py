"""Files are examined in a thread, so that meanwhile something else can be done with them: what one
waits for is a child, on another processor.

A worker with many files has the next one read while the last is stored and written down.
"""

import contextlib
import threading
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from chat.errors import VideoError
from chat.models import Attachment
from chat.services.examination import ExaminedVideo
from chat.services.interruption import interruptible, raise_if_stopped
from chat.services.local_files import local_path
from chat.services.media_helper import in_turn

# Between looks whether it is wanted still, on both sides: in a thread nobody can be interrupted.
PATIENCE_SECONDS = 0.1


class Reader:
    """Examines files in the order in which it is asked to, one child at a time: while it reads, a
    second thread gets the next file ready for it, or tidies up after the last."""

    def __init__(self, examine: Callable[[Path], ExaminedVideo]) -> None:
        self._examine = examine
        self._pool = ThreadPoolExecutor(2, thread_name_prefix="reader")
        self._one_child = threading.Lock()
        self._called_off = threading.Event()

    def begin(self, path: Path) -> Future[ExaminedVideo]:
        """For ``result_of``."""
        return self._pool.submit(self._work, path)

    def _work(self, path: Path) -> ExaminedVideo:
        with interruptible(self._called_off.is_set, PATIENCE_SECONDS), in_turn(self._one_child):
            return self._examine(path)

    def close(self) -> None:
        """End the child that is reading and forget what waits; returns when it is gone."""
        self._called_off.set()
        self._pool.shutdown(cancel_futures=True)


def result_of(examined: Future[ExaminedVideo]) -> ExaminedVideo:
    """Wait for what ``Reader`` or ``ReadAhead`` has begun.

    Raises:
        VideoError: why the file is refused.
        Interrupted: within ``interruptible``, which see.
    """
    while not examined.done():
        raise_if_stopped()
        with contextlib.suppress(TimeoutError):
            examined.exception(PATIENCE_SECONDS)
    return examined.result()


@dataclass(frozen=True, slots=True)
class Begun:
    """A stored file that is being read, or waits for the one before it."""

    attachment_id: int
    name: str  # of the file in the storage
    path: Path
    examined: Future[ExaminedVideo]
    opened: contextlib.ExitStack  # deletes the copy of a file that is stored elsewhere


class ReadAhead:
    """Stored files, read in the order in which they are expected.  For one thread."""

    def __init__(self, examine: Callable[[Path], ExaminedVideo]) -> None:
        self._examine = examine
        self._reader: Reader | None = None
        self._begun: deque[Begun] = deque()

    def expect(self, attachment: Attachment) -> None:
        """``reading`` will ask for this one, after those that are expected already.  Where the
        file cannot be had, that is said then."""
        if not any(is_of(begun, attachment) for begun in self._begun):
            with contextlib.suppress(VideoError):
                self._begin(attachment)

    def _begin(self, attachment: Attachment) -> None:
        with contextlib.ExitStack() as opened:
            path = opened.enter_context(local_path(attachment.file))
            self._reader = self._reader or Reader(self._examine)
            examined = self._reader.begin(path)
            name = attachment.file.name or ""
            self._begun.append(Begun(attachment.pk, name, path, examined, opened.pop_all()))

    @contextlib.contextmanager
    def reading(self, attachment: Attachment) -> Iterator[tuple[Path, Future[ExaminedVideo]]]:
        """The file's local path, and what is found in it (see ``result_of``).

        Raises:
            VideoError: as ``local_path``.
        """
        if not self._begun or not is_of(self._begun[0], attachment):
            self.close()  # others were expected: they are read again when it is their turn
            self._begin(attachment)
        begun = self._begun.popleft()
        with begun.opened:
            try:
                yield begun.path, begun.examined
            finally:
                if not (self._begun and begun.examined.done()):
                    self.close()

    def close(self) -> None:
        """Call off what is read and expected."""
        reader, self._reader = self._reader, None
        if reader:
            reader.close()
        while self._begun:
            self._begun.popleft().opened.close()


def is_of(begun: Begun, attachment: Attachment) -> bool:
    return (begun.attachment_id, begun.name) == (attachment.pk, attachment.file.name or "")
