"""The overview: what waits for somebody now, and what the archive is made of."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.utils.http import urlencode

from chat.models import Attachment, ReportCase
from moderation.figures import DAYS, LARGEST, LATEST, Figures, Wait, day_words, latest_figures
from moderation.filters import day_start
from moderation.long_lists import bounded_counts
from moderation.models import Job
from moderation.views.pages import dashboard_page

COUNT_LIMIT = 999


@dataclass(frozen=True, slots=True)
class Waiting:
    """What waits for somebody: ``rows`` are those that its address lists, and no others;
    ``meaning`` says which they are."""

    words: str
    meaning: str
    state: str
    address: str
    rows: QuerySet[Any]


@dataclass(frozen=True, slots=True)
class Chart:
    """One chart and the table behind it.

    ``unit`` is count, bytes or seconds; ``columns`` are (words, meaning); each row has its name,
    the address of the videos it counts, and a value for each column.
    """

    title: str
    kind: str
    unit: str
    note: str
    head: str
    columns: list[tuple[str, str]]
    rows: list[tuple[str, str, Sequence[float]]]


@dashboard_page
def overview(request: HttpRequest) -> HttpResponse:
    stored = latest_figures()
    figures = Figures.from_json(stored.figures) if stored else None
    context = {
        "attention": attention(),
        "counted_at": stored.counted_at if stored else None,
        "figures": figures,
        "charts": charts(figures) if figures and figures.videos else [],
        "may_run_jobs": request.user.has_perm("moderation.run_jobs"),
    }
    return render(request, "moderation/overview.html", context)


def videos_address(**filters: str) -> str:
    query = urlencode(filters)
    return f"{reverse('moderation:videos')}{'?' if query else ''}{query}"


def waiting() -> list[Waiting]:
    today = timezone.now().date()
    yesterday = (today - timedelta(days=1)).isoformat()
    videos = Attachment.objects.videos()
    states = Attachment.ProcessingState
    jobs = reverse("moderation:jobs")
    return [
        Waiting(
            "Reported",
            "with open reports",
            "reported",
            videos_address(reported="open"),
            Attachment.objects.filter(report_case__in=ReportCase.objects.open()),
        ),
        Waiting(
            "In quarantine",
            "to be restored or removed",
            "quarantined",
            videos_address(visibility="quarantined"),
            videos.filter(visibility=Attachment.Visibility.QUARANTINED),
        ),
        Waiting(
            "Failed",
            "could not be read",
            "failed",
            videos_address(state="failed"),
            videos.filter(processing_state=states.FAILED),
        ),
        Waiting(
            "Stuck",
            "from before today, never processed",
            "stuck",
            videos_address(state="pending", date_to=yesterday),
            videos.filter(processing_state=states.PENDING, created_at__lt=day_start(today)),
        ),
        Waiting(
            "Jobs running",
            "planning or at work",
            "running",
            f"{jobs}?status=running",
            Job.objects.filter(status__in=Job.IN_WORK),
        ),
        Waiting(
            "Jobs paused",
            "until somebody resumes them",
            "paused",
            f"{jobs}?status=paused",
            Job.objects.filter(status=Job.Status.PAUSED),
        ),
    ]


def attention() -> list[tuple[Waiting, str]]:
    """Each with its count in words, by one query."""
    each = waiting()
    counts = bounded_counts([one.rows for one in each], COUNT_LIMIT)
    return [
        (one, f"{COUNT_LIMIT}+" if count > COUNT_LIMIT else str(count))
        for one, count in zip(each, counts, strict=True)
    ]


def charts(figures: Figures) -> list[Chart]:
    def day(key: str) -> str:
        return videos_address(date_from=key, date_to=key)

    last_days = f"the last {DAYS} days, by upload"
    days = [(part.words, day(part.key), part) for part in figures.days]
    made = [
        Chart(
            "Videos by day",
            "bar",
            "count",
            last_days,
            "Day",
            [("Videos", "")],
            [(words, address, [part.videos]) for words, address, part in days],
        ),
        Chart(
            "Bytes by day",
            "bar",
            "bytes",
            last_days,
            "Day",
            [("Bytes", "")],
            [(words, address, [part.bytes]) for words, address, part in days],
        ),
    ]
    largest = f"the {LARGEST} that take most"
    shares = (
        ("Codecs", "count", "of the video stream", "Codec", "codec", "", figures.codecs),
        ("Containers", "count", "of the stored file", "Container", "container", "",
         figures.containers),
        ("Storage by conversation", "bytes", largest, "Conversation", "conversation", "#",
         figures.conversations),
        ("Storage by uploader", "bytes", largest, "Uploader", "uploader", "", figures.uploaders),
    )  # fmt: skip
    for title, unit, note, head, name, prefix, parts in shares:
        rows: list[tuple[str, str, Sequence[float]]] = [
            (
                part.words,
                videos_address(**{name: f"{prefix}{part.key}"}),
                [part.videos if unit == "count" else part.bytes],
            )
            for part in parts
        ]
        rows.sort(key=lambda row: row[2][0], reverse=True)
        column = "Videos" if unit == "count" else "Bytes"
        made.append(Chart(title, "shares", unit, note, head, [(column, "")], rows))
    if figures.waits:
        made.append(waiting_times(figures.waits, day))
    return made


def waiting_times(waits: Sequence[Wait], day: Callable[[str], str]) -> Chart:
    """``day`` makes the address of the videos of one."""
    return Chart(
        "From upload to storyboard",
        "line",
        "seconds",
        f"of the latest {LATEST:,} storyboards that were made within a day",
        "Day of upload",
        [
            ("Half of them", "Half of the day’s storyboards were there after so long, or sooner"),
            ("95 % of them", "95 % of the day’s storyboards were there after so long, or sooner"),
        ],
        [
            (
                day_words(date.fromisoformat(wait.day)),
                day(wait.day),
                [wait.median_seconds, wait.slow_seconds],
            )
            for wait in waits
        ],
    )
