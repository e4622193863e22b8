"""The rail: where one can go, with a quiet count of what waits there for somebody."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from django.contrib.auth.models import AbstractBaseUser, AnonymousUser
from django.db.models import QuerySet
from django.http import HttpRequest

from chat.models import Attachment, ReportCase
from moderation import protection
from moderation.long_lists import Sql, count_of, in_one_query, value_of
from moderation.models import Job

# Each page counts for the rail: no more rows than this are looked at, "999+" says the rest.
COUNT_LIMIT = 999


@dataclass(frozen=True, slots=True)
class Place:
    """One entry: its page, the names of the pages beneath it, its key, and who sees it.

    ``waiting`` are the rows that wait for somebody there; ``waiting_words`` says what they are.
    """

    url_name: str
    label: str
    icon: str
    key: str
    beneath: tuple[str, ...] = ()
    permission: str = "moderation.view_dashboard"
    waiting: Callable[[], QuerySet] | None = None
    waiting_words: str = ""

    def holds(self, url_name: str) -> bool:
        """Whether the page of this name is this one or beneath it."""
        return url_name == self.url_name or url_name.startswith(self.beneath)


PLACES = (
    Place("home", "Overview", "layout-dashboard", "g o"),
    Place(
        "videos",
        "Videos",
        "movie",
        "g v",
        beneath=("video", "bulk"),
        waiting=lambda: Attachment.objects.failed(),
        waiting_words="failed",
    ),
    Place(
        "reports",
        "Reports",
        "flag",
        "g r",
        beneath=("report",),
        waiting=lambda: ReportCase.objects.open(),
        waiting_words="reported",
    ),
    Place("activity", "Activity", "activity", "g a", beneath=("activity",)),
    Place("jobs", "Jobs", "list-check", "g j", beneath=("job",)),
    Place(
        "people",
        "People",
        "users",
        "g p",
        beneath=("person",),
        permission="moderation.manage_roles",
    ),
    Place("health", "Health", "heartbeat", "g h", beneath=("health",)),
)


def places_for(user: AbstractBaseUser | AnonymousUser) -> list[Place]:
    """What this person may open; ``user`` as the request has it."""
    return [place for place in PLACES if user.has_perm(place.permission)]  # type: ignore[union-attr]


@dataclass(frozen=True, slots=True)
class Waiting:
    """What waits for somebody at each of the places: ``12``, ``999+`` or nothing; and how many
    jobs are unfinished, how many of these are at work, the number of one."""

    at: dict[Place, str]
    unfinished: int
    at_work: int
    job: int | None


def waiting_for(request: HttpRequest) -> Waiting:
    """What the frame around each page tells, by one query a request; which also learns how this
    person is spared what the page shows."""
    if not hasattr(request, "waiting"):
        choice = protection.choice_of(request.user)
        waiting, chosen = count_waiting(places_for(request.user), choice)
        request.waiting = waiting  # type: ignore[attr-defined]
        request.protection = protection.as_chosen(chosen)  # type: ignore[attr-defined]
    found: Waiting = request.waiting  # type: ignore[attr-defined]
    return found


def count_waiting(places: Sequence[Place], also: Sequence[Sql]) -> tuple[Waiting, list[Any]]:
    """And what else is asked for along with it."""
    rows = {place: place.waiting() for place in places if place.waiting}
    jobs = Job.objects.unfinished().order_by("-pk")
    unfinished, at_work, job, *rest = in_one_query(
        [
            count_of(jobs, COUNT_LIMIT),
            count_of(jobs.exclude(status=Job.Status.PAUSED), COUNT_LIMIT),
            value_of(jobs.values("pk")),
            *(count_of(each, COUNT_LIMIT) for each in rows.values()),
            *also,
        ]
    )
    counts, others = rest[: len(rows)], rest[len(rows) :]
    at = {
        place: f"{COUNT_LIMIT}+" if count > COUNT_LIMIT else str(count or "")
        for place, count in zip(rows, counts, strict=True)
    }
    return Waiting(at=at, unfinished=unfinished, at_work=at_work, job=job), others
