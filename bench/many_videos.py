"""Rows as a large and old installation has them, without files behind them: names and dates as
cameras write them, conversations that live for a while, codecs that come and go."""

import random
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any

from django.core.management import call_command
from django.db import connection

BEFORE_INDEXES = "0013"  # chat's migration: indexes and texts are made once, of all rows
NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
YEARS = 5
WORDS = (
    "lake", "holiday", "goal", "birthday", "screen recording", "interview", "drone", "rehearsal",
    "kitchen", "concert", "draft", "final", "training", "garden", "snow", "harbour", "garage",
)  # fmt: skip
CODECS = [("h264", "mp4", 58), ("hevc", "mov", 22), ("vp9", "webm", 10), ("av1", "mp4", 5),
          ("mpeg4", "avi", 3), ("vp8", "webm", 1.9), ("theora", "ogg", 0.1)]  # fmt: skip
SHAPES = [(1920, 1080, 38), (1080, 1920, 26), (1280, 720, 16), (720, 1280, 8), (640, 360, 5),
          (3840, 2160, 4), (1080, 1080, 2), (320, 240, 1)]  # fmt: skip
FAILURES = ["corrupt", "not_a_video", "unsupported_codec", "time_limit", "missing_file"]
COLUMNS = (
    "id", "conversation_id", "uploaded_by_id", "file", "original_name", "content_type", "size",
    "kind", "duration", "created_at", "thumbnail", "width", "height", "bitrate", "codec",
    "container", "audio_codec", "frame_rate", "rotation", "sha256", "processing_state",
    "failure_code", "failure_detail", "processed_at", "pipeline_version", "visibility",
    "placeholder", "verification_code",
    "decision_reason", "decision_note", "decision_version", "on_hold",
)  # fmt: skip
Row = tuple[Any, ...]


def fill(count: int) -> None:
    """Bring an empty database up to date with so many videos in it."""
    call_command("migrate", "auth", verbosity=0)
    call_command("migrate", "chat", BEFORE_INDEXES, verbosity=0)
    people, talks = max(10, count // 200), max(10, count // 50)
    copy(
        "auth_user",
        ("id", "username", "password", "first_name", "last_name", "email", "is_superuser",
         "is_staff", "is_active", "date_joined"),
        ((n, f"{random_words(n, 1)}{n}", "!", "", "", "", False, False, True, NOW)
         for n in range(1, people + 1)),
    )  # fmt: skip
    copy(
        "chat_conversation",
        ("id", "title", "created_by_id", "created_at"),
        ((n, f"{random_words(n, 2)} {n}".capitalize(), 1 + n % people, NOW)
         for n in range(1, talks + 1)),
    )  # fmt: skip
    copy("chat_attachment", COLUMNS, videos(count, people, talks))
    copy(
        "chat_rendition",
        ("attachment_id", "kind", "file", "content_type", "size", "failure_code",
         "failure_detail", "pipeline_version", "created_at"),
        renditions(count),
    )  # fmt: skip
    copy(
        "chat_reportcase",
        ("attachment_id", "reports", "open_reports", "waiting_since", "last_at"),
        ((number, 2, number % 3 % 2, NOW if number % 3 % 2 else None, NOW)
         for number in range(50, count, 97)),
    )  # fmt: skip
    copy(
        "chat_report",
        ("attachment_id", "reason", "note", "created_at", "settled_at"),
        ((number, ("spam", "hate", "other")[(number + n) % 3], "", NOW,
          None if number % 3 % 2 else NOW)
         for number in range(50, count, 97) for n in range(2)),
    )  # fmt: skip
    call_command("migrate", verbosity=0)
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            for table in (
                "auth_user",
                "chat_conversation",
                "chat_attachment",
                "chat_rendition",
                "chat_reportcase",
                "chat_report",
            ):
                cursor.execute(
                    f"SELECT setval(pg_get_serial_sequence('{table}', 'id'),"
                    f" (SELECT max(id) FROM {table}))"
                )
            cursor.execute("VACUUM ANALYZE")
        else:
            cursor.execute("ANALYZE")


def random_words(seed: int, number: int) -> str:
    return " ".join(random.Random(seed).sample(WORDS, number))


def videos(count: int, people: int, talks: int) -> Iterator[Row]:
    chance = random.Random(7)
    codecs = list(zip(*CODECS, strict=True))
    shapes = list(zip(*SHAPES, strict=True))
    for number in range(1, count + 1):
        age = (1 - number / count) * YEARS * 365 + chance.random()
        if chance.random() < 0.05:  # brought in later, from an archive
            age += chance.random() * 900
        created = NOW - timedelta(days=age)
        (which,) = chance.choices(range(len(CODECS)), codecs[2])
        (shape,) = chance.choices(range(len(SHAPES)), shapes[2])
        talk = min(talks, max(1, int(number / count * talks + chance.gauss(0, talks / 50))))
        uploader = min(people, 1 + int(people * chance.random() ** 3))
        state, failure = "ready", ""
        if (luck := chance.random()) < 0.04:
            state = "failed" if luck < 0.025 else "pending" if luck < 0.039 else "processing"
            failure = chance.choice(FAILURES) if state == "failed" else ""
        known = state == "ready"
        seconds = round(chance.lognormvariate(3.2, 1.2), 2)
        kbps = int(chance.lognormvariate(8, 0.7))
        visibility = "visible"
        if (luck := chance.random()) < 0.005:
            visibility = "quarantined" if luck < 0.003 else "removed"
        yield (
            number, talk, uploader, f"attachments/{number:032x}", name(chance, created, number),
            "video/mp4", int(seconds * kbps * 125) + 1000, "video", seconds if known else None,
            created, f"posters/2026/01/{chance.getrandbits(128):032x}.jpg" if known else "",
            SHAPES[shape][0] if known else None, SHAPES[shape][1] if known else None,
            kbps if known else None, CODECS[which][0] if known else "",
            CODECS[which][1] if known else "",
            ("aac" if chance.random() < 0.8 else "") if known else "", 30.0 if known else None, 0,
            f"{chance.getrandbits(256):064x}", state, failure, "", created, 1, visibility, "", "",
            "", "", 0, False,
        )  # fmt: skip


def name(chance: random.Random, created: datetime, number: int) -> str:
    kind = chance.random()
    if kind < 0.4:
        return f"VID_{created:%Y%m%d_%H%M%S}.mp4"
    if kind < 0.6:
        return f"IMG_{number % 10000:04}.MOV"
    words = " ".join(chance.choices(WORDS, k=2))
    return f"{words} {number % 1000}.{'webm' if kind > 0.9 else 'mp4'}"


def renditions(count: int) -> Iterator[Row]:
    for number in range(1, count + 1, 3):
        for kind, file in (("storyboard", "jpg"), ("storyboard_map", "vtt")):
            yield number, kind, f"renditions/{number:x}.{file}", "", 1, "", "", 1, NOW
        stored = f"renditions/{number:x}.mp4" if number % 4 == 0 else ""
        yield number, "preview", stored, "", 1, "", "", 1, NOW


def copy(table: str, columns: Sequence[str], rows: Iterator[Row]) -> None:
    names = ", ".join(columns)
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            with cursor.copy(f"COPY {table} ({names}) FROM STDIN") as into:
                for row in rows:
                    into.write_row(row)
            return
        marks = ", ".join(["?"] * len(columns))
        raw = connection.connection
        cursor.execute("BEGIN")
        while some := list(islice(rows, 10_000)):
            as_text = [
                [str(v.replace(tzinfo=None)) if isinstance(v, datetime) else v for v in row]
                for row in some
            ]
            raw.executemany(f"INSERT INTO {table} ({names}) VALUES ({marks})", as_text)
        cursor.execute("COMMIT")
