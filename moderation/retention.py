"""The bytes of removed videos: kept for a while, then deleted; the rows stay as the record.

A video is claimed first (``erased_at``: from then on nothing brings it back), then its files are
deleted, then the row lets go of their names.  Whatever stops this in between, the next run goes
on with it.
"""

import logging
from collections.abc import Iterator
from datetime import timedelta

from django.conf import settings
from django.db import transaction
from django.db.models import Q
from django.db.models.fields.files import FieldFile
from django.utils import timezone

from chat.models import ActivityLog, Attachment, AttachmentQuerySet
from chat.moderated import Visibility
from chat.services import activity
from chat.services.activity import SYSTEM, Actor

logger = logging.getLogger(__name__)

READ_AT_ONCE = 500


def due(older_than: timedelta | None = None) -> AttachmentQuerySet:
    """Removed longer ago than this (by itself REMOVED_RETENTION_DAYS), not under hold, with
    bytes; also those of which the deletion has begun."""
    if older_than is None:
        older_than = timedelta(days=settings.REMOVED_RETENTION_DAYS)
    over = Q(removed_at__lte=timezone.now() - older_than, on_hold=False)
    return Attachment.objects.filter(
        Q(erased_at__isnull=False) | over, visibility=Visibility.REMOVED, file__gt=""
    )


def erase_due(older_than: timedelta | None = None, actor: Actor = SYSTEM) -> int:
    """Delete the bytes of all that is due; of how many it was done."""
    return sum(erase(pk, actor, older_than) for pk in _ids(older_than))


def _ids(older_than: timedelta | None) -> Iterator[int]:
    last = 0
    while True:
        waiting = due(older_than).filter(pk__gt=last).order_by("pk")
        ids = list(waiting.values_list("pk", flat=True)[:READ_AT_ONCE])
        if not ids:
            return
        yield from ids
        last = ids[-1]


def erase(attachment_id: int, actor: Actor = SYSTEM, older_than: timedelta | None = None) -> bool:
    """Delete the bytes of one that is due.  False when it is not (any more), or when the storage
    refused, which is logged: the next run tries again."""
    attachment = _claim(attachment_id, older_than)
    if attachment is None:
        return False
    files = stored_files(attachment)
    try:
        for file in files:
            file.storage.delete(str(file.name))  # what is gone already is no error
    except OSError:
        logger.exception("attachment %s: its bytes could not be deleted", attachment_id)
        return False
    with transaction.atomic():
        holding = Attachment.objects.filter(pk=attachment_id, file__gt="")
        if not holding.update(file="", thumbnail="", placeholder=""):
            return False  # another one did it meanwhile
        attachment.renditions.all().delete()
        activity.record(
            ActivityLog.Action.ATTACHMENT_ERASED,
            actor,
            attachment,
            details={
                "sha256": attachment.sha256,
                "size": attachment.size,
                "files": len(files),
                "reason": attachment.decision_reason,
            },
        )
    return True


def _claim(attachment_id: int, older_than: timedelta | None) -> Attachment | None:
    with transaction.atomic():
        waiting = due(older_than).filter(pk=attachment_id)
        attachment = waiting.select_for_update(no_key=True).first()
        if attachment is not None and attachment.erased_at is None:
            attachment.erased_at = timezone.now()
            attachment.write(["erased_at"])
    return attachment


def stored_files(attachment: Attachment) -> list[FieldFile]:
    """The file itself last: as long as it is there, nothing says that all is done."""
    files = [rendition.file for rendition in attachment.renditions.all()]
    return [file for file in (*files, attachment.thumbnail, attachment.file) if file]
