"""What is made of a video beside the original: one row for each kind that has been seen to."""

from typing import TYPE_CHECKING

from django.db import models
from django.db.models import Q
from django.utils import timezone

if TYPE_CHECKING:
    from chat.models import Attachment


class RenditionQuerySet(models.QuerySet["Rendition"]):
    def stored(self) -> "RenditionQuerySet":
        return self.exclude(file="")


class Rendition(models.Model):
    """A stored rendition; or, without a file, the reason why there is none: ``failure_code``, or
    (empty) that it would be of no use.  Either way the kind is seen to and not wanted again."""

    class Kind(models.TextChoices):
        POSTER_WEBP = "poster_webp", "poster as WebP"
        STORYBOARD = "storyboard", "storyboard"
        STORYBOARD_MAP = "storyboard_map", "map of the storyboard"
        PREVIEW = "preview", "preview"

    attachment: "models.ForeignKey[Attachment, Attachment]" = models.ForeignKey(
        "chat.Attachment", models.CASCADE, related_name="renditions"
    )
    kind = models.CharField(max_length=20, choices=Kind)
    file = models.FileField(upload_to="renditions", max_length=200, blank=True, db_index=True)
    content_type = models.CharField(max_length=100, blank=True)
    width = models.PositiveIntegerField(null=True, blank=True, help_text="pixels")
    height = models.PositiveIntegerField(null=True, blank=True, help_text="pixels")
    size = models.PositiveBigIntegerField(default=0, help_text="bytes")
    failure_code = models.CharField(max_length=30, blank=True)
    failure_detail = models.TextField(blank=True, help_text="for operators")
    pipeline_version = models.PositiveSmallIntegerField(
        help_text="of the format; see chat.services.renditions"
    )
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    objects = RenditionQuerySet.as_manager()

    class Meta:
        ordering = ["id"]
        indexes = [models.Index(fields=["kind", "file"], name="rendition_stored_by_kind")]
        constraints = [
            models.UniqueConstraint(fields=["attachment", "kind"], name="rendition_once_per_kind"),
            models.CheckConstraint(
                condition=Q(failure_code="") | Q(file=""), name="rendition_failed_has_no_file"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.kind} of attachment {self.attachment_id}"
