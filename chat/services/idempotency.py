"""Requests that a client may send again without their being done again: ``Idempotency-Key``
(draft-ietf-httpapi-idempotency-key-header).

A key belongs to its sender and to what was sent with it.  It is claimed before the body is read
and fulfilled in the transaction that keeps what the request makes: after a crash either both are
there or neither.  A request that fails gives its key back.
"""

import contextlib
import hashlib
import json
import re
import time
import uuid
from collections.abc import Iterator
from datetime import timedelta

from django.conf import settings
from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import Model, QuerySet
from django.http import QueryDict
from django.utils import timezone

from chat.errors import ChatError
from chat.models import IdempotencyKey
from chat.services.uploads import Received

ALLOWED = re.compile(r"[!-~]{1,255}")  # visible ASCII; a quoted string of the draft is one
# A killed worker's claim ends after so long without a byte; one that reads files needs longer.
RECEIVING = timedelta(seconds=60)
RENEW_SECONDS = 20
READING = timedelta(minutes=5)


class Claim:
    """The right to answer the request with this key, or the object that it made before; without
    a key (no row) the right to answer."""

    def __init__(self, row: IdempotencyKey | None) -> None:
        self.row = row
        self.renewed = time.monotonic()

    @property
    def is_answered(self) -> bool:
        return self.row is not None and self.row.object_id is not None

    def follow(self, _received_bytes: int) -> None:
        """While the body arrives."""
        if time.monotonic() > self.renewed + RENEW_SECONDS:
            self.renew(RECEIVING)

    def renew(self, lease: timedelta) -> None:
        self._mine().update(expires_at=timezone.now() + lease)
        self.renewed = time.monotonic()

    def made_before(self, payload_sha256: str) -> int | None:
        """The id of what this request made when it was sent first; None: it is to be done now.

        Raises:
            ChatError: ``idempotency_mismatch``, when something else was sent then.
        """
        if self.row is None:
            return None
        if not self.is_answered:
            self.row.payload_sha256 = payload_sha256
            self.renew(READING)
        elif self.row.payload_sha256 != payload_sha256:
            raise ChatError("idempotency_mismatch")
        return self.row.object_id

    def fulfil(self, made: Model) -> None:
        """In the transaction that keeps ``made``.

        Raises:
            ChatError: ``request_in_progress``: it took so long that another request took over.
        """
        if self.row is None:
            return
        fulfilled = self._mine().update(
            object_id=made.pk,
            payload_sha256=self.row.payload_sha256,
            expires_at=timezone.now() + timedelta(hours=settings.IDEMPOTENCY_KEY_HOURS),
        )
        if not fulfilled:
            raise ChatError("request_in_progress")

    def give_back(self) -> None:
        self._mine().delete()

    def _mine(self) -> "QuerySet[IdempotencyKey]":
        """The row, unless another request has taken it over or it is answered."""
        if self.row is None:
            return IdempotencyKey.objects.none()
        mine = IdempotencyKey.objects.filter(pk=self.row.pk, claim=self.row.claim)
        return mine.filter(object_id=None)


@contextlib.contextmanager
def claimed(owner: User, key: str | None) -> Iterator[Claim]:
    """The claim for the block; given back if the block ends without ``fulfil``.

    Raises:
        ChatError: ``request_in_progress``.
    """
    claim = Claim(take(owner, key) if key is not None else None)
    try:
        yield claim
    finally:
        claim.give_back()


def take(owner: User, key: str) -> IdempotencyKey:
    """The row of this key: answered, or claimed for us now."""
    now = timezone.now()
    claim, lease_end = uuid.uuid4(), now + RECEIVING
    with transaction.atomic():
        row, is_new = IdempotencyKey.objects.select_for_update().get_or_create(
            owner=owner, key=key, defaults={"claim": claim, "expires_at": lease_end}
        )
        if is_new:
            return row
        if row.expires_at > now:
            if row.object_id is None:
                raise ChatError("request_in_progress")
            return row
        row.claim, row.expires_at = claim, lease_end
        row.object_id, row.payload_sha256 = None, ""
        row.save()
        return row


def payload_sha256(address: str, fields: object, received: Received | None = None) -> str:
    """What two requests have in common when the second repeats the first."""
    if isinstance(fields, QueryDict):  # each of its values; as a dict it tells only the last
        fields = dict(fields.lists())
    files = [
        (field, file.name, file.sha256)
        for field, files in (received.files if received else {}).items()
        for file in files
    ]
    described = json.dumps([address, fields, files], sort_keys=True, default=str)
    return hashlib.sha256(described.encode()).hexdigest()


def sweep() -> int:
    """Delete keys whose time is over."""
    return IdempotencyKey.objects.filter(expires_at__lte=timezone.now()).delete()[0]
