"""Entries of the activity log as years of use leave them: views and downloads from offices and
homes, a few jobs that touch everything, now and then something refused or failed."""

import random
from collections.abc import Iterator
from datetime import timedelta

from django.db import connection

from bench.many_videos import NOW, YEARS, Row, copy
from chat import append_only
from chat.models import ActivityLog, Attachment, Conversation
from moderation.models import Chunk, Job

COLUMNS = (
    "id", "created_at", "action", "outcome", "actor_id", "actor_name", "job_id", "ip_address",
    "object_type", "object_id", "object_label", "conversation_id", "details",
)  # fmt: skip
# Action → (kind of object, how many in a thousand, how many of these do not succeed).
ACTIONS = {
    "attachment_viewed": ("attachment", 420, 0.002),
    "attachment_downloaded": ("attachment", 180, 0.01),
    "attachment_uploaded": ("attachment", 90, 0.0),
    "attachment_processed": ("attachment", 90, 0.03),
    "renditions_made": ("attachment", 80, 0.02),
    "message_sent": ("message", 80, 0.0),
    "signed_in": ("user", 30, 0.0),
    "sign_in_failed": ("user", 10, 1.0),
    "attachment_refused": ("conversation", 10, 1.0),
    "participant_added": ("conversation", 5, 0.0),
    "attachment_quarantined": ("attachment", 3, 0.0),
    "job_started": ("job", 1, 0.0),
    "job_finished": ("job", 1, 0.1),
}
BY_JOBS = {"attachment_processed", "renditions_made"}
LARGE_JOBS = 6  # that touched everything; all others were small


def fill_log(count: int) -> None:
    """Put so many entries into the empty log of a database with videos; none of them sealed, and
    none waiting for it."""
    append_only.remove(connection)
    indexes = ActivityLog._meta.indexes
    with connection.schema_editor() as editor:
        for index in indexes:
            editor.execute(f"DROP INDEX IF EXISTS {index.name}")
    rows = entries(count, Attachment.objects.count(), Conversation.objects.count())
    copy(ActivityLog._meta.db_table, COLUMNS, rows)
    with connection.schema_editor() as editor:
        for index in indexes:
            editor.add_index(ActivityLog, index)
    append_only.install(connection)
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            table = ActivityLog._meta.db_table
            cursor.execute(
                f"SELECT setval(pg_get_serial_sequence('{table}', 'id'),"
                f" (SELECT max(id) FROM {table}))"
            )
            cursor.execute("VACUUM ANALYZE")
        else:
            cursor.execute("ANALYZE")


def entries(count: int, videos: int, talks: int) -> Iterator[Row]:
    chance = random.Random(11)
    people = max(10, videos // 200)
    names = list(ACTIONS)
    weights = [weight for _, weight, _ in ACTIONS.values()]
    offices = [f"203.0.113.{n}" for n in range(1, 21)]
    for number, action in enumerate(chance.choices(names, weights, k=count), 1):
        kind, _weight, unlucky = ACTIONS[action]
        outcome = "ok"
        if chance.random() < unlucky:
            outcome = "failed" if action in BY_JOBS or kind == "job" else "refused"
        person = min(people, 1 + int(people * chance.random() ** 3))
        by_job = action in BY_JOBS
        large = chance.random() < 0.7
        job = 1 + int(chance.random() * (LARGE_JOBS if large else 3000)) if by_job else None
        at_home = f"198.51.{person % 250}.{person // 250 % 250}"
        address = None if by_job else chance.choice(offices) if person % 3 else at_home
        target = 1 + int(chance.random() * {"attachment": videos, "user": people}.get(kind, talks))
        talk = 1 + target * talks // (videos + 1) if kind in ("attachment", "message") else None
        yield (
            number, NOW - timedelta(days=(1 - number / count) * YEARS * 365), action, outcome,
            None if by_job else person, f"job {job}" if by_job else f"person {person}", job,
            address, kind, target, f"VID_{target:08}.mp4", talk, "{}",
        )  # fmt: skip


def fill_jobs(count: int) -> None:
    """Jobs that have ended, with a chunk each, and a few that have not."""
    states = Job.Status
    Job.objects.bulk_create(
        Job(
            id=number,
            kind=Job.Kind.METADATA,
            scope_words="all videos",
            started_from="command",
            status=states.DONE if number < count - 5 else states.PAUSED,
            total=100,
            finished_at=NOW if number < count - 5 else None,
        )
        for number in range(1, count + 1)
    )
    Chunk.objects.bulk_create(
        Chunk(job_id=number, size=100, cursor=100, ready=97, failed=3)
        for number in range(1, count + 1)
    )
