"""Attachments: what is stored and who may see it.  Conversations, renditions, uploads on their
way, reports and the activity log have modules of their own; all can be imported from here."""

import uuid
from collections.abc import Iterable, Mapping
from datetime import timedelta
from functools import cache
from typing import TYPE_CHECKING, Any, Self

from django.conf import settings
from django.db import connection, models
from django.db.models import Exists, OuterRef, Q, Subquery
from django.db.models.lookups import IsNull
from django.utils import timezone

from chat.activity_log import ActivityLog as ActivityLog
from chat.activity_log import ActivitySeal as ActivitySeal
from chat.activity_log import UnsealedEntry as UnsealedEntry
from chat.conversation import Conversation as Conversation
from chat.conversation import Message as Message
from chat.conversation import MessageQuerySet as MessageQuerySet
from chat.conversation import Participant as Participant
from chat.conversation import Visitor as Visitor
from chat.index_scan import tested
from chat.moderated import HeldContent as HeldContent
from chat.moderated import Moderated
from chat.moderated import Visibility as _Visibility
from chat.recovery_code import RecoveryCode as RecoveryCode
from chat.rendition import Rendition
from chat.report import Report as Report
from chat.report import ReportCase as ReportCase
from chat.services.fingerprints import FrameHash, unpack
from chat.upload import IdempotencyKey as IdempotencyKey
from chat.upload import ResumableUpload as ResumableUpload
from chat.upload import StorageQuota as StorageQuota
from chat.upload import UploadReservation as UploadReservation
from chat.video_indexes import VIDEO_INDEXES
from chat.video_text import VideoText as VideoText

if TYPE_CHECKING:
    from chat.services.video_metadata import VideoMetadata

# Compared with Attachment.pipeline_version: raise it when processing would give better results,
# and "outdated" attachments are found and done again.
PIPELINE_VERSION = 1
FINGERPRINT_VERSION = 1  # the same for VideoFingerprint


def stored_name(folder: str, extension: str = "") -> str:
    """A storage name of our own making: nothing of the client's name, no client extension."""
    return f"{folder}/{timezone.now():%Y/%m}/{uuid.uuid4().hex}{extension}"


def attachment_file_name(_attachment: "Attachment", _client_name: str) -> str:
    return stored_name("attachments")


def poster_file_name(_attachment: "Attachment", _client_name: str) -> str:
    return stored_name("posters", ".jpg")


def clock(seconds: float) -> str:
    """A time in a video: ``MM:SS``, from one hour on ``H:MM:SS``, rounded down."""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes:02}:{rest:02}"


class AttachmentQuerySet(models.QuerySet["Attachment"]):
    def visible_to(self, user: Visitor) -> Self:
        """The one rule of access: files of conversations in which ``user`` takes part now.

        Quarantined files are included (their participants get 451); removed ones, and those of
        deleted messages, are not.
        """
        return self.known_to(user).exclude(visibility=Attachment.Visibility.REMOVED)

    def known_to(self, user: Visitor) -> Self:
        """As ``visible_to``, with the removed ones: what ``user`` is told was removed."""
        taking_part, deleted = self._looked_up(user)
        return self.filter(Exists(taking_part), ~Exists(deleted))

    def visible_when_tested(self, user: Visitor) -> Self:
        """As ``visible_to``, row by row: for who may see many, of whom few are read."""
        taking_part, deleted = self._looked_up(user)
        # An EXISTS PostgreSQL may answer for all rows beforehand.
        visible = Q(IsNull(Subquery(taking_part.values("pk")[:1]), False))
        visible &= Q(IsNull(Subquery(deleted.values("pk")[:1]), True))
        return self.filter(tested(visible & ~Q(visibility=Attachment.Visibility.REMOVED)))

    def _looked_up(self, user: Visitor) -> tuple[models.QuerySet[Any], models.QuerySet[Any]]:
        """What must be there for a row that is visible, and what must not."""
        return (
            Participant.objects.current().of(user, OuterRef("conversation_id")),
            Message.objects.filter(pk=OuterRef("message_id"), deleted_at__isnull=False),
        )

    def videos(self) -> Self:
        return self.filter(kind=Attachment.Kind.VIDEO)

    def processable(self) -> Self:
        """Videos that processing may touch: all but the removed ones."""
        return self.videos().exclude(visibility=Attachment.Visibility.REMOVED)

    def needing_metadata(self) -> Self:
        """Videos never brought to an end: legacy ones, and those a crash interrupted."""
        states = Attachment.ProcessingState
        return self.processable().filter(processing_state__in=[states.PENDING, states.PROCESSING])

    def needing_thumbnail(self) -> Self:
        """Ready videos without a stored poster."""
        return self.ready().filter(thumbnail="")

    def outdated(self) -> Self:
        """Ready videos that an older version processed."""
        return self.ready().filter(pipeline_version__lt=PIPELINE_VERSION)

    def needing_fingerprint(self) -> Self:
        """Ready videos without a fingerprint, or with one made in an older way."""
        made = VideoFingerprint.objects.filter(
            attachment=OuterRef("pk"), pipeline_version=FINGERPRINT_VERSION
        )
        return self.ready().filter(~Exists(made))

    def outdated_fingerprint(self) -> Self:
        """Ready videos with a fingerprint made in an older way."""
        return self.ready().filter(fingerprint__pipeline_version__lt=FINGERPRINT_VERSION)

    def never_verified(self) -> Self:
        return self.processable().filter(verified_at=None)

    def failed_verification(self) -> Self:
        return self.processable().exclude(verification_code="")

    def verified_long_ago(self) -> Self:
        """Verified last more than VERIFY_AGAIN_DAYS ago."""
        since = timezone.now() - timedelta(days=settings.VERIFY_AGAIN_DAYS)
        return self.processable().filter(verified_at__lt=since)

    def failed(self) -> Self:
        return self.processable().filter(processing_state=Attachment.ProcessingState.FAILED)

    def ready(self) -> Self:
        return self.processable().filter(processing_state=Attachment.ProcessingState.READY)

    def needing_renditions(self, versions: Mapping[str, int]) -> Self:
        """Ready videos for which one of these kinds has not been seen to in this version."""
        wanted = Q()
        for kind, version in versions.items():
            seen_to = Rendition.objects.filter(
                attachment=OuterRef("pk"), kind=kind, pipeline_version__gte=version
            )
            wanted |= Q(~Exists(seen_to))
        return self.ready().filter(wanted)

    def outdated_renditions(self, versions: Mapping[str, int]) -> Self:
        """Ready videos of which one of these kinds was seen to by an older version."""
        older = Q()
        for kind, version in versions.items():
            older |= Q(kind=kind, pipeline_version__lt=version)
        return self.ready().filter(
            Exists(Rendition.objects.filter(older, attachment=OuterRef("pk")))
        )

    def failed_renditions(self, kinds: Iterable[str]) -> Self:
        """Ready videos of which one of these kinds could not be made."""
        failures = Rendition.objects.filter(attachment=OuterRef("pk"), kind__in=kinds)
        return self.ready().filter(Exists(failures.exclude(failure_code="")))


class Attachment(Moderated):
    Visibility = _Visibility

    class Kind(models.TextChoices):
        VIDEO = "video", "video"
        IMAGE = "image", "image"
        AUDIO = "audio", "audio"
        FILE = "file", "file"

    class ProcessingState(models.TextChoices):
        PENDING = "pending", "pending"
        PROCESSING = "processing", "processing"
        READY = "ready", "ready"
        FAILED = "failed", "failed"

    conversation = models.ForeignKey(Conversation, models.CASCADE, related_name="attachments")
    message = models.ForeignKey(
        Message, null=True, blank=True, on_delete=models.SET_NULL, related_name="attachments"
    )
    uploaded_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+"
    )
    file = models.FileField(upload_to=attachment_file_name, max_length=200)
    original_name = models.CharField(max_length=255)
    content_type = models.CharField(max_length=100, blank=True)
    size = models.PositiveBigIntegerField(help_text="bytes")
    kind = models.CharField(max_length=10, choices=Kind, default=Kind.FILE)
    duration = models.FloatField(null=True, blank=True, help_text="seconds; null when unknown")
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    # 0004: what a video is.
    thumbnail = models.ImageField(upload_to=poster_file_name, max_length=200, blank=True)
    width = models.PositiveIntegerField(null=True, blank=True, help_text="pixels, as displayed")
    height = models.PositiveIntegerField(null=True, blank=True, help_text="pixels, as displayed")
    bitrate = models.PositiveIntegerField(null=True, blank=True, help_text="kbps")
    codec = models.CharField(max_length=40, blank=True, help_text="of the video stream")

    # 0005: the rest of what is known, and how it came to be known.
    container = models.CharField(max_length=40, blank=True)
    audio_codec = models.CharField(max_length=40, blank=True)
    frame_rate = models.FloatField(null=True, blank=True, help_text="frames a second")
    rotation = models.SmallIntegerField(
        default=0, help_text="degrees clockwise that the stored picture is turned for display"
    )
    sha256 = models.CharField(max_length=64, blank=True, help_text="of the file's bytes, hex")
    processing_state = models.CharField(
        max_length=10, choices=ProcessingState, default=ProcessingState.PENDING
    )
    failure_code = models.CharField(max_length=30, blank=True)
    failure_detail = models.TextField(blank=True, help_text="for operators")
    processed_at = models.DateTimeField(null=True, blank=True)
    pipeline_version = models.PositiveSmallIntegerField(default=0)
    placeholder = models.CharField(
        max_length=60, blank=True, help_text="ThumbHash of the poster, base64"
    )

    # 0009: whether what is stored is still what was stored.
    verified_at = models.DateTimeField(null=True, blank=True)
    verification_code = models.CharField(
        max_length=30, blank=True, help_text="of the last verification; empty when all was well"
    )

    objects = AttachmentQuerySet.as_manager()

    class Meta:
        ordering = ["-id"]
        indexes = [
            models.Index(fields=["conversation", "-id"], name="attachment_of_conversation"),
            models.Index(fields=["kind", "-id"], name="attachment_by_kind"),
            models.Index(fields=["kind", "processing_state", "id"], name="attachment_by_state"),
            *VIDEO_INDEXES,
            models.Index(fields=["sha256"], name="attachment_by_sha256"),
            models.Index(fields=["kind", "visibility", "-id"], name="attachment_by_visibility"),
            models.Index(
                fields=["removed_at"],
                name="attachment_removed",
                condition=Q(removed_at__isnull=False),
            ),
            models.Index(fields=["uploaded_by", "size"], name="attachment_bytes_of_uploader"),
        ]
        constraints = [
            models.CheckConstraint(
                condition=Q(width=None, height=None) | Q(width__gt=0, height__gt=0),
                name="attachment_dimensions_whole",
            ),
            models.CheckConstraint(
                condition=Q(processing_state="failed", failure_code__gt="")
                | (~Q(processing_state="failed") & Q(failure_code="")),
                name="attachment_failure_has_code",
            ),
        ]

    def __str__(self) -> str:
        return self.original_name or f"Attachment {self.pk}"

    @property
    def video_dimensions(self) -> tuple[int, int] | None:
        """(width, height) in pixels as displayed, or None when unknown."""
        if self.width is None or self.height is None:
            return None
        return self.width, self.height

    @property
    def duration_formatted(self) -> str:
        """``MM:SS``, from one hour on ``H:MM:SS``, rounded down; empty when unknown."""
        return "" if self.duration is None else clock(self.duration)

    # Field names that each change of state writes, for `write`.
    FAILED_FIELDS = (
        "processing_state", "failure_code", "failure_detail", "processed_at", "pipeline_version",
    )  # fmt: skip
    READY_FIELDS = (
        *FAILED_FIELDS, "thumbnail", "duration", "width", "height", "bitrate", "codec",
        "container", "audio_codec", "frame_rate", "rotation", "content_type", "kind",
    )  # fmt: skip

    @property
    def is_ready(self) -> bool:
        return self.processing_state == self.ProcessingState.READY

    def stored_rendition(self, kind: str) -> Rendition | None:
        """The stored one of this kind; uses what was prefetched."""
        return next((r for r in self.renditions.all() if r.kind == kind and r.file), None)

    def write(self, fields: Iterable[str]) -> bool:
        """Write these fields of this row; False when the row is gone.

        Putting such a statement together takes the ORM longer than a database takes to carry it
        out, and meanwhile a job's checkpoint holds the lock that uploads wait for on SQLite.
        """
        written, sql = updating(tuple(fields))
        values = [
            field.get_db_prep_save(getattr(self, field.attname), connection) for field in written
        ]
        with connection.cursor() as cursor:
            cursor.execute(sql, [*values, self.pk])
            found: int = cursor.rowcount
        return found > 0

    def mark_ready(self, metadata: "VideoMetadata", thumbnail: str) -> None:
        """Set what was found out and the poster's storage name; the caller writes READY_FIELDS."""
        self.kind = self.Kind.VIDEO
        self.width, self.height = metadata.width, metadata.height
        self.duration = metadata.duration
        self.bitrate = metadata.bitrate
        self.codec = metadata.codec
        self.container = metadata.container
        self.content_type = metadata.content_type
        self.audio_codec = metadata.audio_codec
        self.frame_rate = metadata.frame_rate
        self.rotation = metadata.rotation
        self.thumbnail.name = thumbnail
        self._set_state(self.ProcessingState.READY)

    def describe_image(self, content_type: str, width: int, height: int, thumbnail: str) -> None:
        """Set what a picture is (pixels as displayed) and its thumbnail's storage name."""
        self.kind = self.Kind.IMAGE
        self.content_type = content_type
        self.width, self.height = width, height
        self.thumbnail.name = thumbnail

    def mark_failed(self, code: str, detail: str) -> None:
        """Set the outcome code and the operator's detail; the caller writes FAILED_FIELDS."""
        self._set_state(self.ProcessingState.FAILED, code, detail)

    def _set_state(self, state: str, code: str = "", detail: str = "") -> None:
        self.processing_state = state
        self.failure_code = code
        self.failure_detail = detail[:2000]
        self.processed_at = timezone.now()
        self.pipeline_version = PIPELINE_VERSION


@cache
def updating(names: tuple[str, ...]) -> "tuple[list[models.Field[Any, Any]], str]":
    """These fields of an attachment, and the statement that writes them to one row."""
    by_name = {field.name: field for field in Attachment._meta.concrete_fields}
    written = [by_name[name] for name in names]
    changes = ", ".join(f'"{field.column}" = %s' for field in written)
    return written, f"UPDATE {Attachment._meta.db_table} SET {changes} WHERE id = %s"  # noqa: S608


class VideoFingerprint(models.Model):
    """What a video looks like, for finding it again when it was cut, scaled or encoded anew.

    Kept apart from the attachment: up to 11 kB that no list reads.
    """

    attachment = models.OneToOneField(Attachment, models.CASCADE, related_name="fingerprint")
    algorithm = models.CharField(max_length=20)
    packed_frames = models.BinaryField(help_text="see chat.services.fingerprints.pack")
    pipeline_version = models.PositiveSmallIntegerField()
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    def __str__(self) -> str:
        return f"fingerprint of attachment {self.attachment_id}"

    @property
    def frames(self) -> list[FrameHash]:
        """The hashed pictures in order; none where every picture is flat or black."""
        return unpack(bytes(self.packed_frames))
