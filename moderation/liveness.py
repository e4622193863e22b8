"""What tells that consumers and periodic work are alive."""

from datetime import timedelta

from django.db import models
from django.db.models import Q
from django.utils import timezone


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
