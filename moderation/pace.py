"""Keeping a job below its rate, all its workers together: turns are taken from the job's row."""

import time
from datetime import timedelta

from django.db import transaction
from django.utils import timezone

from moderation.models import Job

# A worker waits no longer than this for a turn; with none so soon it puts the chunk down.
PATIENCE_SECONDS = 1.0


def wait_for_turn(job: Job, count: int, deadline: float) -> int:
    """How many of ``count`` items may be worked on now, after waiting for the first one's turn;
    0 when it does not come before ``deadline`` (of ``time.monotonic``) and some patience."""
    rate = job.items_per_second
    if rate is None:
        return count
    with transaction.atomic():
        now = timezone.now()
        first = Job.objects.select_for_update().values_list("next_item_at", flat=True)
        turn = max(first.get(pk=job.pk), now)
        wait = (turn - now).total_seconds()
        left = max(0.0, deadline - time.monotonic())
        is_soon = wait <= max(left, PATIENCE_SECONDS)
        if is_soon:
            count = min(count, max(1, int(rate)))  # of about a second
            after = turn + timedelta(seconds=count / rate)
            Job.objects.filter(pk=job.pk).update(next_item_at=after)
    time.sleep(wait if is_soon else PATIENCE_SECONDS)
    return count if is_soon else 0
