"""Background jobs: the database is the record of all work; Huey carries wake-ups only."""

from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.utils import timezone

from chat.models import Attachment


class JobQuerySet(models.QuerySet["Job"]):
    def unfinished(self) -> "JobQuerySet":
        return self.filter(status__in=Job.UNFINISHED)


class Job(models.Model):
    """One run over a frozen set of attachments, cut into chunks when it is planned."""

    class Kind(models.TextChoices):
        METADATA = "metadata", "Backfill metadata"
        THUMBNAILS = "thumbnails", "Regenerate thumbnails"
        STORYBOARDS = "storyboards", "Make storyboards"
        PREVIEWS = "previews", "Make previews"
        FINGERPRINTS = "fingerprints", "Make fingerprints"

    class Status(models.TextChoices):
        PLANNING = "planning", "planning"
        RUNNING = "running", "running"
        PAUSED = "paused", "paused"
        DONE = "done", "done"
        CANCELLED = "cancelled", "cancelled"
        FAILED = "failed", "failed"

    UNFINISHED = (Status.PLANNING, Status.RUNNING, Status.PAUSED)

    kind = models.CharField(max_length=20, choices=Kind)
    status = models.CharField(max_length=10, choices=Status, default=Status.PLANNING)
    scope = models.JSONField(default=dict, help_text="what was asked for; see moderation.scopes")
    scope_words = models.CharField(max_length=300, help_text="the scope as a person reads it")
    total = models.PositiveIntegerField(default=0, help_text="attachments, known once planned")
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="+",
    )
    started_from = models.CharField(max_length=20, help_text="dashboard or command")
    error = models.TextField(blank=True, help_text="why the job itself failed, for operators")
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    started_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)

    objects = JobQuerySet.as_manager()

    class Meta:
        ordering = ["-id"]
        indexes = [models.Index(fields=["status", "-id"], name="job_by_status")]
        # The rights behind the roles of the dashboard (see migration 0002_roles).
        permissions = [
            ("view_dashboard", "Can see the dashboard"),
            ("decide", "Can decide on videos"),
            ("run_jobs", "Can start and steer jobs"),
            ("manage_roles", "Can give and take roles"),
        ]

    def __str__(self) -> str:
        return f"{self.get_kind_display()} #{self.pk}"

    @property
    def started_by(self) -> str:
        """A name, or what there is instead of one."""
        if self.created_by is not None:
            return self.created_by.get_username()
        return "a deleted account" if self.started_from == "dashboard" else "the command line"

    @property
    def is_finished(self) -> bool:
        return self.status not in self.UNFINISHED


class Chunk(models.Model):
    """A slice of a job's frozen set, worked on by one owner at a time under a lease.

    ``fence`` rises with every claim; who commits with an older fence than the row's has lost
    the chunk and discards its work.
    """

    job = models.ForeignKey(Job, models.CASCADE, related_name="chunks")
    attachment_ids = models.JSONField(help_text="the ids, ascending; done up to `cursor`")
    cursor = models.PositiveIntegerField(default=0, help_text="items of attachment_ids done")
    size = models.PositiveIntegerField(help_text="length of attachment_ids")
    owner = models.CharField(max_length=80, blank=True)
    fence = models.PositiveIntegerField(default=0)
    lease_until = models.DateTimeField(null=True, blank=True)
    attempts = models.PositiveIntegerField(default=0, help_text="claims without progress")
    ready = models.PositiveIntegerField(default=0)
    failed = models.PositiveIntegerField(default=0)
    skipped = models.PositiveIntegerField(default=0)

    class Meta:
        ordering = ["id"]
        indexes = [
            models.Index(fields=["job", "id"], name="chunk_of_job"),
            models.Index(
                fields=["job", "lease_until", "id"],
                name="chunk_open",
                condition=Q(cursor__lt=F("size")),
            ),
        ]

    def __str__(self) -> str:
        return f"chunk {self.pk} of job {self.job_id}"


class FailureQuerySet(models.QuerySet["Failure"]):
    def by_code(self) -> Any:
        """[{"code", "count"}], most frequent first."""
        return self.values("code").annotate(count=models.Count("id")).order_by("-count", "code")


class Failure(models.Model):
    """An attachment that a job could not make ready, and why."""

    job = models.ForeignKey(Job, models.CASCADE, related_name="failures")
    attachment = models.ForeignKey(Attachment, models.CASCADE, related_name="+")
    code = models.CharField(max_length=30, help_text="a key of chat.errors.OUTCOMES")
    detail = models.TextField(blank=True, help_text="for operators")
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    objects = FailureQuerySet.as_manager()

    class Meta:
        ordering = ["id"]
        constraints = [
            models.UniqueConstraint(
                fields=["job", "attachment"], name="failure_once_per_job_and_attachment"
            )
        ]
        indexes = [models.Index(fields=["job", "code", "id"], name="failure_by_code")]

    def __str__(self) -> str:
        return f"{self.code}: attachment {self.attachment_id}"


class WorkerSeen(models.Model):
    """When a consumer last told that it runs, by machine and queue: twice a minute."""

    host = models.CharField(max_length=100)
    queue = models.CharField(max_length=20, default="jobs")
    seen_at = models.DateTimeField()

    class Meta:
        ordering = ["-seen_at"]
        constraints = [
            models.UniqueConstraint(fields=["host", "queue"], name="worker_seen_once_per_queue")
        ]

    def __str__(self) -> str:
        return f"{self.queue} on {self.host}"

    @staticmethod
    def tell(host: str, queue: str) -> None:
        """This machine's consumer of the queue runs now; several processes may say so at once."""
        WorkerSeen.objects.bulk_create(
            [WorkerSeen(host=host[:100], queue=queue, seen_at=timezone.now())],
            update_conflicts=True,
            unique_fields=["host", "queue"],
            update_fields=["seen_at"],
        )


class PeriodicRun(models.Model):
    """When periodic work last began, on whichever machine."""

    name = models.CharField(max_length=100, unique=True)
    begun_at = models.DateTimeField()

    def __str__(self) -> str:
        return self.name

    @staticmethod
    def begin(name: str, apart: timedelta) -> bool:
        """Whether the caller is to do it now: of several at once, one; and none so soon after."""
        now = timezone.now()
        run, first = PeriodicRun.objects.get_or_create(name=name, defaults={"begun_at": now})
        due = PeriodicRun.objects.filter(pk=run.pk, begun_at__lte=now - apart)
        return first or due.update(begun_at=now) == 1
