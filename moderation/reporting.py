"""Progress of a job while someone watches: a bar on a terminal, a line now and then elsewhere."""

import contextlib
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from django.core.management.base import OutputWrapper
from django.utils import timezone
from rich.console import Console, RenderableType
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    TaskProgressColumn,
    TextColumn,
    TimeElapsedColumn,
)
from rich.progress import Progress as RichProgress
from rich.text import Text

from moderation.job_report import counts, failed_by_code, percent, speed_words
from moderation.models import Job
from moderation.progress import Progress

LINE_SECONDS = 5.0
RATE_SECONDS = 30.0
CODES_SECONDS = 2.0  # they are counted anew so often

Report = Callable[[Job, Progress], None]


@dataclass(slots=True)
class Watch:
    """What is to be said of a job now; it remembers what it saw, for the rate over the last half
    minute, of all the job's workers together."""

    clock: Callable[[], float] = time.monotonic
    seen: deque[tuple[float, int]] = field(default_factory=deque)  # (when, items done)
    codes: dict[str, int] = field(default_factory=dict)
    codes_at: float = float("-inf")

    def look(self, job: Job, now: Progress) -> None:
        moment = self.clock()
        self.seen.append((moment, now.done))
        while self.seen[0][0] < moment - RATE_SECONDS and len(self.seen) > 2:
            self.seen.popleft()
        if moment >= self.codes_at + CODES_SECONDS or job.is_finished:
            self.codes, self.codes_at = failed_by_code(job), moment

    @property
    def rate_per_second(self) -> float | None:
        (first_at, first), (last_at, last) = self.seen[0], self.seen[-1]
        if last == first or last_at - first_at < 0.5:
            return None
        return (last - first) / (last_at - first_at)

    def outcomes(self, now: Progress) -> str:
        return (
            f"{now.ready:,} ready, {now.failed + now.dead:,} failed{counts(self.codes)}, "
            f"{now.skipped:,} skipped"
        )

    def pace(self, job: Job, now: Progress) -> str:
        """Rate and time left, or what it waits for."""
        if job.status == Job.Status.PLANNING and not now.total:
            words = "planning"
        else:
            rate = self.rate_per_second
            words = speed_words(rate, now.left / rate if rate else None)
        if now.waiting:
            words += f"{', ' if words else ''}{now.waiting:,} to be tried again"
        if not job.is_finished and not job.is_within_hours(timezone.now()):
            return f"waits for {job.hours_from:%H:%M}"
        return words


class Bar(RichProgress):
    """Two lines: the bar, and below it how the items ended."""

    below = ""

    def get_renderables(self) -> Iterator[RenderableType]:
        yield self.make_tasks_table(self.tasks)
        yield Text(self.below, no_wrap=True, overflow="ellipsis")

    def stop(self) -> None:
        with contextlib.suppress(OSError):  # the terminal is gone: what was told to stop, stops
            super().stop()


@contextlib.contextmanager
def reporting(stdout: OutputWrapper, *, as_json: bool) -> Iterator[Report]:
    """What to call with the job and its progress, as often as one likes; nothing comes out
    beside JSON."""
    if as_json:
        yield lambda _job, _now: None
    elif stdout.isatty():
        with Bar(
            BarColumn(),
            MofNCompleteColumn(),
            TaskProgressColumn(),
            TextColumn("{task.fields[pace]}", markup=False),
            TimeElapsedColumn(),
            console=Console(),
        ) as bar:
            yield on_a_bar(bar)
    else:
        yield line_now_and_then(stdout)


def on_a_bar(bar: Bar) -> Report:
    watch = Watch()
    task = bar.add_task("", total=None, pace="")

    def report(job: Job, now: Progress) -> None:
        watch.look(job, now)
        total = now.total if job.planned_at else None
        bar.below = watch.outcomes(now)
        bar.update(task, total=total, completed=now.done, pace=watch.pace(job, now))

    return report


def line_now_and_then(stdout: Any) -> Report:
    watch = Watch()
    last = time.monotonic()

    def report(job: Job, now: Progress) -> None:
        nonlocal last
        watch.look(job, now)
        if time.monotonic() - last < LINE_SECONDS:
            return
        last = time.monotonic()
        words = [f"{now.done:,} of {now.total:,} ({percent(now)})", watch.outcomes(now)]
        with contextlib.suppress(OSError):  # who does not read any more keeps nobody from working
            stdout.write("; ".join(filter(None, [*words, watch.pace(job, now)])))
            stdout.flush()

    return report
