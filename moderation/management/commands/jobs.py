"""Background jobs from the command line: look, steer, export."""

import csv
import json
import os
import sys
from collections.abc import Iterable
from typing import Any, TextIO

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import transaction

from moderation import steering, tasks
from moderation.arguments import (
    SOME_FAILED,
    USAGE,
    add_pace_arguments,
    job_numbered,
    number,
    operator,
    pace_from,
    printable,
)
from moderation.job_report import everything, facts, show_lines, speed_words, without_consumer
from moderation.models import Failure, Job
from moderation.progress import outcomes

HEADER = ("id", "outcome", "detail")
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")  # what spreadsheets would calculate


class Command(BaseCommand):
    help = (
        "List, show and steer background jobs, whoever started them.  Exit status: 0, 1 the job "
        "is over or there is nothing to do, 2 usage or no such job."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
        found = actions.add_parser("list", help="those that are not over")
        found.add_argument("--all", action="store_true", help="and those that are")
        found.add_argument("--status", choices=Job.Status.values, help="only these")
        found.add_argument("--json", action="store_true", help="one array")
        shown = one_job(actions, "show", "numbers, failures, interruptions and history of one")
        shown.add_argument("--json", action="store_true", help="one object")
        one_job(actions, "pause", "have the workers put it down, within seconds")
        one_job(actions, "resume", "go on with one that is paused, in the consumers")
        one_job(actions, "cancel", "stop it for good; what is done stays")
        again = one_job(actions, "retry", "a new job, in the consumers, over what failed in it")
        again.add_argument("--code", default="", help="only what failed with it")
        handled = one_job(actions, "handled", "note that someone has seen to what failed")
        handled.add_argument("--code", default="", help="only what failed with it")
        add_pace_arguments(one_job(actions, "set", "work on it at another pace from now on"))
        exported = one_job(actions, "export", "what became of every video of its set, as CSV")
        exported.add_argument("--output", metavar="FILE", help="instead of standard output")

    def handle(self, *_args: Any, **options: Any) -> None:
        action = options["action"]
        if action == "list":
            self.list(options)
            return
        job = job_numbered(options["job"])
        getattr(self, action)(job, options)

    def list(self, options: dict[str, Any]) -> None:
        jobs = Job.objects.select_related("created_by")
        if options["status"]:
            jobs = jobs.filter(status=options["status"])
        elif not options["all"]:
            jobs = jobs.unfinished()
        found = [facts(job) for job in jobs]
        if options["json"]:
            self.stdout.write(json.dumps(found))
        elif not found:
            self.stdout.write("No such job; `jobs list --all` shows every one.")
        else:
            for line in columns(map(row, found)):
                self.stdout.write(line)

    def show(self, job: Job, options: dict[str, Any]) -> None:
        if options["json"]:
            self.stdout.write(json.dumps(everything(job)))
            return
        for line in show_lines(job):
            self.stdout.write(line)

    def pause(self, job: Job, _options: dict[str, Any]) -> None:
        done = steering.pause(job, operator("jobs pause"))
        self.tell(job, done or job.status == Job.Status.PAUSED)

    def resume(self, job: Job, _options: dict[str, Any]) -> None:
        with transaction.atomic():
            steering.resume(job, operator("jobs resume"))
            if not job.is_finished:
                tasks.wake()
        self.tell(job, not job.is_finished)
        self.warn_without_consumer()

    def cancel(self, job: Job, _options: dict[str, Any]) -> None:
        done = steering.cancel(job, operator("jobs cancel"))
        self.tell(job, done or job.status == Job.Status.CANCELLED)

    def set(self, job: Job, options: dict[str, Any]) -> None:
        if all(options[name] is None for name in ("workers", "rate", "window")):
            raise CommandError("Say --workers, --rate or --window.", returncode=USAGE)
        pace = pace_from(options, steering.Pace.of(job))
        with transaction.atomic():
            if steering.change(job, operator("jobs set"), pace):
                tasks.wake()  # more may be worked on now than before
        if not job.is_finished:
            self.stdout.write(f"Job {job.pk}: {pace.words() or 'no limit'}.")
        self.refuse_over(job)

    def retry(self, job: Job, options: dict[str, Any]) -> None:
        with transaction.atomic():
            again = steering.retry(job, operator("jobs retry"), "command", options["code"])
            if again:
                tasks.wake()
        if again is None:
            self.nothing_failed(job, options["code"])
        else:
            self.stdout.write(f"Job {again.pk}: {printable(again.scope_words)}.")
            self.warn_without_consumer()

    def handled(self, job: Job, options: dict[str, Any]) -> None:
        failures = Failure.objects.all()
        if options["code"]:
            failures = failures.filter(code=options["code"])
        count = steering.mark_handled(job, operator("jobs handled"), failures)
        if not count:
            self.nothing_failed(job, options["code"])
        self.stdout.write(f"Job {job.pk}: {count:,} marked as handled.")

    def export(self, job: Job, options: dict[str, Any]) -> None:
        try:
            if options["output"]:
                with open(options["output"], "w", newline="", encoding="utf-8") as file:
                    write_outcomes(job, file)
            else:
                write_outcomes(job, self.stdout)  # type: ignore[arg-type]
        except BrokenPipeError:  # `| head` has enough
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        except OSError as error:
            raise CommandError(f"--output: {error}", returncode=USAGE) from None

    def warn_without_consumer(self) -> None:
        if warning := without_consumer():
            self.stderr.write(warning)

    def tell(self, job: Job, is_so: bool) -> None:
        if is_so:
            self.stdout.write(f"Job {job.pk}: {job.status}.")
        else:
            self.refuse_over(job)

    def refuse_over(self, job: Job) -> None:
        if job.is_finished:
            raise CommandError(f"Job {job.pk} is over: {job.status}.", returncode=SOME_FAILED)

    def nothing_failed(self, job: Job, code: str) -> None:
        with_code = f" with {code!r}" if code else ""
        raise CommandError(
            f"Job {job.pk} has no failure{with_code} that nobody has seen to.",
            returncode=SOME_FAILED,
        )


def one_job(actions: Any, name: str, words: str) -> Any:
    parser = actions.add_parser(name, help=words, description=words)
    parser.add_argument("job", type=number, metavar="JOB")
    return parser


def row(job: dict[str, Any]) -> tuple[str, ...]:
    done = job["ready"] + job["skipped"] + job["failed"] + job["dead"]
    failed = job["failed"] + job["dead"]
    return (
        str(job["job"]),
        job["status"],
        job["kind"],
        f"{done:,}/{job['total']:,}",
        f"{failed:,} failed" if failed else "",
        speed_words(job["rate_per_second"], job["eta_seconds"]),
        printable(job["started_by"]),
        printable(job["scope"]),
    )


def columns(rows: Iterable[tuple[str, ...]]) -> Iterable[str]:
    """Lines in which the cells of a column begin below one another; empty columns are left
    out."""
    found = list(rows)
    widths = [max(map(len, column)) for column in zip(*found, strict=True)]
    for cells in found:
        pairs = zip(cells, widths, strict=True)
        yield "  ".join(cell.ljust(width) for cell, width in pairs if width).rstrip()


def write_outcomes(job: Job, file: TextIO) -> None:
    """A line an item, read and written bit by bit."""
    table = csv.writer(file)
    table.writerow(HEADER)
    for pk, outcome, detail in outcomes(job):
        table.writerow(
            (pk, outcome, f"'{detail}" if detail.startswith(FORMULA_STARTS) else detail)
        )
