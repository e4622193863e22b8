"""How much a person may store, and have on its way at once: exact under parallel uploads.

Every decision is one short transaction that holds the lock on the person's row.  An upload is
admitted with what it has at least, and promised its room when its size is known: then the stored
bytes and all promised ones are within the quota.  Promised bytes become stored ones in the
transaction that keeps the attachment.
"""

import contextlib
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta

from django.conf import settings
from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import Model, QuerySet, Sum
from django.utils import timezone

from chat.errors import ChatError
from chat.models import (
    ActivityLog,
    Attachment,
    ResumableUpload,
    StorageQuota,
    UploadReservation,
)
from chat.services import activity
from chat.services.activity import Actor

# Of uploads that one request brings: a killed worker's room is free again after so long.
RECEIVING = timedelta(seconds=60)
RENEW_SECONDS = 20
READING = timedelta(minutes=5)  # from the last byte to the commit
STEP_BYTES = 8 * 1024 * 1024  # of a body of unknown length between two looks at the quota


class Reservation:
    """The room of the files that one request brings; see ``reserved``."""

    def __init__(self, owner: User) -> None:
        self.owner = owner
        self.row: UploadReservation | None = None
        self.renewed = 0.0

    def admit(self, least_bytes: int) -> None:
        """Before the first byte is taken.  More calls change nothing.

        Raises:
            ChatError: ``quota_exceeded`` or ``too_many_uploads``.
        """
        if self.row is None:
            self.row = admit(self.owner, least_bytes, RECEIVING)
            self.renewed = time.monotonic()

    def follow(self, received_bytes: int) -> None:
        """While the files arrive: keeps the reservation alive, and up with them.

        Raises:
            ChatError: as ``admit``.
        """
        row = self.row
        if row is None:
            return
        if received_bytes > row.bytes + STEP_BYTES:
            with locked(self.owner):
                others = pending(self.owner).exclude(pk=row.pk)
                require_quota(self.owner, received_bytes, others.filter(is_exact=True))
                require_pending_bytes(received_bytes, others)
                self._write(received_bytes, is_exact=False, lease=RECEIVING)
        elif time.monotonic() > self.renewed + RENEW_SECONDS:
            self._write(row.bytes, is_exact=False, lease=RECEIVING)

    def settle(self, size: int) -> None:
        """All files have arrived: promise them their room.

        Raises:
            ChatError: ``quota_exceeded``.
        """
        if self.row is None:
            return
        with locked(self.owner):
            others = pending(self.owner).exclude(pk=self.row.pk)
            require_quota(self.owner, size, others.filter(is_exact=True))
            self._write(size, is_exact=True, lease=READING)

    def keep(self, _kept: Model) -> None:
        """In the transaction in which the attachments were saved.

        Raises:
            ChatError: ``quota_exceeded``, when it took so long that the promise ended.
        """
        if self.row is not None:
            become_stored(self.owner, UploadReservation.objects.filter(pk=self.row.pk))

    def _write(self, size: int, *, is_exact: bool, lease: timedelta) -> None:
        assert self.row is not None  # noqa: S101  (admitted)
        self.row.bytes, self.row.is_exact = size, is_exact
        self.row.expires_at = timezone.now() + lease
        self.row.save()  # anew, where it expired and was swept
        self.renewed = time.monotonic()

    def release(self) -> None:
        if self.row is not None:
            UploadReservation.objects.filter(pk=self.row.pk).delete()


@contextlib.contextmanager
def reserved(owner: User) -> Iterator[Reservation]:
    """A reservation for the block; of one that ended without ``keep``, nothing is left."""
    reservation = Reservation(owner)
    try:
        yield reservation
    finally:
        reservation.release()


def admit(
    owner: User,
    least_bytes: int,
    lease: timedelta,
    *,
    resumable: ResumableUpload | None = None,
) -> UploadReservation:
    """Reserve room for an upload that begins; a resumable one's size is known and promised.

    Raises:
        ChatError: ``quota_exceeded`` or ``too_many_uploads``.
    """
    with locked(owner):
        others = pending(owner)
        require_quota(owner, least_bytes, others)
        if others.count() >= settings.UPLOAD_PENDING_MAX_COUNT:
            raise ChatError("too_many_uploads")
        require_pending_bytes(least_bytes, others)
        if resumable is not None:
            resumable.save(force_insert=True)
        return UploadReservation.objects.create(
            owner=owner,
            resumable=resumable,
            bytes=least_bytes,
            is_exact=resumable is not None,
            expires_at=timezone.now() + lease,
        )


def become_stored(owner: User, reservation: "QuerySet[UploadReservation]") -> None:
    """The room is taken by attachments that were saved in this transaction.

    Raises:
        ChatError: ``quota_exceeded``.
    """
    with locked(owner):
        promised = reservation.filter(is_exact=True, expires_at__gt=timezone.now())
        if not promised.delete()[0]:
            require_quota(owner, 0, pending(owner).filter(is_exact=True))


@contextlib.contextmanager
def locked(owner: User) -> Iterator[None]:
    """A transaction that is alone in deciding about this person's room."""
    with transaction.atomic():
        # Not against rows that refer to the person: those are inserted all the time.
        if User.objects.select_for_update(no_key=True).filter(pk=owner.pk).first() is None:
            raise ChatError("not_found")  # deleted since they signed in
        yield


def pending(owner: User) -> "QuerySet[UploadReservation]":
    return UploadReservation.objects.filter(owner=owner, expires_at__gt=timezone.now())


@dataclass(frozen=True, slots=True)
class Usage:
    """What a person may store, stores, and has on its way; in bytes."""

    quota_bytes: int
    stored_bytes: int
    pending_bytes: int


def usage_of(owner: User) -> Usage:
    return Usage(quota_of(owner), stored_bytes(owner), bytes_of(pending(owner)))


def quota_of(owner: User) -> int:
    """Bytes that the person may store."""
    own = own_quota(owner)
    return settings.USER_QUOTA_BYTES if own is None else own


def own_quota(owner: User) -> int | None:
    """Bytes, of who was given a quota of their own."""
    return StorageQuota.objects.filter(user=owner).values_list("bytes", flat=True).first()


def set_quota(person: User, quota_bytes: int | None, actor: Actor) -> bool:
    """Give the person a quota of their own, or (None) everybody's; whether that changed anything.

    What is stored stays, also where it is more than that.
    """
    with locked(person):
        before = own_quota(person)
        if quota_bytes == before:
            return False
        if quota_bytes is None:
            StorageQuota.objects.filter(user=person).delete()
        else:
            StorageQuota.objects.update_or_create(user=person, defaults={"bytes": quota_bytes})
        details = {"bytes": quota_bytes, "before": before}
        activity.record(ActivityLog.Action.QUOTA_CHANGED, actor, person, details=details)
    return True


def stored_bytes(owner: User) -> int:
    return Attachment.objects.filter(uploaded_by=owner).aggregate(sum=Sum("size"))["sum"] or 0


def bytes_of(reservations: "QuerySet[UploadReservation]") -> int:
    return reservations.aggregate(sum=Sum("bytes"))["sum"] or 0


def require_quota(owner: User, wanted: int, others: "QuerySet[UploadReservation]") -> None:
    if stored_bytes(owner) + bytes_of(others) + wanted > quota_of(owner):
        raise ChatError("quota_exceeded")


def require_pending_bytes(wanted: int, others: "QuerySet[UploadReservation]") -> None:
    if bytes_of(others) + wanted > settings.UPLOAD_PENDING_MAX_BYTES:
        raise ChatError("too_many_uploads")


def sweep() -> int:
    """Delete reservations whose time is over; those of resumable uploads go with these."""
    over = UploadReservation.objects.filter(resumable=None, expires_at__lte=timezone.now())
    return over.delete()[0]
