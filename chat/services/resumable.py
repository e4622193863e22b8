"""Uploads that survive a lost connection, a restarted server and a killed worker.

The bytes are in one file per upload, the record is ``ResumableUpload.offset``: raised only after
the bytes up to it were brought to the disk, so never more than what is there after any crash.  The
writer holds a lock on the file, which the kernel takes back from a killed process and which counts
on every host that shares the disk.  When the last byte has come, the file takes the road of any
upload; a second name is made for it first, so that a crash on that road leaves the upload as it
was.
"""

import logging
import shutil
import uuid
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

from django.conf import settings
from django.db import transaction
from django.db.models import Model
from django.utils import timezone

from chat.errors import ChatError, VideoError
from chat.models import Conversation, ResumableUpload, UploadReservation
from chat.services import attachments, messages, quotas
from chat.services.activity import Actor
from chat.services.local_files import storage_failure
from chat.services.partial_file import (
    AssembledFile,
    Checksum,
    Writer,
    lifetime,
    locked,
    offset_of,
    prolong,
)
from chat.services.uploads import Body, cleaned
from chat.upload import PARTIAL_PREFIX, partial_path

logger = logging.getLogger(__name__)

# A media type that can hold no video, as the client gives it: refused before a byte is sent.
NEVER_VIDEO = (
    *("application/json", "application/pdf", "application/zip"),
    *("audio/", "font/", "image/", "text/"),
)
ORPHAN = timedelta(hours=1)
# An upload whose address has not been told yet, since its first bytes come with the request that
# begins it.  If the worker is killed, nobody can go on with it, and its room is soon free again.
UNANNOUNCED = timedelta(minutes=5)


def create(
    actor: Actor,
    conversation: Conversation,
    size: int,
    *,
    name: str,
    content_type: str = "",
    content: str = "",
    only_videos: bool = False,
    metadata: str = "",
    lease: timedelta | None = None,
) -> ResumableUpload:
    """Begin an upload of ``size`` bytes; what can be refused is refused now.

    It is kept for ``lease``, by default as long as any that its client has not come back to.

    Raises:
        VideoError: ``empty_file``, ``too_large``, ``not_a_video``, ``no_room``.
        ChatError: ``quota_exceeded``, ``too_many_uploads``; ``not_found`` when the conversation
            was left or deleted meanwhile.
    """
    refuse_at_once(size, content_type, only_videos)
    owner = attachments.owner_of(actor)
    upload = ResumableUpload(
        owner=owner,
        conversation=conversation,
        size=size,
        original_name=cleaned(name) or "file",
        content=content,
        only_videos=only_videos,
        metadata=metadata,
        expires_at=timezone.now() + (lease or unclaimed()),
    )
    with transaction.atomic():
        attachments.require_participant(conversation, actor)
        quotas.admit(owner, size, lease or unclaimed(), resumable=upload)
    return upload


def unclaimed() -> timedelta:
    """How long an upload is kept whose client was sent its address and has not come back to it.

    The answer may have been lost: then nobody can end it, and it holds its room in vain.
    """
    return timedelta(minutes=settings.RESUMABLE_UPLOAD_UNCLAIMED_MINUTES)


def announce(upload: ResumableUpload) -> None:
    """The client is told the address of an upload that began with its first bytes."""
    lease = unclaimed() if upload.finished_at is None else lifetime()
    prolong(upload, lease, offset=upload.offset)


def refuse_at_once(size: int, content_type: str, only_videos: bool) -> None:
    if size == 0:
        raise VideoError("empty_file", "Upload-Length is 0")
    if size > settings.UPLOAD_MAX_BYTES:
        raise VideoError("too_large", f"Upload-Length {size} passes {settings.UPLOAD_MAX_BYTES}")
    if only_videos and content_type.lower().startswith(NEVER_VIDEO):
        raise VideoError("not_a_video", f"announced as {content_type}")
    free = shutil.disk_usage(settings.FILE_UPLOAD_TEMP_DIR).free
    if size > free:
        raise VideoError("no_room", f"Upload-Length {size}, free {free} bytes")


def append(
    upload: ResumableUpload,
    actor: Actor,
    offset: int,
    body: Body,
    checksum: Checksum | None = None,
    *,
    lease: timedelta | None = None,
) -> ResumableUpload:
    """Add what ``body`` holds; with the last byte the attachment is made.

    Of a body that is cut off, what arrived is kept, unless it has a checksum; it is kept for
    ``lease``, see ``create``.

    Raises:
        ChatError: ``upload_locked`` while another request writes, ``offset_conflict``,
            ``checksum_mismatch``, ``incomplete_body``, ``not_found``, ``upload_expired``.
        VideoError: why the finished file is refused; nothing of it is kept, except after an error
            of ours that may pass: then the last part can be sent again.
    """
    with locked(upload) as (file, row):
        if offset != offset_of(row):
            raise ChatError("offset_conflict")
        if row.finished_at is not None:
            return row
        writer = Writer(row, file, offset, checksum, lease or lifetime())
        try:
            writer.take(body)
        except OSError as error:
            writer.drop()
            raise storage_failure(error) from error
        except BaseException as error:
            writer.drop()
            if isinstance(error, VideoError) and error.code == "not_a_video":
                refuse(row, actor, error)
            raise
        if writer.end == row.size:
            finish(row, actor, writer)
        return row


def finish(row: ResumableUpload, actor: Actor, writer: Writer) -> None:
    """Make the attachment (and the message, if there is text) of a file that has arrived."""

    def commit(attachment: Model) -> None:
        mine = ResumableUpload.objects.filter(pk=row.pk, finished_at=None)
        row.offset, row.finished_at = row.size, timezone.now()
        row.attachment_id = attachment.pk
        if not mine.update(
            offset=row.offset, finished_at=row.finished_at, attachment=row.attachment_id
        ):
            raise ChatError("not_found")
        quotas.become_stored(row.owner, UploadReservation.objects.filter(resumable=row))

    try:
        try:
            file = AssembledFile(row, writer.sha256())
        except OSError as error:
            raise storage_failure(error) from error
        try:
            messages.keep_file(
                file,
                row.conversation,
                actor,
                row.content,
                only_videos=row.only_videos,
                also=commit,
            )
        finally:
            file.discard()
    except ChatError as error:
        if error.status < 500:
            refuse(row, actor, error)
        raise
    row.path.unlink(missing_ok=True)


def refuse(row: ResumableUpload, actor: Actor, error: ChatError) -> None:
    """Keep nothing of the upload; of a file that is refused, tell the log."""
    discard(row)
    if isinstance(error, VideoError):
        attachments.record_refusal(error, actor, row.conversation)


def delete(upload: ResumableUpload) -> None:
    """End an upload; an attachment that was made of it stays.

    Raises:
        ChatError: ``upload_locked``, ``not_found``.
    """
    with locked(upload) as (_file, row):
        discard(row)


def discard(row: ResumableUpload) -> None:
    """Row (with its reservation), then file: a file without a row is swept."""
    ResumableUpload.objects.filter(pk=row.pk).delete()
    row.path.unlink(missing_ok=True)


def sweep() -> int:
    """Delete uploads whose time is over, and files that belong to none; returns how many."""
    swept = sum(sweep_upload(upload) for upload in expired())
    for path in orphans():
        path.unlink(missing_ok=True)
        swept += 1
    return swept


def expired() -> Iterator[ResumableUpload]:
    over = ResumableUpload.objects.filter(expires_at__lte=timezone.now())
    yield from over.order_by("expires_at").iterator(1000)


def sweep_upload(upload: ResumableUpload) -> bool:
    try:
        with locked(upload) as (_file, row):
            if not row.has_expired:
                return False
            discard(row)
    except ChatError as error:  # written to this moment, or gone
        logger.info("upload %s is not swept: %s", upload.pk, error.code)
        return False
    return True


def orphans() -> Iterator[Path]:
    """Files of uploads that have no row any more, or are finished."""
    oldest = (timezone.now() - ORPHAN).timestamp()
    for path in Path(settings.FILE_UPLOAD_TEMP_DIR).glob(f"{PARTIAL_PREFIX}*"):
        try:
            upload_id = uuid.UUID(hex=path.name.removeprefix(PARTIAL_PREFIX))
            is_old = path.stat().st_mtime < oldest
        except (ValueError, FileNotFoundError):
            continue
        unfinished = ResumableUpload.objects.filter(pk=upload_id, finished_at=None)
        if is_old and path == partial_path(upload_id) and not unfinished.exists():
            yield path
