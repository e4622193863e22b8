"""The SHA-256 of a stored file."""

import hashlib
from pathlib import Path

from chat.errors import VideoError
from chat.services.interruption import raise_if_stopped

READ_AT_ONCE_BYTES = 256 * 1024


def sha256_of(path: Path) -> str:
    """Of the file's bytes, in hex.

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
                raise_if_stopped()
        return digest.hexdigest()
    except OSError as error:
        raise VideoError("storage_error", str(error)) from error
