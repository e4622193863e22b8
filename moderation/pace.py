"""Keeping a job below its rate, all its workers together: turns are taken from the job's row."""

import time
from dataclasses import dataclass
from datetime import timedelta

from django.db import transaction
from django.db.models import F
from django.utils import timezone

from moderation.models import Job

# A worker waits no longer than this for a turn; with none so soon it puts the chunk down.
PATIENCE_SECONDS = 1.0
# It takes turns for what it does in about so long at once, at most: they are worked on when the
# first of them comes, and so far ahead of the rate.
AHEAD_SECONDS = 0.5
# No turn is given further ahead than this and one item's time: the clock was set back.
CLOCK_SECONDS = 10.0


@dataclass(slots=True)
class Turns:
    """One worker's turns at a job: no more than it will use, so that they are there for others.

    Slow items would else hold a job of many workers far below its rate.
    """

    seconds_per_item: float = AHEAD_SECONDS  # of the last items; the first is taken alone

    def take(self, job: Job, count: int, deadline: float) -> int:
        """How many of ``count`` items may be worked on now, after waiting for the first one's
        turn; 0 when it does not come before ``deadline`` (of ``time.monotonic``) and some
        patience."""
        rate = job.items_per_second
        if rate is None:
            return count
        with transaction.atomic():
            now = timezone.now()
            first = Job.objects.locked().values_list("next_item_at", flat=True)
            turn = max(first.get(pk=job.pk), now)
            if turn > now + timedelta(seconds=CLOCK_SECONDS + 1 / rate):
                turn = now
            wait = (turn - now).total_seconds()
            left = max(0.0, deadline - time.monotonic())
            is_soon = wait <= max(left, PATIENCE_SECONDS)
            if is_soon:
                pace = min(rate, 1 / self.seconds_per_item)
                count = min(count, max(1, int(pace * AHEAD_SECONDS)))
                after = turn + timedelta(seconds=count / rate)
                Job.objects.filter(pk=job.pk).update(next_item_at=after)
        time.sleep(wait if is_soon else PATIENCE_SECONDS)
        return count if is_soon else 0

    def used(self, job: Job, taken: int, count: int, seconds: float) -> None:
        """Of ``taken`` turns so many, in so long; the others are given back."""
        if job.items_per_second is None:
            return
        if count:
            self.seconds_per_item = max(seconds / count, 1e-6)
        if count < taken:
            unused = timedelta(seconds=(taken - count) / job.items_per_second)
            # Turns that lie in the past are nobody's: see ``take``.
            Job.objects.filter(pk=job.pk).update(next_item_at=F("next_item_at") - unused)
