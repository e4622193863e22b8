"""A stored file as a path on this machine, for tools that cannot read from a storage."""

import contextlib
import errno
import logging
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

from django.conf import settings
from django.db.models.fields.files import FieldFile

from chat.errors import VideoError

logger = logging.getLogger(__name__)


@contextlib.contextmanager
def local_path(file: FieldFile) -> Iterator[Path]:
    """The file itself on local storage, else a copy that is deleted afterwards.

    Raises:
        VideoError: ``missing_file``, ``storage_missing`` or ``storage_error``.
    """
    try:
        path = Path(file.path)
    except NotImplementedError:  # the storage keeps no local files
        with copied(file) as path:
            yield path
        return
    except ValueError as error:  # the row names no file
        raise VideoError("missing_file", "the row names no file") from error
    if not path.is_file():
        refuse_unmounted(Path(file.storage.path("")))
        raise VideoError("missing_file", f"{file.name} is not stored")
    yield path


def refuse_unmounted(root: Path) -> None:
    """Where the whole storage is away, no file of it is lost.

    Raises:
        VideoError: ``storage_missing``, when the folder is not there or nothing is in it.
    """
    with contextlib.suppress(FileNotFoundError), os.scandir(root) as entries:
        if any(entries):
            return
    raise VideoError("storage_missing", f"{root} is missing or empty: is its disk mounted?")


@contextlib.contextmanager
def copied(file: FieldFile) -> Iterator[Path]:
    with tempfile.NamedTemporaryFile(dir=settings.FILE_UPLOAD_TEMP_DIR) as copy:
        try:
            with file.storage.open(file.name or "") as source:
                shutil.copyfileobj(source, copy, 1024 * 1024)
        except FileNotFoundError as error:
            raise VideoError("missing_file", f"{file.name} is not stored") from error
        except OSError as error:
            raise storage_failure(error) from error
        copy.flush()
        yield Path(copy.name)


def storage_failure(error: OSError) -> VideoError:
    """``no_room`` for a full disk or quota, else ``storage_error``."""
    full = error.errno in (errno.ENOSPC, errno.EDQUOT)
    return VideoError("no_room" if full else "storage_error", str(error))


def delete_files(files: Iterable[FieldFile]) -> None:
    """Delete from the storage what there is; a failure is logged and leaves an orphan."""
    for file in files:
        if file.name:
            try:
                file.storage.delete(file.name)
            except OSError:
                logger.exception("%s could not be deleted", file.name)
