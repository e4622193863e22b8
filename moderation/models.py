"""Background jobs: the database is the record of all work; Huey carries wake-ups only."""

from collections.abc import Mapping, Sequence
from datetime import datetime, time, timedelta
from typing import Any

from django.conf import settings
from django.db import models
from django.db.models import Exists, F, OuterRef, Q
from django.utils import timezone

from chat.models import Attachment
from moderation.archive_figures import ArchiveFigures as ArchiveFigures
from moderation.decision import Decision as Decision
from moderation.id_sets import pack_ids, unpack_ids
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
    UNFINISHED = (Status.PLANNING, Status.RUNNING, Status.PAUSED)

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


class FailureQuerySet(models.QuerySet["Failure"]):
    def by_code(self) -> Any:
        """[{"code", "count", "unhandled"}], most frequent first."""
        final = Q(handled_at=None) & ~Failure.CONDITIONS[Failure.State.WAITING]
        counts = {"count": models.Count("id"), "unhandled": models.Count("id", filter=final)}
        return self.values("code").annotate(**counts).order_by("-count", "code")

    def in_state(self, state: str) -> "FailureQuerySet":
        """Those in this ``Failure.State``."""
        return self.filter(Failure.CONDITIONS[state])

    def unhandled(self) -> "FailureQuerySet":
        return self.filter(handled_at=None).exclude(Failure.CONDITIONS[Failure.State.WAITING])


class Failure(models.Model):
    """An attachment that a job could not make ready, and why.

    Outcomes that may pass are tried again by the same job, with growing pauses; when the last try
    fails as well the failure is ``dead``.  A later success takes the row away.
    """

    class State(models.TextChoices):
        WAITING = "waiting", "waits for its next try"
        FAILED = "failed", "failed"
        DEAD = "dead", "given up"

    CONDITIONS: Mapping[str, Q] = {
        State.WAITING: Q(is_final=False),
        State.FAILED: Q(is_final=True, is_dead=False),
        State.DEAD: Q(is_dead=True),
    }

    job = models.ForeignKey(Job, models.CASCADE, related_name="failures")
    # No database constraint: what happened stays known when the attachment is deleted.
    attachment = models.ForeignKey(
        Attachment, models.DO_NOTHING, null=True, db_constraint=False, related_name="+"
    )
    code = models.CharField(max_length=30, help_text="a key of chat.errors.OUTCOMES")
    detail = models.TextField(blank=True, help_text="for operators")
    attempts = models.PositiveSmallIntegerField(default=1, help_text="tries so far")
    is_final = models.BooleanField(default=True, help_text="the job does not try again")
    is_dead = models.BooleanField(default=False, help_text="given up after several tries")
    next_try_at = models.DateTimeField(
        null=True, blank=True, help_text="null: final, or in a chunk that is being worked on"
    )
    handled_at = models.DateTimeField(null=True, blank=True)
    handled_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="+",
    )
    created_at = models.DateTimeField(default=timezone.now, help_text="of the last try")

    objects = FailureQuerySet.as_manager()

    class Meta:
        ordering = ["id"]
        constraints = [
            models.UniqueConstraint(
                fields=["job", "attachment"], name="failure_once_per_job_and_attachment"
            ),
            models.CheckConstraint(
                condition=Q(is_final=True, next_try_at=None) | Q(is_final=False, is_dead=False),
                name="failure_final_or_waiting",
            ),
        ]
        indexes = [
            models.Index(fields=["job", "code", "id"], name="failure_by_code"),
            models.Index(
                fields=["job", "next_try_at"],
                name="failure_waiting",
                condition=Q(is_final=False),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.code}: attachment {self.attachment_id}"

    @property
    def name(self) -> str:
        """The attachment's original name, or what there is instead of it."""
        if self.attachment is None:  # loaded with select_related
            return f"attachment {self.attachment_id}, deleted meanwhile"
        return self.attachment.original_name

    @property
    def state(self) -> str:
        if not self.is_final:
            return self.State.WAITING
        return self.State.DEAD if self.is_dead else self.State.FAILED


class Interruption(models.Model):
    """Something that got in a job's way: a worker that died, a full disk."""

    class Cause(models.TextChoices):
        WORKER_LOST = "worker_lost", "a worker died or froze"
        SLICE_FAILED = "slice_failed", "an error ended a slice"
        HALTED = "halted", "the machine could not go on"

    job = models.ForeignKey(Job, models.CASCADE, related_name="interruptions")
    cause = models.CharField(max_length=20, choices=Cause)
    owner = models.CharField(max_length=80, blank=True, help_text="host:pid of the worker")
    attachment_id = models.BigIntegerField(
        null=True, blank=True, help_text="the first that was in work"
    )
    detail = models.TextField(blank=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        ordering = ["-id"]
        indexes = [models.Index(fields=["job", "-id"], name="interruption_of_job")]

    def __str__(self) -> str:
        return f"{self.get_cause_display()} in job {self.job_id}"


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
        # It cannot have begun later than now: the clock was set back.
        long_ago = Q(begun_at__lte=now - apart) | Q(begun_at__gt=now)
        due = PeriodicRun.objects.filter(long_ago, pk=run.pk)
        return first or due.update(begun_at=now) == 1
