"""The same job as the dashboard's, worked on in this process."""

import contextlib
import json
import logging
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any, NoReturn

from django.core.management.base import BaseCommand, CommandError, CommandParser
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar

from chat.services.activity import Actor
from moderation import backfill, steering
from moderation.arguments import (
    INTERRUPTED,
    SOME_FAILED,
    TERMINATED,
    conversation_named,
    positive,
    printable,
)
from moderation.models import Failure, Job
from moderation.progress import Progress, progress
from moderation.scopes import ONLY, Scope

SAMPLES = 10
FAILURES_SHOWN = 20
LINE_SECONDS = 5.0


class Command(BaseCommand):
    help = (
        "Read metadata and make thumbnails of videos that have none.  Safe to interrupt and to "
        "run again.  Exit status: 0 all ready, 1 some failed, 2 usage, 130 interrupted."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--dry-run", action="store_true", help="count and list what would be done; no writes"
        )
        parser.add_argument("--limit", type=positive, help="at most so many, the oldest first")
        parser.add_argument("--conversation", help="only of this one: its id or exact title")
        parser.add_argument(
            "--only",
            choices=ONLY,
            default="missing",
            help="those without metadata (default), those that failed, or all again",
        )
        parser.add_argument(
            "--json", action="store_true", help="print one JSON object and nothing else"
        )

    def handle(self, *_args: Any, **options: Any) -> None:
        conversation = options["conversation"]
        scope = Scope(
            only=options["only"],
            conversation=conversation_named(conversation).pk if conversation else None,
            limit=options["limit"],
        )
        if options["dry_run"]:
            self.dry_run(scope, as_json=options["json"])
        else:
            if options["verbosity"] < 2:  # each failure is in the summary
                logging.getLogger("chat.services.video_service").setLevel(logging.WARNING)
            self.run(scope, as_json=options["json"])

    def dry_run(self, scope: Scope, *, as_json: bool) -> None:
        videos = scope.queryset(Job.Kind.METADATA).order_by("pk")[: scope.limit]
        total = videos.count()
        samples = list(videos[:SAMPLES].values("id", "original_name", "size"))
        if as_json:
            self.stdout.write(json.dumps({"dry_run": True, "total": total, "samples": samples}))
            return
        self.stdout.write(f"{scope.words(Job.Kind.METADATA).capitalize()}: {total:,}.")
        for video in samples:
            self.stdout.write(
                f"  {video['id']:>8}  {video['size']:>12,} B  {printable(video['original_name'])}"
            )
        if total > len(samples):
            self.stdout.write(f"  … and {total - len(samples):,} more")

    def run(self, scope: Scope, *, as_json: bool) -> None:
        started = time.monotonic()
        actor = Actor(command="backfill_video_metadata")
        status = None
        with sigterm_ends_in_order():
            job = steering.create_job(Job.Kind.METADATA, scope, actor, "command")
            try:
                with self.reporting(as_json) as report:
                    backfill.run_inline(job, report)
            except BaseException as interruption:
                # Left running it would look stuck: what is missing is found by the next run.
                steering.cancel(job, actor)
                if not isinstance(interruption, KeyboardInterrupt | SystemExit):
                    raise
                status = exit_status(interruption)
            self.summarise(job, time.monotonic() - started, as_json=as_json)
        if status is not None:
            sys.exit(status)
        if job.status == Job.Status.FAILED:
            raise CommandError(job.error)
        if job.status != Job.Status.DONE or progress(job).failed:
            sys.exit(SOME_FAILED)

    @contextlib.contextmanager
    def reporting(self, as_json: bool) -> Iterator[Callable[[Progress], None]]:
        """A bar on a terminal, a line now and then elsewhere, nothing beside JSON."""
        if as_json:
            yield lambda _progress: None
        elif self.stdout.isatty():
            columns = (
                TextColumn("Videos"),
                BarColumn(),
                MofNCompleteColumn(),
                TextColumn("{task.fields[outcome]}"),
                TimeRemainingColumn(),
            )
            with Bar(*columns, console=Console()) as bar:
                task = bar.add_task("", total=None, outcome="")
                yield lambda now: bar.update(
                    task, total=now.total, completed=now.done, outcome=outcome_words(now)
                )
        else:
            yield self.line_now_and_then()

    def line_now_and_then(self) -> Callable[[Progress], None]:
        last = time.monotonic()

        def report(now: Progress) -> None:
            nonlocal last
            if time.monotonic() - last >= LINE_SECONDS:
                last = time.monotonic()
                self.stdout.write(f"{now.done:,} of {now.total:,}: {outcome_words(now)}")
                self.stdout.flush()

        return report

    def summarise(self, job: Job, seconds: float, *, as_json: bool) -> None:
        now = progress(job)
        codes = {row["code"]: row["count"] for row in job.failures.by_code()}
        failures = Failure.objects.filter(job=job).select_related("attachment")
        if as_json:
            result = {
                "job": job.pk,
                "status": job.status,
                "scope": job.scope_words,
                "total": now.total,
                "ready": now.ready,
                "failed": now.failed,
                "skipped": now.skipped,
                "failed_by_code": codes,
                "failures": [
                    {
                        "id": failure.attachment_id,
                        "original_name": failure.name,
                        "code": failure.code,
                        "detail": failure.detail,
                    }
                    for failure in failures.iterator(2000)
                ],
                "seconds": round(seconds, 3),
            }
            self.stdout.write(json.dumps(result))
            return
        for failure in failures[:FAILURES_SHOWN]:
            name = printable(failure.name)
            self.stdout.write(f"  {failure.attachment_id:>8}  {failure.code}: {name}")
        if now.failed > FAILURES_SHOWN:
            self.stdout.write(f"  … and {now.failed - FAILURES_SHOWN:,} more that failed")
        by_code = ", ".join(f"{count:,} {code}" for code, count in codes.items())
        self.stdout.write(
            f"{now.ready:,} ready, {now.skipped:,} skipped, {now.failed:,} failed"
            f"{f' ({by_code})' if by_code else ''} in {seconds:.1f} s."
        )
        if job.status == Job.Status.CANCELLED:
            left = now.total - now.done
            self.stdout.write(f"Interrupted with {left:,} to go: run it again to go on.")


def outcome_words(now: Progress) -> str:
    words = f"{now.ready:,} ready, {now.failed:,} failed"
    return f"{words}, {now.rate_per_second:.1f} a second" if now.rate_per_second else words


def exit_status(interruption: BaseException) -> int:
    return INTERRUPTED if isinstance(interruption, KeyboardInterrupt) else TERMINATED


@contextlib.contextmanager
def sigterm_ends_in_order() -> Iterator[None]:
    """SIGTERM unwinds like Ctrl-C does, instead of ending the process where it stands."""

    def terminated(_signum: int, _frame: FrameType | None) -> NoReturn:
        raise SystemExit(TERMINATED)

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, terminated)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
