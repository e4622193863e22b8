"""What the overview shows of the whole archive: counted now and then, in the background.

A million videos take seconds to add up, which no page may; so a periodic task counts them, and
the page says how old the figures are.
"""

import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import date, timedelta
from math import ceil
from typing import Any

from django.contrib.auth.models import User
from django.db.models import Count, F, QuerySet, Sum
from django.db.models.functions import TruncDate
from django.utils import timezone

from chat.models import Attachment, Conversation
from chat.rendition import Rendition
from moderation.filters import day_start
from moderation.long_lists import bounded_count
from moderation.models import ArchiveFigures
from moderation.words import codec_words, container_words

DAYS = 60
LARGEST = 8  # conversations and uploaders by what they take up
# Waiting times are those of the latest storyboards; what was made later was a job's doing.
LATEST = 10_000
MADE_SOON = timedelta(days=1)
# An archive of which nothing was counted yet is counted by its first visitor, unless it is large.
SMALL = 10_000


@dataclass(frozen=True, slots=True)
class Part:
    """Videos that have something in common; ``key`` is the value the list is filtered by."""

    key: str
    words: str
    videos: int
    bytes: int


@dataclass(frozen=True, slots=True)
class Wait:
    """How long the videos uploaded on one day waited for their storyboard: seconds, of the half
    and of the 95 % that waited least."""

    day: str
    videos: int
    median_seconds: float
    slow_seconds: float


@dataclass(frozen=True, slots=True)
class Figures:
    videos: int
    bytes: int
    days: list[Part]
    codecs: list[Part]
    containers: list[Part]
    conversations: list[Part]
    uploaders: list[Part]
    waits: list[Wait]

    @classmethod
    def from_json(cls, stored: dict[str, Any]) -> "Figures":
        parts = ("days", "codecs", "containers", "conversations", "uploaders")
        values = {name: [Part(**part) for part in stored[name]] for name in parts}
        waits = [Wait(**wait) for wait in stored["waits"]]
        return cls(videos=stored["videos"], bytes=stored["bytes"], waits=waits, **values)


def count() -> Figures:
    """All of it, in nine queries."""
    codecs = parts_by("codec")
    return Figures(
        videos=sum(part.videos for part in codecs),
        bytes=sum(part.bytes for part in codecs),
        days=by_day(),
        codecs=[named(part, codec_words(part.key)) for part in codecs if part.key],
        containers=[
            named(part, container_words(part.key)) for part in parts_by("container") if part.key
        ],
        conversations=by_conversation(),
        uploaders=by_uploader(),
        waits=waits(),
    )


def parts_by(field: str, largest: int | None = None) -> list[Part]:
    """Of each value of a field, the most bytes first; with its value for words."""
    groups = Attachment.objects.videos().order_by().values_list(field)
    found = groups.annotate(videos=Count("pk"), bytes=Sum("size")).order_by("-bytes")[:largest]
    return [Part(str(value or ""), str(value or ""), n, total) for value, n, total in found]


def named(part: Part, words: str) -> Part:
    return Part(part.key, words, part.videos, part.bytes)


def by_day() -> list[Part]:
    """The last days, today last, those without a video too."""
    today = timezone.now().date()
    days = [today - timedelta(days=back) for back in range(DAYS - 1, -1, -1)]
    recent = Attachment.objects.videos().filter(created_at__gte=day_start(days[0])).order_by()
    groups = recent.annotate(day=TruncDate("created_at")).values_list("day")
    found = {
        day: (videos, total)
        for day, videos, total in groups.annotate(videos=Count("pk"), bytes=Sum("size"))
    }
    return [Part(day.isoformat(), day_words(day), *found.get(day, (0, 0))) for day in days]


def day_words(day: date) -> str:
    return f"{day:%-d %b}"


def by_conversation() -> list[Part]:
    parts = parts_by("conversation_id", LARGEST)
    titles = Conversation.objects.in_bulk([int(part.key) for part in parts])
    return [
        named(part, str(titles.get(int(part.key), f"Conversation {part.key}"))) for part in parts
    ]


def by_uploader() -> list[Part]:
    """By user name, which is what the list is filtered by; without those who have no account."""
    parts = [part for part in parts_by("uploaded_by_id", LARGEST + 1) if part.key][:LARGEST]
    people = User.objects.in_bulk([int(part.key) for part in parts])
    found = [(part, people.get(int(part.key))) for part in parts]
    return [
        Part(person.username, person.username, part.videos, part.bytes)
        for part, person in found
        if person
    ]


def waits() -> list[Wait]:
    latest: QuerySet[Any] = Rendition.objects.filter(
        kind=Rendition.Kind.STORYBOARD,
        created_at__lt=F("attachment__created_at") + MADE_SOON,
    )
    times = latest.order_by("-pk").values_list("attachment__created_at", "created_at")[:LATEST]
    by_day: dict[date, list[float]] = {}
    for uploaded, made in times:
        seconds = max(0.0, (made - uploaded).total_seconds())
        by_day.setdefault(uploaded.date(), []).append(seconds)
    return [
        Wait(day.isoformat(), len(taken), quantile(taken, 0.5), quantile(taken, 0.95))
        for day, taken in sorted(by_day.items())
    ][-DAYS:]


def quantile(values: Iterable[float], part: float) -> float:
    """The least of the values that ``part`` of them do not exceed (the nearest rank)."""
    ordered = sorted(values)
    return round(ordered[max(0, ceil(part * len(ordered)) - 1)], 3)


# --- Kept between two counts --------------------------------------------------------------------
def recount() -> ArchiveFigures:
    counted_at, begun = timezone.now(), time.monotonic()
    figures = asdict(count())
    took = time.monotonic() - begun
    values = {"counted_at": counted_at, "figures": figures, "took_seconds": took}
    return ArchiveFigures.objects.update_or_create(pk=1, defaults=values)[0]


def recount_if_due() -> bool:
    """Whether it was."""
    stored = ArchiveFigures.objects.first()
    due = stored is None or stored.is_due
    if due:
        recount()
    return due


def latest_figures() -> ArchiveFigures | None:
    """The last count; None while a large archive waits for its first."""
    stored = ArchiveFigures.objects.first()
    if stored is None and bounded_count(Attachment.objects.videos(), SMALL) <= SMALL:
        return recount()
    return stored
