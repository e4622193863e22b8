"""Background jobs: the database is the record of all work; Huey carries wake-ups only."""

from collections.abc import Sequence
from datetime import datetime, time

from django.conf import settings
from django.db import models
from django.db.models import Exists, F, OuterRef, Q
from django.utils import timezone

from moderation.archive_figures import ArchiveFigures as ArchiveFigures
from moderation.decision import Decision as Decision
from moderation.failure import Failure as Failure
from moderation.failure import FailureQuerySet as FailureQuerySet
from moderation.failure import Interruption as Interruption
from moderation.id_sets import pack_ids, unpack_ids
from moderation.liveness import PeriodicRun as PeriodicRun
from moderation.liveness import WorkerSeen as WorkerSeen
from moderation.protection import Exposure as Exposure
from moderation.protection import ReviewerPreference as ReviewerPreference
from moderation.saved_view import SavedView as SavedView


class JobQuerySet(models.QuerySet["Job"]):
    def unfinished(self) -> "JobQuerySet":
        return self.filter(status__in=Job.UNFINISHED)

    def locked(self) -> "JobQuerySet":
        """For the caller's transaction; rows that refer to a job can be inserted meanwhile."""
        return self.select_for_update(no_key=True)

    def within_hours(self, now: datetime) -> "JobQuerySet":
        """Those that may be worked on at this time of the day (in TIME_ZONE)."""
        clock = timezone.localtime(now).time()
        begun, not_over = Q(hours_from__lte=clock), Q(hours_until__gt=clock)
        over_midnight = Q(hours_from__gt=F("hours_until"))
        return self.filter(
            Q(hours_from=None)
            | (~over_midnight & begun & not_over)
            | (over_midnight & (begun | not_over))
        )

    def with_work(self, now: datetime) -> "JobQuerySet":
        """Those of which a worker could take something on now: to be planned, or with a chunk
        that nobody holds or a failure whose next try is due."""
        chunks = Chunk.objects.open().filter(job=OuterRef("pk")).free(now)
        retries = Failure.objects.filter(job=OuterRef("pk"), next_try_at__lte=now)
        running = Q(status=Job.Status.RUNNING) & (Exists(chunks) | Exists(retries))
        return self.filter(Q(status=Job.Status.PLANNING) | running).within_hours(now)


class Job(models.Model):
    """One run over a frozen set of attachments, cut into chunks when it is planned."""

    class Kind(models.TextChoices):
        METADATA = "metadata", "Backfill metadata"
        THUMBNAILS = "thumbnails", "Regenerate thumbnails"
        STORYBOARDS = "storyboards", "Make storyboards"
        PREVIEWS = "previews", "Make previews"
        FINGERPRINTS = "fingerprints", "Make fingerprints"
        VERIFY = "verify", "Verify stored files"
        DECISIONS = "decisions", "Decide on videos"

    class Status(models.TextChoices):
        PLANNING = "planning", "planning"
        RUNNING = "running", "running"
        PAUSED = "paused", "paused"
        DONE = "done", "done"
        CANCELLED = "cancelled", "cancelled"
        FAILED = "failed", "failed"

    # What operators start; decisions are the moderators'.
    WORK = (
        Kind.METADATA, Kind.THUMBNAILS, Kind.STORYBOARDS, Kind.PREVIEWS, Kind.FINGERPRINTS,
        Kind.VERIFY,
    )  # fmt: skip
    IN_WORK = (Status.PLANNING, Status.RUNNING)
    UNFINISHED = (*IN_WORK, Status.PAUSED)

    kind = models.CharField(max_length=20, choices=Kind)
    status = models.CharField(max_length=10, choices=Status, default=Status.PLANNING)
    scope = models.JSONField(default=dict, help_text="what was asked for; see moderation.scopes")
    params = models.JSONField(default=dict, help_text="of decisions: the verdict")
    scope_words = models.CharField(max_length=300, help_text="the scope as a person reads it")
    total = models.PositiveIntegerField(default=0, help_text="attachments, known once planned")
    counted = models.PositiveIntegerField(
        null=True, blank=True, help_text="attachments, as a dry run counted before"
    )
    retry_of = models.ForeignKey(
        "self", null=True, blank=True, on_delete=models.SET_NULL, related_name="retries"
    )
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="+",
    )
    started_from = models.CharField(max_length=20, help_text="dashboard or command")
    error = models.TextField(
        blank=True, help_text="why the job itself failed or was paused, for operators"
    )

    # How it is to be worked on; read at every checkpoint, so that a change steers a running job.
    workers = models.PositiveSmallIntegerField(
        null=True, blank=True, help_text="chunks worked on at once, at most; null: no limit"
    )
    items_per_second = models.FloatField(
        null=True, blank=True, help_text="at most, by all workers together; null: no limit"
    )
    hours_from = models.TimeField(null=True, blank=True, help_text="of the day; null: always")
    hours_until = models.TimeField(null=True, blank=True, help_text="may be past midnight")

    # The engine's own.
    turn_at = models.DateTimeField(
        default=timezone.now, editable=False, help_text="last claim: the oldest has the next turn"
    )
    next_item_at = models.DateTimeField(
        default=timezone.now, editable=False, help_text="under a rate: when the next may begin"
    )

    created_at = models.DateTimeField(default=timezone.now, editable=False)
    planned_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)
    details_cleared_at = models.DateTimeField(
        null=True, blank=True, help_text="since then only the numbers are known"
    )

    objects = JobQuerySet.as_manager()

    class Meta:
        ordering = ["-id"]
        indexes = [models.Index(fields=["status", "-id"], name="job_by_status")]
        constraints = [
            models.CheckConstraint(
                condition=Q(hours_from=None, hours_until=None)
                | Q(hours_from__isnull=False, hours_until__isnull=False)
                & ~Q(hours_from=F("hours_until")),
                name="job_hours_whole",
            ),
            models.CheckConstraint(
                condition=Q(items_per_second=None) | Q(items_per_second__gt=0),
                name="job_rate_positive",
            ),
            models.CheckConstraint(
                condition=Q(workers=None) | Q(workers__gt=0), name="job_workers_positive"
            ),
        ]
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

    def is_within_hours(self, now: datetime) -> bool:
        """Whether it may be worked on at this time of the day (in TIME_ZONE)."""
        start, end = self.hours_from, self.hours_until
        if start is None or end is None:
            return True
        clock: time = timezone.localtime(now).time()
        if start < end:
            return start <= clock < end
        return clock >= start or clock < end


class ChunkQuerySet(models.QuerySet["Chunk"]):
    def open(self) -> "ChunkQuerySet":
        return self.filter(cursor__lt=F("size"))

    def free(self, now: datetime) -> "ChunkQuerySet":
        """Those that nobody holds."""
        return self.filter(Q(lease_until=None) | Q(lease_until__lte=now))

    def held(self, now: datetime) -> "ChunkQuerySet":
        """Those that a worker holds under a lease."""
        return self.open().filter(lease_until__gt=now)


class Chunk(models.Model):
    """A slice of a job's frozen set, worked on by one owner at a time under a lease.

    ``fence`` rises with every claim; who commits with an older fence than the row's has lost
    the chunk and discards its work.  The outcomes of the items before ``cursor``: ``waiting`` ones
    failed for now and are tried again in a chunk made for that (``is_retry``), which counts their
    end; all the others are counted here, once.
    """

    class Skip(models.TextChoices):
        """Why an item of the set was not worked on."""

        GONE = "gone", "deleted meanwhile"
        REMOVED = "removed", "removed by a moderator"
        NOT_NEEDED = "not_needed", "done meanwhile by something else"
        DECIDED = "decided", "decided on meanwhile by someone else"

    job = models.ForeignKey(Job, models.CASCADE, related_name="chunks")
    packed_ids = models.TextField(default="", help_text="attachments' ids; see moderation.id_sets")
    cursor = models.PositiveIntegerField(default=0, help_text="items done, in ascending order")
    size = models.PositiveIntegerField(help_text="number of items")
    is_retry = models.BooleanField(default=False)
    owner = models.CharField(max_length=80, blank=True)
    fence = models.PositiveIntegerField(default=0)
    lease_until = models.DateTimeField(null=True, blank=True)
    attempts = models.PositiveIntegerField(default=0, help_text="claims without progress")
    ready = models.PositiveIntegerField(default=0)
    failed = models.PositiveIntegerField(default=0, help_text="for good: the file's own fault")
    dead = models.PositiveIntegerField(default=0, help_text="given up after several tries")
    skipped = models.PositiveIntegerField(default=0)
    waiting = models.PositiveIntegerField(default=0, help_text="put off to a later try")
    skips = models.JSONField(default=dict, help_text="{Skip: [attachment ids]}")
    busy_seconds = models.FloatField(default=0, help_text="time workers spent on what is done")

    objects = ChunkQuerySet.as_manager()

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

    @property
    def attachment_ids(self) -> list[int]:
        """Ascending; done up to ``cursor``."""
        return unpack_ids(self.packed_ids)

    @classmethod
    def of(cls, job: Job, ids: Sequence[int], *, is_retry: bool = False) -> "Chunk":
        """Unsaved, of these ids in ascending order."""
        return cls(job=job, packed_ids=pack_ids(ids), size=len(ids), is_retry=is_retry)
