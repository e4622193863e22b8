"""The same job as the dashboard's, worked on in this process or handed to the consumers."""

import contextlib
import json
import shlex
import sys
import time
from collections.abc import Mapping
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import InterfaceError, OperationalError, transaction

from moderation import backfill, steering, tasks
from moderation.arguments import (
    STOPPED,
    USAGE,
    add_pace_arguments,
    job_numbered,
    number,
    operator,
    pace_from,
    printable,
    quieten,
)
from moderation.consumer import lower_priority
from moderation.job_report import (
    exit_status,
    failure_lines,
    outcome_line,
    result,
    ways_to_go_on,
    why_it_stopped,
    without_consumer,
)
from moderation.models import Job
from moderation.planning import Forecast, dry_run
from moderation.progress import Progress, progress
from moderation.reporting import Report, reporting
from moderation.scope_arguments import OPTIONS, add_scope_arguments, command_line, scope_from
from moderation.stopping import Stopped, stoppable, unstoppable
from moderation.words import duration_words
from moderation.worker_processes import worker_processes

COMMAND = "backfill_video_metadata"
FOLLOW_SECONDS = 0.5


class Command(BaseCommand):
    help = (
        "Read metadata and make thumbnails of videos that have none, or do another kind of work "
        "on any set of videos.  Ctrl-C leaves a job that resumes.  Exit status: 0 all ready or "
        "skipped, 1 some failed, 2 usage, 3 stopped before its end (paused, cancelled, or the "
        "machine could not go on), 130 Ctrl-C, 143 SIGTERM."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        add_scope_arguments(parser)
        add_pace_arguments(parser)
        where = parser.add_mutually_exclusive_group()
        where.add_argument(
            "--inline",
            action="store_true",
            help="work in this process, and in as many more as --workers says (default)",
        )
        where.add_argument(
            "--follow",
            action="store_true",
            help="leave the work to the consumers and show how it goes; Ctrl-C stops showing",
        )
        where.add_argument(
            "--detach", action="store_true", help="leave it to the consumers and end at once"
        )
        where.add_argument(
            "--dry-run",
            action="store_true",
            help="count, list ten, estimate the time; writes nothing",
        )
        parser.add_argument("--resume", type=number, metavar="JOB", help="go on with this one")
        parser.add_argument(
            "--json", action="store_true", help="print one JSON object and nothing else"
        )

    def handle(self, *_args: Any, **options: Any) -> None:
        quieten(options["verbosity"])
        self.as_json: bool = options["json"]
        status = 0
        try:
            with stoppable():
                if options["dry_run"]:
                    self.forecast(options)
                else:
                    status = self.run(options)
        except Stopped as stopped:
            status = stopped.exit_status
        except (OperationalError, InterfaceError) as error:
            message = f"The database does not answer: {error}".strip()
            raise CommandError(
                f"{message}. What was begun is left as it is: see `manage.py jobs list`.",
                returncode=STOPPED,
            ) from error
        if status:
            sys.exit(status)

    def forecast(self, options: Mapping[str, Any]) -> None:
        if options["resume"]:
            raise CommandError(
                "--resume goes on with a job, --dry-run starts none.", returncode=USAGE
            )
        kind, scope = scope_from(options)
        refuse_unable(kind)
        pace = pace_from(options, steering.Pace())
        found = dry_run(kind, scope)
        seconds = estimate(found, pace)
        command = command_line(options, found.scope.until or 0) if found.matched else None
        if self.as_json:
            facts = {
                "dry_run": True,
                "kind": kind,
                "scope": scope.words(kind),
                "total": found.matched,
                "until": found.scope.until,
                "samples": [
                    {
                        "id": sample.pk,
                        "original_name": sample.original_name,
                        "size": sample.size,
                        "failure": found.failures.get(sample.pk, ""),
                    }
                    for sample in found.samples
                ],
                "measured": found.measured,
                "seconds_per_item": found.seconds_per_item,
                "estimate_seconds": seconds,
                "command": command,
            }
            self.stdout.write(json.dumps(facts))
            return
        words = scope.words(kind)
        self.stdout.write(f"{printable(words[:1].upper() + words[1:])}: {found.matched:,}.")
        for sample in found.samples:
            code = found.failures.get(sample.pk)
            self.stdout.write(
                f"  {sample.pk:>8}  {sample.size:>12,} B  {printable(sample.original_name)}"
                f"{f'  ({code})' if code else ''}"
            )
        if found.matched > len(found.samples):
            self.stdout.write(f"  … and {found.matched - len(found.samples):,} more")
        if found.seconds_per_item is not None and seconds is not None:
            self.stdout.write(
                f"About {duration_words(seconds)} ({pace.words() or '1 worker'}): "
                f"{found.measured} of these took {found.seconds_per_item * 1000:.0f} ms each."
            )
        if command:
            self.stdout.write(f"Nothing was written.  To run exactly these:\n  {command}")

    def run(self, options: Mapping[str, Any]) -> int:
        """The exit status."""
        job = self.resumed(options) if options["resume"] else self.created(options)
        where = "follow" if options["follow"] else "detach" if options["detach"] else "inline"
        started = time.monotonic()
        interruption = None
        try:
            self.introduce(job, where)
            if where != "detach":
                with reporting(self.stdout, as_json=self.as_json) as report:
                    work(job, report) if where == "inline" else follow(job, report)
        except Stopped as stopped:
            interruption = stopped
        with unstoppable():
            if interruption and where == "inline":
                steering.pause(job, operator(COMMAND))
            job.refresh_from_db()
            now = progress(job)
            with contextlib.suppress(OSError):  # the terminal may be gone
                self.summarise(job, now, where, time.monotonic() - started)
        if interruption and not job.is_finished:
            return interruption.exit_status
        return 0 if where == "detach" else exit_status(job, now)

    def created(self, options: Mapping[str, Any]) -> Job:
        kind, scope = scope_from(options)
        refuse_unable(kind)
        pace = pace_from(options, steering.Pace())
        return steering.create_job(kind, scope, operator(COMMAND), "command", pace=pace)

    def resumed(self, options: Mapping[str, Any]) -> Job:
        """The job, running again, at the pace that the options say."""
        beside = [name for name in OPTIONS if options[name] is not None]
        if beside:
            names = ", ".join(f"--{name.replace('_', '-')}" for name in beside)
            raise CommandError(
                f"A job's set of videos is frozen: --resume goes without {names}.",
                returncode=USAGE,
            )
        job = job_numbered(options["resume"])
        if job.is_finished:
            raise CommandError(f"Job {job.pk} has ended: {job.status}.", returncode=USAGE)
        refuse_unable(job.kind)
        with transaction.atomic():
            steering.change(job, operator(COMMAND), pace_from(options, steering.Pace.of(job)))
            steering.resume(job, operator(COMMAND))
        return job

    def introduce(self, job: Job, where: str) -> None:
        if not self.as_json:
            pace = steering.Pace.of(job).words()
            words = f"Job {job.pk}: {printable(job.scope_words)}{f'; {pace}' if pace else ''}."
            self.stdout.write(words)
            self.stdout.flush()
        if where != "inline":
            tasks.wake()
            if warning := without_consumer():
                self.stderr.write(warning)

    def summarise(self, job: Job, now: Progress, where: str, seconds: float) -> None:
        if self.as_json:
            self.stdout.write(json.dumps({**result(job), "seconds": round(seconds, 3)}))
            return
        goes_on = not job.is_finished and job.status != Job.Status.PAUSED
        if where == "detach" or (where == "follow" and goes_on):
            here = shlex.join(["manage.py", COMMAND, "--resume", str(job.pk)])
            self.stdout.write(f"Job {job.pk} goes on without this command.")
            self.stdout.write(f"See how:  manage.py jobs show {job.pk}, or {here} --follow")
            return
        for line in failure_lines(job, now):
            self.stdout.write(line)
        self.stdout.write(f"{outcome_line(job, now)} in {seconds:.1f} s.")
        for line in why_it_stopped(job, now):
            self.stdout.write(printable(line))
        if goes_on:  # nobody could be told to pause it
            for line in ways_to_go_on(job):
                self.stdout.write(line)
        elif now.failed or now.dead:
            self.stdout.write(
                f"See why: manage.py jobs show {job.pk}.  Try them again: "
                f"manage.py jobs retry {job.pk}."
            )


def work(job: Job, report: Report) -> None:
    """In this process and others of its own, until the job is over or paused; they give way to
    others as the consumer of jobs does."""
    lower_priority("jobs")
    with worker_processes(job) as workers:

        def on_progress(now: Progress) -> None:
            workers.look_after()
            report(job, now)

        try:
            backfill.run_inline(job, on_progress)
        except Stopped:
            # Told in the database, the others put down what they have within a second.
            with unstoppable():
                steering.pause(job, operator(COMMAND))
            raise


def follow(job: Job, report: Report) -> None:
    """While others work on it, until the job is over or paused."""
    while not job.is_finished and job.status != Job.Status.PAUSED:
        report(job, progress(job))
        time.sleep(FOLLOW_SECONDS)
        job.refresh_from_db()
    report(job, progress(job))


def refuse_unable(kind: str) -> None:
    if reason := steering.refusal(kind):
        raise CommandError(reason, returncode=STOPPED)


def estimate(found: Forecast, pace: steering.Pace) -> float | None:
    """Seconds of work at this pace; hours in which it rests are not counted."""
    seconds = found.estimate_seconds(pace.workers or 1)
    if seconds is not None and pace.items_per_second:
        seconds = max(seconds, found.matched / pace.items_per_second)
    return seconds
