"""How the installation is: what works, what does not, and what to do; in sentences for people."""

import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Literal

from django.conf import settings
from django.db import DatabaseError, connection
from django.utils import timezone

from chat.errors import VideoError
from chat.services import fingerprinting, media_runner
from chat.services.media_engines import engine_for
from chat.services.media_helper import media_helper
from chat.services.media_limits import MediaLimits
from chat.services.scratch import scratch_folder
from moderation.models import WorkerSeen
from moderation.queues import QUEUES
from moderation.words import ago_words, duration_words, size_words

State = Literal["ok", "warning", "failed"]
# A consumer that has told nothing for so long does not run; one of several is forgotten later.
CONSUMER_LATELY = timedelta(minutes=2)
CONSUMER_REMEMBERED = timedelta(days=1)
# Less room than for so many of the largest uploads is worth a warning.
ROOM_FOR_UPLOADS = 4
LIBAV = ("libavcodec", "libavformat", "libavfilter", "libswscale")
# Settings that limit something carry the unit as the last part of their name.
LIMIT_NAME = re.compile(
    r"(?:FINGERPRINT|IMAGE|MEDIA|MESSAGE|POSTER|PREVIEW|STORYBOARD|UPLOAD|VIDEO)_"
    r"\w*?(BYTES|CHILDREN|FILES|FRAMES|PIXELS|SECONDS|STREAMS|TILES)"
)


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at; ``words`` say how it is and, when not well, what to do."""

    name: str
    state: State
    words: str


@dataclass(frozen=True, slots=True)
class Limit:
    setting: str
    value: str
    note: str = ""


def is_serving() -> bool:
    """What a load balancer asks: whether requests can be answered and jobs be handed over."""
    return all(finding.state != "failed" for finding in (database(), queue()))


def services() -> list[Finding]:
    return [database(), queue(), *consumers(), *disks()]


def database() -> Finding:
    try:
        WorkerSeen.objects.exists()
    except DatabaseError as error:
        return Finding("Database", "failed", f"It does not answer: {error}. Has it been migrated?")
    version = ".".join(map(str, connection.get_database_version()))
    return Finding("Database", "ok", f"{connection.display_name} {version} answers.")


def queue() -> Finding:
    storage = type(QUEUES["jobs"].storage).__name__.removesuffix("Storage")
    kind = {"Sqlite": "SQLite", "Postgres": "PostgreSQL"}.get(storage, storage)
    try:
        waiting = {name: queue.pending_count() for name, queue in QUEUES.items()}
    except Exception as error:  # each storage has errors of its own
        return Finding("Queue", "failed", f"{kind} does not answer: {error}. Jobs do not start.")
    words = ", ".join(f"{count} waiting in {name}" for name, count in waiting.items())
    return Finding("Queue", "ok", f"{kind} answers; {words}.")


def consumers() -> Iterator[Finding]:
    """Of each queue: every machine on which its consumer runs, or did until lately."""
    waiting = {"jobs": "Jobs wait", "uploads": "Previews and storyboards of uploads wait"}
    for name in QUEUES:
        title = f"Consumer of {name}"
        start = f"{waiting[name]} until one runs: make worker QUEUE={name}."
        try:
            seen = list(WorkerSeen.objects.filter(queue=name))
        except DatabaseError:
            yield Finding(title, "failed", "Unknown: the database does not answer.")
            continue
        if not seen:
            yield Finding(title, "failed", f"None has ever been seen. {start}")
            continue
        now = timezone.now()
        shown = [each for each in seen if now - each.seen_at < CONSUMER_REMEMBERED] or seen[:1]
        places = ", ".join(f"{ago_words(each.seen_at)} on {each.host}" for each in shown)
        missed = [each.host for each in shown if now - each.seen_at > CONSUMER_LATELY]
        if len(missed) == len(shown):
            yield Finding(title, "failed", f"Seen {places}. {start}")
        elif missed:
            yield Finding(title, "warning", f"Seen {places}. Does it run on {', '.join(missed)}?")
        else:
            yield Finding(title, "ok", f"Seen {places}.")


def disks() -> Iterator[Finding]:
    """Free room on each disk that is written to."""
    places = {
        "Stored files": settings.MEDIA_ROOT,
        "Incoming uploads": settings.FILE_UPLOAD_TEMP_DIR,
        "Database and queue": settings.DATA_DIR,
    }
    by_disk: dict[int, tuple[str, Path]] = {}
    for name, folder in places.items():
        place = existing(Path(folder))
        disk = place.stat().st_dev
        before = by_disk.get(disk)
        by_disk[disk] = (f"{before[0]}, {name.lower()}" if before else name, place)
    for name, place in by_disk.values():
        usage = shutil.disk_usage(place)
        words = f"{size_words(usage.free)} free of {size_words(usage.total)}: {name.lower()}."
        state: State = "ok"
        if usage.free < ROOM_FOR_UPLOADS * settings.UPLOAD_MAX_BYTES:
            state = "warning" if usage.free > settings.UPLOAD_MAX_BYTES else "failed"
            words += " Make room: uploads are refused when it is full."
        yield Finding("Disk", state, words)


def existing(folder: Path) -> Path:
    """The folder, or the nearest above it that exists."""
    return next(place for place in (folder, *folder.parents) if place.exists())


def media() -> list[Finding]:
    """Who reads untrusted files, in which versions."""
    try:
        engine = type(engine_for(MediaLimits.from_settings())).__name__
        versions = media_helper().versions
    except VideoError as error:
        return [Finding("Engine", "failed", f"{error.outcome.operator} {error.detail}".strip())]
    libav = engine == "LibavEngine"
    words = (
        "libav, in the sandboxed child itself." if libav else "ffmpeg, run in a sandboxed child."
    )
    fallback = settings.MEDIA_ENGINE == "libav" and not libav
    if fallback:
        words += " PyAV cannot be imported, so the slower engine is used."
    lacking = fingerprinting.missing_because()
    found = lacking or f"pdqhash {version('pdqhash')}"
    return [
        Finding("Engine", "warning" if fallback else "ok", words),
        ffmpeg(),
        *libraries(versions),
        Finding("Fingerprints", "warning" if lacking else "ok", found),
    ]


def libraries(versions: dict[str, str]) -> Iterator[Finding]:
    """What the children read files with; nothing for what the helper could not import."""
    parts = [f"{name} {versions[name]}" for name in LIBAV if name in versions]
    if "PyAV" in versions:
        yield Finding("PyAV", "ok", f"{versions['PyAV']} with {', '.join(parts)}")
    if "Pillow" in versions:
        yield Finding("Pillow", "ok", versions["Pillow"])


def ffmpeg() -> Finding:
    path = shutil.which(settings.FFMPEG_BINARY)
    if path is None:
        binary = settings.FFMPEG_BINARY
        return Finding("ffmpeg", "failed", f"{binary!r} is not on this machine: install ffmpeg.")
    try:
        return Finding("ffmpeg", "ok", ffmpeg_version(path, Path(path).stat().st_mtime_ns))
    except VideoError as error:
        return Finding("ffmpeg", "failed", f"{path} does not run: {error.detail}")


@cache
def ffmpeg_version(path: str, _changed_at: int) -> str:
    """``5.1.9-0+deb12u1``; asked again when the program is replaced.

    Raises:
        VideoError: it does not run in the sandbox.
    """
    limits = MediaLimits.from_settings().of_a_process
    with scratch_folder() as scratch:
        finished = media_runner.run([path, "-version"], limits, scratch)
    found = re.match(rb"ffmpeg version (\S+)", finished.stdout)
    if not found:
        raise VideoError("media_tools_missing", finished.stderr[-200:])
    return found[1].decode("utf-8", "replace")


def limits() -> list[Limit]:
    """Every setting that limits a file or the work on one, with its unit."""
    found = []
    for name in sorted(dir(settings)):
        if match := LIMIT_NAME.fullmatch(name):
            value = getattr(settings, name)
            number = int(value) if value == int(value) else value
            found.append(Limit(name, f"{number:,} {match[1].lower()}", note(match[1], value)))
    return found


def note(unit: str, value: float) -> str:
    """The value as people say it, where that is shorter."""
    shorter: dict[str, Callable[[], str]] = {
        "BYTES": lambda: size_words(int(value)),
        "SECONDS": lambda: duration_words(value) if value >= 60 else "",
    }
    return shorter.get(unit, str)()
