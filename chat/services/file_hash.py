"""The SHA-256 of a stored file, by itself or while something else is waited for."""

import contextlib
import hashlib
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from chat.errors import VideoError
from chat.services.interruption import raise_if_stopped

READ_AT_ONCE_BYTES = 256 * 1024
PATIENCE_SECONDS = 0.1  # between looks whether the hash is wanted still


class _GivenUp(Exception):
    """Nobody waits for the hash any more."""


def sha256_of(path: Path, meanwhile: Callable[[], None] = raise_if_stopped) -> str:
    """Of the file's bytes, in hex, read piece by piece; ``meanwhile`` is called after each.

    Raises:
        VideoError: ``storage_error``.
        Interrupted: within ``interruptible``, which see: a large file takes its time.
    """
    digest = hashlib.sha256()
    piece = memoryview(bytearray(READ_AT_ONCE_BYTES))
    try:
        with path.open("rb", buffering=0) as file:
            while count := file.readinto(piece):
                digest.update(piece[:count])
                meanwhile()
        return digest.hexdigest()
    except OSError as error:
        raise VideoError("storage_error", str(error)) from error


@contextlib.contextmanager
def hashed_meanwhile(path: Path) -> Iterator[Callable[[], str]]:
    """Hashes in a thread while the block waits for a media child; what is given waits for the
    hash and returns it, or raises as ``sha256_of`` does.  Leaving the block gives it up."""
    given_up = threading.Event()

    def go_on() -> None:
        if given_up.is_set():
            raise _GivenUp

    with ThreadPoolExecutor(1, thread_name_prefix="sha256") as pool:
        hashing = pool.submit(sha256_of, path, go_on)

        def result() -> str:
            while True:
                raise_if_stopped()
                with contextlib.suppress(TimeoutError):
                    return hashing.result(PATIENCE_SECONDS)

        try:
            yield result
        finally:
            given_up.set()
