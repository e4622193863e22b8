"""Any filters together, in any order: the rows that reading all of them would give."""

import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.http import QueryDict
from django.utils import timezone

from chat.models import Attachment, Conversation, Report, ReportCase
from chat.rendition import Rendition
from moderation import video_listing
from moderation.list_walks import Asked, Listing, page_of
from moderation.video_filters import VideoFilter
from moderation.video_orders import ORDERS
from tests.moderation.pages import video

pytestmark = [pytest.mark.django_db, pytest.mark.every_database]
PER_PAGE = 9
START = datetime(2026, 1, 1, tzinfo=UTC)
COMBINATIONS = 40  # of one seed


def known(value: Any, test: Callable[[Any], bool]) -> bool:
    return value is not None and test(value)


def shape(row: Attachment) -> int | None:
    """Above zero for landscape."""
    return None if row.width is None or row.height is None else row.width - row.height


def texts(row: Attachment) -> str:
    who = row.uploaded_by.username if row.uploaded_by else ""
    return f"{row.original_name}\n{row.conversation.title}\n{who}".lower()


def case(row: Attachment) -> ReportCase | None:
    return ReportCase.objects.filter(attachment=row).first()


def has_preview(row: Attachment) -> bool:
    return row.renditions.filter(kind="preview").exclude(file="").exists()


# Filter → values → what they ask of a row, in plain words of Python.
FILTERS: dict[str, dict[str, Callable[[Attachment], bool]]] = {
    "q": {"clip": lambda v: "clip" in texts(v), "HOLI": lambda v: "holi" in texts(v)},
    "state": {s: lambda v, s=s: v.processing_state == s for s in ("ready", "failed", "pending")},
    "failure": {"corrupt": lambda v: v.failure_code == "corrupt"},
    "visibility": {
        s: lambda v, s=s: v.visibility == s for s in ("visible", "quarantined", "removed")
    },
    "codec": {s: lambda v, s=s: v.codec == s for s in ("h264", "vp9")},
    "audio": {"aac": lambda v: v.audio_codec == "aac", "none": lambda v: v.audio_codec == ""},
    "container": {"webm": lambda v: v.container == "webm"},
    "orientation": {
        "landscape": lambda v: known(shape(v), lambda n: n > 0),
        "portrait": lambda v: known(shape(v), lambda n: n < 0),
        "square": lambda v: shape(v) == 0,
    },
    "duration_min": {"3": lambda v: known(v.duration, lambda n: n >= 3)},
    "duration_max": {"4": lambda v: known(v.duration, lambda n: n <= 4)},
    "size_min": {"2 MB": lambda v: v.size >= 2_000_000},
    "size_max": {"3 MB": lambda v: v.size <= 3_000_000},
    "width_min": {"101": lambda v: known(v.width, lambda n: n >= 101)},
    "width_max": {"101": lambda v: known(v.width, lambda n: n <= 101)},
    "height_min": {"101": lambda v: known(v.height, lambda n: n >= 101)},
    "bitrate_max": {"8": lambda v: known(v.bitrate, lambda n: n <= 8)},
    "reported": {
        "open": lambda v: known(case(v), lambda c: c.open_reports > 0),
        "yes": lambda v: case(v) is not None,
        "no": lambda v: case(v) is None,
    },
    "poster": {"yes": lambda v: bool(v.thumbnail), "no": lambda v: not v.thumbnail},
    "preview": {"yes": has_preview, "no": lambda v: not has_preview(v)},
    "conversation": {
        "holi": lambda v: "holi" in v.conversation.title.lower(),
        "o": lambda v: "o" in v.conversation.title.lower(),
    },
    "uploader": {
        "owner": lambda v: known(v.uploaded_by, lambda u: u.username == "owner"),
        "MEMBER": lambda v: known(v.uploaded_by, lambda u: u.username == "member"),
        "nobody": lambda _v: False,
    },
    "date_from": {"2026-01-02": lambda v: v.created_at >= START + timedelta(days=1)},
    "date_to": {"2026-01-03": lambda v: v.created_at < START + timedelta(days=3)},
    "added": {"365d": lambda v: v.created_at >= timezone.now() - timedelta(days=365)},
}


@pytest.fixture
def rows(conversation: Conversation, owner: User, member: User) -> list[Attachment]:
    """With many alike in each column, and with unknown numbers."""
    chance = random.Random(3)
    talks = [conversation, Conversation.objects.create(title="Football", created_by=member)]
    made = []
    for number in range(70):
        ready = chance.random() < 0.7
        failed = not ready and chance.random() < 0.6
        width = chance.choice((100, 101, 102)) if ready and chance.random() < 0.9 else None
        row = video(
            chance.choice(talks),
            uploaded_by=chance.choice((owner, member, None)),
            original_name=chance.choice(("clip", "lake", "Clip", "b", "Z")),
            size=chance.randrange(5) * 1_000_000,
            duration=float(chance.randrange(6)) if ready and chance.random() < 0.9 else None,
            width=width,
            height=width and 101,
            bitrate=chance.choice((7, 8, 9)) if ready else None,
            codec=chance.choice(("h264", "vp9")) if ready else "",
            audio_codec=chance.choice(("aac", "")),
            container=chance.choice(("mp4", "webm")) if ready else "",
            processing_state="ready" if ready else "failed" if failed else "pending",
            failure_code=chance.choice(("corrupt", "time_limit")) if failed else "",
            visibility=chance.choice(("visible", "visible", "quarantined", "removed")),
            thumbnail="posters/none.jpg" if ready and chance.random() < 0.8 else "",
            created_at=START + timedelta(hours=chance.randrange(20) * 7),
        )
        if chance.random() < 0.4:
            file = "renditions/none.mp4" if chance.random() < 0.5 else ""
            Rendition.objects.create(attachment=row, kind="preview", file=file, pipeline_version=1)
        if chance.random() < 0.3:
            ReportCase.objects.create(
                attachment=row, reports=1, open_reports=number % 2, last_at=START
            )
        made.append(row)
    assert not Report.objects.exists()
    return made


def sorted_as(order: list[str], rows: list[Attachment], *, descending: bool) -> list[int]:
    """Ids; those that do not know what the order begins with come last."""

    def key(row: Attachment) -> list[Any]:
        return [value for name in order if (value := getattr(row, name)) is not None]

    there = [row for row in rows if getattr(row, order[0]) is not None]
    unknown = [row for row in rows if getattr(row, order[0]) is None]
    parts = (sorted(part, key=key, reverse=descending) for part in (there, unknown))
    return [row.pk for part in parts for row in part]


def some_filters(chance: random.Random) -> dict[str, str]:
    names = chance.sample(sorted(FILTERS), chance.choice((0, 1, 1, 2, 2, 3, 4)))
    return {name: chance.choice(sorted(FILTERS[name])) for name in names}


def all_pages(found: Listing) -> list[int]:
    page = page_of(found, Asked(PER_PAGE))
    ids = [row.pk for row in page.rows]
    while page.has_next:
        page = page_of(found, Asked(PER_PAGE, page=page.number + 1, after=page.last_id))
        assert page.has_previous
        ids += [row.pk for row in page.rows]
    return ids


@pytest.mark.parametrize("limits", [(10_000, 10_000), (15, 15), (4, 20), (20, 1)])
def test_any_combination(
    rows: list[Attachment], monkeypatch: pytest.MonkeyPatch, limits: tuple[int, int]
) -> None:
    """``limits`` decide which rows are counted, found, tested or walked to."""
    counted, found_by_one = limits
    monkeypatch.setattr(video_listing, "COUNT_LIMIT", counted)
    monkeypatch.setattr(video_listing, "LIMIT_OF_SEVERAL", counted // 2)
    monkeypatch.setattr(video_listing, "FOUND", found_by_one)
    monkeypatch.setattr(video_listing, "FOUND_IN_INDEX", found_by_one * 2)
    chance = random.Random(repr(limits))
    verdicts = {
        (name, value): {row.pk for row in rows if asks(row)}
        for name, values in FILTERS.items()
        for value, asks in values.items()
    }
    lengths = set()
    for _ in range(COMBINATIONS):
        chosen = some_filters(chance)
        sort, descending = chance.choice(sorted(ORDERS)), chance.random() < 0.5
        matching = [
            row for row in rows if all(row.pk in verdicts[each] for each in chosen.items())
        ]
        query = QueryDict(mutable=True)
        query.update(chosen)
        every = Attachment.objects.videos().select_related("conversation")
        filters = VideoFilter(query, every)
        assert filters.in_force == set(chosen), filters.errors
        found = video_listing.listing(filters, every, ORDERS[sort], descending=descending)
        expected = sorted_as(list(ORDERS[sort].fields), matching, descending=descending)
        told = (chosen, sort, descending)
        assert all_pages(found) == expected, told
        assert found.count == min(len(expected), found.limit + 1), told
        last = page_of(found, Asked(PER_PAGE, is_last=True))
        assert [row.pk for row in last.rows] == expected[-len(last.rows) or len(expected) :], told
        assert sorted(filters.qs.values_list("pk", flat=True)) == sorted(expected), told
        lengths.add(len(expected))
    assert len(lengths) > 10
    assert max(lengths) > 30
