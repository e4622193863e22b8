"""Bringing a folder of files in as legacy attachments: stored, without metadata."""

import hashlib
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path

from django.contrib.auth.models import AbstractBaseUser
from django.core.files import File
from django.db import transaction

from chat.models import ActivityLog, Attachment, Conversation, attachment_file_name
from chat.services import activity
from chat.services.activity import Actor
from chat.services.attachments import hold_known_bytes

READ_BYTES = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Imported:
    """What became of one file: the new attachment, or the one that holds the same bytes."""

    path: Path
    attachment: Attachment
    is_new: bool


class HashedFile(File):
    """A file that computes the SHA-256 of what is read from it while it is stored."""

    def __init__(self, file: BufferedReader, name: str) -> None:
        super().__init__(file, name=name)
        self.source = file
        self.sha256 = hashlib.sha256()
        self.bytes_read = 0

    def chunks(self, chunk_size: int | None = None) -> Iterator[bytes]:
        while block := self.source.read(chunk_size or READ_BYTES):
            self.sha256.update(block)
            self.bytes_read += len(block)
            yield block


def files_below(folder: Path, on_error: Callable[[OSError], None]) -> Iterator[Path]:
    """Regular files in ``folder`` and below, in order; symbolic links are not followed.

    A folder that cannot be read is told to ``on_error`` and left out.
    """
    try:
        with os.scandir(folder) as listing:
            entries = sorted(listing, key=lambda entry: entry.name)
    except OSError as error:
        on_error(error)
        return
    for entry in entries:
        if entry.is_dir(follow_symlinks=False):
            yield from files_below(Path(entry.path), on_error)
        elif entry.is_file(follow_symlinks=False):
            yield Path(entry.path)


def import_video(
    path: Path, conversation: Conversation, uploaded_by: AbstractBaseUser | None, actor: Actor
) -> Imported:
    """Store a copy of the file as a video of ``conversation`` that nobody has processed yet.

    The same bytes are stored once in a conversation.

    Raises:
        OSError: the file cannot be read or stored; nothing is kept.
    """
    with open_regular(path) as file:
        size = os.fstat(file.fileno()).st_size
        # Hash first only where something of the same size could be the same file.
        alike = conversation.attachments.filter(size=size).exclude(sha256="")
        if alike.exists():
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
            same = alike.filter(sha256=sha256).order_by("pk").first()
            if same is not None:
                return Imported(path, same, is_new=False)
            file.seek(0)
        attachment = Attachment(
            conversation=conversation,
            uploaded_by_id=uploaded_by.pk if uploaded_by else None,
            original_name=readable_name(path),
            kind=Attachment.Kind.VIDEO,
        )
        storage = attachment.file.storage
        name = attachment_file_name(attachment, path.name)
        try:
            source = HashedFile(file, name)
            attachment.file.name = name = storage.save(name, source)
            attachment.sha256 = source.sha256.hexdigest()
            attachment.size = source.bytes_read
            with transaction.atomic():
                details = hold_known_bytes(attachment)
                attachment.save()
                action = ActivityLog.Action.ATTACHMENT_IMPORTED
                activity.record(action, actor, attachment, details=details)
        except BaseException:
            storage.delete(name)
            raise
    return Imported(path, attachment, is_new=True)


def open_regular(path: Path) -> BufferedReader:
    """Open for reading, refusing a link that was put there since the folder was listed."""
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0))
    return os.fdopen(descriptor, "rb")


def readable_name(path: Path) -> str:
    """The file's own name as text; what is not UTF-8 is replaced, and the end kept."""
    name = os.fsencode(path.name).decode("utf-8", "replace")
    longest = Attachment._meta.get_field("original_name").max_length or 0
    return name[-longest:]
