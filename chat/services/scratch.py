"""Folders for the length of one piece of media work, in the machine's temporary directory.

A worker that is killed cannot delete its own.  Each folder is locked by who uses it for as long
as that process lives; what is ours and not locked is left over, and swept.
"""

import contextlib
import fcntl
import logging
import os
import shutil
import stat
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

logger = logging.getLogger(__name__)

PREFIX = "offchat-media-"
# Between its making and its locking a folder looks left over, for a moment.
YOUNG_SECONDS = 60.0


@contextlib.contextmanager
def scratch_folder() -> Iterator[Path]:
    """A new folder, deleted afterwards; what cannot be deleted then is swept later."""
    with tempfile.TemporaryDirectory(prefix=PREFIX, ignore_cleanup_errors=True) as name:
        descriptor = open_folder(name)
        try:
            with contextlib.suppress(OSError):  # a file system without locks: nothing is swept
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            yield Path(name)
        finally:
            os.close(descriptor)


def sweep_scratch() -> int:
    """Delete this user's folders that no living process holds; returns how many."""
    swept = 0
    with os.scandir(tempfile.gettempdir()) as entries:
        names = [entry.path for entry in entries if entry.name.startswith(PREFIX)]
    for name in names:
        try:
            swept += delete_if_left(name)
        except OSError as error:  # held, or gone meanwhile
            logger.debug("%s stays: %s", name, error)
    return swept


def delete_if_left(name: str) -> bool:
    """Raises OSError when it is no folder, or held, or cannot be deleted."""
    descriptor = open_folder(name)
    try:
        found = os.fstat(descriptor)
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid():
            return False
        if time.time() - found.st_mtime < YOUNG_SECONDS:
            return False
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        shutil.rmtree(name)
    finally:
        os.close(descriptor)
    return True


def open_folder(name: str) -> int:
    """Never through a link."""
    return os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
