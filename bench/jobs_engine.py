"""What the job engine itself costs an item, over many rows and without any media work, on the
database that DATABASE_URL names.  ``make bench-jobs`` runs it on SQLite and on PostgreSQL.
"""

import argparse
import os
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from django.core.management import call_command
from django.db import connection
from django.db.models import Max

import bench.ready  # noqa: F401  (before what needs Django)
from chat.errors import VideoError
from chat.models import ActivityLog, Attachment, Conversation
from chat.services import activity
from chat.services.activity import SYSTEM, Actor
from moderation import backfill, checkpoints, planning, steering
from moderation.models import Chunk, Failure, Interruption, Job
from moderation.progress import progress
from moderation.scopes import Scope


@dataclass(frozen=True, slots=True)
class Done:
    attachment: Attachment
    error: VideoError | None = None


@dataclass(frozen=True, slots=True)
class NoMedia:
    """A kind of job whose items cost nothing; with ``writes``, each writes its row and its entry
    in the activity log, as real kinds do."""

    writes: bool = False

    def prepare(self, attachment: Attachment) -> Done:
        return Done(attachment)

    def record(self, done: Done, actor: Actor = SYSTEM) -> bool:
        if self.writes:
            done.attachment.write(Attachment.FAILED_FIELDS)
            activity.record(ActivityLog.Action.ATTACHMENT_PROCESSED, actor, done.attachment)
        return True

    def rehearse(self, attachment: Attachment) -> None:
        pass

    def given_up(self, attachment: Attachment, error: VideoError) -> Done:
        return Done(attachment, error)

    def discard(self, done: Done) -> None:
        pass

    def discard_unrecorded(self, done: Sequence[Done]) -> None:
        pass


def add_rows(count: int) -> None:
    """So many legacy videos: one is made, then the table is copied into itself."""
    conversation = Conversation.objects.create(title="bench")
    Attachment.objects.create(
        conversation=conversation,
        original_name="v.mp4",
        size=1,
        kind="video",
        file="attachments/x",
    )
    names = [str(field.column) for field in Attachment._meta.concrete_fields][1:]  # but the id
    columns = ", ".join(names)
    there = 1
    with connection.cursor() as cursor:
        while there < count:
            more = min(there, count - there)
            cursor.execute(
                f"INSERT INTO chat_attachment ({columns}) SELECT {columns} FROM chat_attachment"
                " LIMIT %s",
                [more],
            )
            there += more
        cursor.execute("ANALYZE")


def job_data_bytes() -> int:
    """What the tables of jobs and their indexes take."""
    tables = [model._meta.db_table for model in (Job, Chunk, Failure, Interruption)]
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            sizes = " + ".join(f"pg_total_relation_size('{table}')" for table in tables)
            cursor.execute(f"SELECT {sizes}")
        else:
            like = " OR ".join(f"tbl_name = '{table}'" for table in tables)
            cursor.execute(
                "SELECT sum(pgsize) FROM dbstat"
                f" WHERE name IN (SELECT name FROM sqlite_master WHERE {like})"
            )
        return int(cursor.fetchone()[0])


def timed(action: Callable[[], Any]) -> float:
    started = time.perf_counter()
    action()
    return time.perf_counter() - started


def median_ms(action: Callable[[], Any], times: int = 31) -> float:
    return 1000 * statistics.median(timed(action) for _ in range(times))


def one_job(rows: int, scope: Scope, processing: NoMedia) -> None:
    checkpoints.processing_of = lambda *_which: processing  # type: ignore[attr-defined]
    before = job_data_bytes()
    job = steering.create_job(Job.Kind.METADATA, scope, SYSTEM, "command")
    planned = timed(lambda: backfill.plan(job))
    halfway: list[float] = []

    def look(now: Any) -> None:
        if not halfway and now.fraction > 0.5:
            halfway.append(median_ms(lambda: progress(job)))

    spent = time.process_time()
    worked = timed(lambda: backfill.run_inline(job, look))
    spent = time.process_time() - spent
    assert progress(job).ready == job.total == rows, progress(job)
    kind = "row and log entry written" if processing.writes else "nothing written"
    print(
        f"  {job.total:>9,} items, {kind}: planned in {planned:.2f} s,"
        f" worked in {worked:.1f} s = {1000 * worked / rows:.3f} ms an item"
        f" ({1000 * spent / rows:.3f} of it CPU of this process);"
        f" progress {halfway[0]:.2f} ms half way, {median_ms(lambda: progress(job)):.2f} ms at"
        f" the end; {(job_data_bytes() - before) / 1e6:.2f} MB of job data"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--written", type=int, default=100_000, help="items that write rows")
    options = parser.parse_args()
    call_command("migrate", verbosity=0)
    print(f"{connection.vendor}, {os.cpu_count()} processors, one worker:")
    seconds = timed(lambda: add_rows(options.rows))
    print(f"  {options.rows:,} attachments added in {seconds:.1f} s")
    counted = timed(lambda: planning.dry_run("metadata", Scope(), measure=False))
    print(f"  dry run without samples read: {1000 * counted:.0f} ms")
    one_job(options.rows, Scope(), NoMedia())
    last = Attachment.objects.aggregate(last=Max("pk"))["last"]
    some = min(options.written, options.rows)
    one_job(some, Scope(limit=some, until=last), NoMedia(writes=True))


if __name__ == "__main__":
    main()
