"""Uploads on their way: what they take of their owner's quota, those that can be resumed, and the
requests that a client may send twice; the quota of who has one of their own."""

import uuid
from pathlib import Path
from typing import TYPE_CHECKING

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.utils import timezone

if TYPE_CHECKING:
    from chat.models import Attachment, Conversation

PARTIAL_PREFIX = "resumable-"


def partial_path(upload_id: uuid.UUID) -> Path:
    return Path(settings.FILE_UPLOAD_TEMP_DIR) / f"{PARTIAL_PREFIX}{upload_id.hex}"


class ResumableUpload(models.Model):
    """A tus upload: bytes up to ``offset`` are on the disk in ``path``, whatever happens.

    ``offset`` becomes ``size`` in the transaction that keeps the attachment and never before, so
    that a client that comes back sends at least the last part again and is told the outcome.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="+")
    conversation: "models.ForeignKey[Conversation, Conversation]" = models.ForeignKey(
        "chat.Conversation", models.CASCADE, related_name="+"
    )
    size = models.PositiveBigIntegerField(help_text="bytes of the whole file")
    offset = models.PositiveBigIntegerField(default=0, help_text="bytes that are kept")
    original_name = models.CharField(max_length=255)
    content = models.TextField(blank=True, help_text="text of the message to be made")
    only_videos = models.BooleanField(default=False)
    metadata = models.TextField(blank=True, help_text="Upload-Metadata as it was sent")
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    expires_at = models.DateTimeField()
    finished_at = models.DateTimeField(null=True, blank=True)
    attachment: "models.ForeignKey[Attachment | None, Attachment | None]" = models.ForeignKey(
        "chat.Attachment", null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )

    class Meta:
        indexes = [models.Index(fields=["expires_at"], name="resumable_upload_by_expiry")]
        constraints = [
            models.CheckConstraint(
                condition=Q(offset__lt=F("size"), finished_at=None)
                | Q(offset=F("size"), finished_at__isnull=False),
                name="resumable_upload_whole_when_finished",
            )
        ]

    def __str__(self) -> str:
        return f"{self.original_name} ({self.offset} of {self.size} bytes)"

    @property
    def path(self) -> Path:
        return partial_path(self.pk)

    @property
    def has_expired(self) -> bool:
        return self.expires_at <= timezone.now()


class UploadReservation(models.Model):
    """What an upload takes of its owner's quota until it is kept or given up.

    ``bytes`` is what the file has at least; once ``is_exact``, what it has.  A reservation whose
    time is over counts no more: its worker was killed, or its client did not come back.
    """

    owner = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="+")
    resumable = models.OneToOneField(
        ResumableUpload, models.CASCADE, null=True, blank=True, related_name="reservation"
    )
    bytes = models.PositiveBigIntegerField()
    is_exact = models.BooleanField(default=False)
    expires_at = models.DateTimeField()

    class Meta:
        indexes = [models.Index(fields=["owner", "expires_at"], name="reservation_of_owner")]

    def __str__(self) -> str:
        return f"{self.bytes} bytes of {self.owner}"


class StorageQuota(models.Model):
    """What one person may store, in the place of USER_QUOTA_BYTES."""

    user = models.OneToOneField(
        settings.AUTH_USER_MODEL, models.CASCADE, primary_key=True, related_name="+"
    )
    bytes = models.PositiveBigIntegerField()

    def __str__(self) -> str:
        return f"{self.bytes} bytes for {self.user}"


class IdempotencyKey(models.Model):
    """A request that its sender may repeat: being answered (no object yet), or answered."""

    owner = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="+")
    key = models.CharField(max_length=255)
    claim = models.UUIDField(help_text="of the request that answers it")
    payload_sha256 = models.CharField(max_length=64, blank=True)
    object_id = models.BigIntegerField(
        null=True, blank=True, help_text="of the attachment or message that it made"
    )
    expires_at = models.DateTimeField()

    class Meta:
        indexes = [models.Index(fields=["expires_at"], name="idempotency_key_by_expiry")]
        constraints = [
            models.UniqueConstraint(fields=["owner", "key"], name="idempotency_key_of_owner")
        ]

    def __str__(self) -> str:
        return self.key
