"""What participants report: one row a report, and one that sums up all about a video."""

from typing import TYPE_CHECKING

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone

from chat.moderated import Reason

if TYPE_CHECKING:
    from chat.models import Attachment


class ReportQuerySet(models.QuerySet["Report"]):
    def open(self) -> "ReportQuerySet":
        return self.filter(settled_at=None)


class Report(models.Model):
    """A participant's word that something is wrong with a video, open until a decision settles
    it.  A person has one open report on a video: reporting again changes it."""

    attachment: "models.ForeignKey[Attachment, Attachment]" = models.ForeignKey(
        "chat.Attachment", models.CASCADE, related_name="reports"
    )
    reporter = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+"
    )
    reason = models.CharField(max_length=20, choices=Reason)
    note = models.TextField(blank=True)
    time_seconds = models.FloatField(
        null=True, blank=True, help_text="in the video; null: all of it"
    )
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    changed_at = models.DateTimeField(null=True, blank=True, help_text="when it was sent again")
    settled_at = models.DateTimeField(null=True, blank=True)
    decision_id = models.BigIntegerField(
        null=True, blank=True, help_text="of the moderators, which settled it"
    )

    objects = ReportQuerySet.as_manager()

    class Meta:
        ordering = ["-id"]
        indexes = [models.Index(fields=["attachment", "-id"], name="report_of_attachment")]
        constraints = [
            models.UniqueConstraint(
                fields=["attachment", "reporter"],
                condition=Q(settled_at=None),
                name="report_open_once_per_person",
            ),
            models.CheckConstraint(
                condition=Q(time_seconds=None) | Q(time_seconds__gte=0),
                name="report_time_not_negative",
            ),
        ]

    def __str__(self) -> str:
        return f"report {self.pk} on attachment {self.attachment_id}"


class ReportCaseQuerySet(models.QuerySet["ReportCase"]):
    def open(self) -> "ReportCaseQuerySet":
        return self.filter(open_reports__gt=0)


class ReportCase(models.Model):
    """All reports on one video in numbers, so that the list of a million reports need not count.

    Follows from the rows of ``Report``: see ``chat.services.reports.sum_up``.
    """

    attachment: "models.OneToOneField[Attachment, Attachment]" = models.OneToOneField(
        "chat.Attachment", models.CASCADE, related_name="report_case"
    )
    reports = models.PositiveIntegerField(default=0)
    open_reports = models.PositiveIntegerField(default=0)
    waiting_since = models.DateTimeField(
        null=True, blank=True, help_text="the oldest open report; null when none is open"
    )
    last_at = models.DateTimeField(help_text="the newest report")

    objects = ReportCaseQuerySet.as_manager()

    class Meta:
        ordering = ["waiting_since", "id"]
        indexes = [
            models.Index(fields=["waiting_since", "id"], name="case_by_age"),
            models.Index(fields=["open_reports", "-id"], name="case_by_count"),
            models.Index(fields=["last_at", "id"], name="case_by_last_report"),
        ]

    def __str__(self) -> str:
        return f"reports on attachment {self.attachment_id}"
