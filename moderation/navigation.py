"""The rail: where one can go, with a quiet count of what waits there for somebody."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from django.contrib.auth.models import AbstractBaseUser, AnonymousUser
from django.db.models import QuerySet

from chat.models import Attachment, ReportCase
from moderation.long_lists import bounded_counts

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


def waiting_counts(places: Sequence[Place]) -> list[str]:
    """Of each place ``12``, ``999+`` or nothing; by one query for all."""
    counting = [place for place in places if place.waiting]
    rows = [place.waiting() for place in counting if place.waiting]
    counts = dict(zip(counting, bounded_counts(rows, COUNT_LIMIT) if rows else [], strict=True))
    found = [counts.get(place, 0) for place in places]
    return [f"{COUNT_LIMIT}+" if count > COUNT_LIMIT else str(count or "") for count in found]
