"""A stored file as a path on this machine, for tools that cannot read from a storage."""

import contextlib
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from django.conf import settings
from django.db.models.fields.files import FieldFile

from chat.errors import VideoError


@contextlib.contextmanager
def local_path(file: FieldFile) -> Iterator[Path]:
    """The file itself on local storage, else a copy that is deleted afterwards.

    Raises:
        VideoError: ``missing_file`` or ``storage_error``.
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
        raise VideoError("missing_file", f"{file.name} is not stored")
    yield path


@contextlib.contextmanager
def copied(file: FieldFile) -> Iterator[Path]:
    with tempfile.NamedTemporaryFile(dir=settings.FILE_UPLOAD_TEMP_DIR) as copy:
        try:
            with file.storage.open(file.name or "") as source:
                shutil.copyfileobj(source, copy, 1024 * 1024)
        except FileNotFoundError as error:
            raise VideoError("missing_file", f"{file.name} is not stored") from error
        except OSError as error:
            raise VideoError("storage_error", str(error)) from error
        copy.flush()
        yield Path(copy.name)
