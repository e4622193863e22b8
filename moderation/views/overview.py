"""The overview: what waits for somebody now, and what the archive is made of."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.utils.http import urlencode

from chat.models import Attachment, ReportCase
from moderation.figures import Figures, latest_figures
from moderation.filters import day_start
from moderation.long_lists import bounded_counts
from moderation.models import Job
from moderation.views.pages import dashboard_page

COUNT_LIMIT = 999


@dataclass(frozen=True, slots=True)
class Waiting:
    """What waits for somebody: ``rows`` are those that its address lists."""

    words: str
    state: str
    address: str
    rows: QuerySet[Any]


@dataclass(frozen=True, slots=True)
class Chart:
    """One chart and the table behind it.

    ``unit`` is count, bytes or seconds; each row has its name, the address of the videos it
    counts, and a value for each of ``columns``.
    """

    title: str
    kind: str
    unit: str
    head: str
    columns: list[str]
    rows: list[tuple[str, str, Sequence[float]]]
    note: str = ""


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
    quarantined = videos.filter(visibility=Attachment.Visibility.QUARANTINED)
    states = Attachment.ProcessingState
    stuck = videos.filter(processing_state=states.PROCESSING, created_at__lt=day_start(today))
    jobs = reverse("moderation:jobs")
    reported = Attachment.objects.filter(report_case__in=ReportCase.objects.open())
    return [
        Waiting("Reported", "reported", videos_address(reported="open"), reported),
        Waiting(
            "In quarantine, to be decided",
            "quarantined",
            videos_address(visibility="quarantined"),
            quarantined,
        ),
        Waiting(
            "Failed",
            "failed",
            videos_address(state="failed"),
            videos.filter(processing_state=states.FAILED),
        ),
        Waiting(
            "Stuck in processing since yesterday",
            "stuck",
            videos_address(state="processing", date_to=yesterday),
            stuck,
        ),
        Waiting(
            "Not processed yet",
            "pending",
            videos_address(state="pending"),
            videos.filter(processing_state=states.PENDING),
        ),
        Waiting(
            "Jobs running or paused", "running", f"{jobs}?status=running", Job.objects.unfinished()
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

    made = [
        Chart(
            "Videos by day",
            "bar",
            "count",
            "Day",
            ["Videos"],
            [(part.words, day(part.key), [part.videos]) for part in figures.days],
        ),
        Chart(
            "Bytes by day",
            "bar",
            "bytes",
            "Day",
            ["Bytes"],
            [(part.words, day(part.key), [part.bytes]) for part in figures.days],
        ),
    ]
    shares = (
        ("Codecs", "count", "Codec", "codec", "", figures.codecs),
        ("Containers", "count", "Container", "container", "", figures.containers),
        ("Storage by conversation", "bytes", "Conversation", "conversation", "#",
         figures.conversations),
        ("Storage by uploader", "bytes", "Uploader", "uploader", "", figures.uploaders),
    )  # fmt: skip
    for title, unit, head, name, prefix, parts in shares:
        rows: list[tuple[str, str, Sequence[float]]] = [
            (
                part.words,
                videos_address(**{name: f"{prefix}{part.key}"}),
                [part.videos if unit == "count" else part.bytes],
            )
            for part in parts
        ]
        column = "Videos" if unit == "count" else "Bytes"
        made.append(Chart(title, "shares", unit, head, [column], rows))
    if figures.waits:
        made.append(
            Chart(
                "From upload to storyboard",
                "line",
                "seconds",
                "Day of upload",
                ["Half of them", "95 % of them"],
                [
                    (wait.day, day(wait.day), [wait.median_seconds, wait.slow_seconds])
                    for wait in figures.waits
                ],
                note="Of the latest 10,000 storyboards: within so long they were made.",
            )
        )
    return made
