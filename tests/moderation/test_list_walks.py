"""Walking an index gives the rows that sorting everything gives, in each order and direction."""

from datetime import UTC, datetime, timedelta
from itertools import product
from typing import Any

import pytest
from django.http import QueryDict

from chat.models import Attachment, Conversation
from moderation import video_listing
from moderation.list_walks import Asked, Listing, page_of
from moderation.video_filters import VideoFilter
from moderation.video_orders import ORDERS
from tests.moderation.pages import video

pytestmark = [pytest.mark.django_db, pytest.mark.every_database]
PER_PAGE = 7
FILTERS = ("", "codec=h264", "q=clip", "duration_min=3", "orientation=portrait&size_max=3+MB")


@pytest.fixture
def rows(conversation: Conversation) -> list[Attachment]:
    """With many alike in each column, and with unknown numbers."""
    start = datetime(2026, 1, 1, tzinfo=UTC)
    return [
        video(
            conversation,
            original_name=("clip", "lake", "Clip")[number % 3],
            size=number % 5 * 1_000_000,
            duration=None if number % 4 == 0 else float(number % 6),
            width=None if number % 4 == 0 else 100 + number % 3,
            height=None if number % 4 == 0 else 101,
            bitrate=None if number % 4 == 0 else 7,
            codec=("h264", "vp9")[number % 2],
            created_at=start + timedelta(hours=number * 7 % 11),
        )
        for number in range(40)
    ]


def listing(query: str, sort: str, *, descending: bool) -> Listing:
    videos = Attachment.objects.videos()
    filters = VideoFilter(QueryDict(query), videos)
    assert filters.in_force == set(QueryDict(query))
    return video_listing.listing(filters, videos, ORDERS[sort], descending=descending)


def ids(found: list[Any]) -> list[int]:
    return [row.pk for row in found]


@pytest.mark.parametrize("query", FILTERS)
def test_walked_pages_are_those_of_the_sorted_list(
    rows: list[Attachment], monkeypatch: pytest.MonkeyPatch, query: str
) -> None:
    for sort, descending in product(ORDERS, (False, True)):
        expected = ids(listing(query, sort, descending=descending).few())
        assert len(expected) > 3
        with monkeypatch.context() as patch:
            for name in ("COUNT_LIMIT", "LIMIT_OF_SEVERAL", "FOUND", "FOUND_IN_INDEX"):
                patch.setattr(video_listing, name, 2)
            walked = listing(query, sort, descending=descending)
            assert not walked.are_few
            assert forwards(walked) == expected, (sort, descending)
            assert backwards(walked) == expected, (sort, descending)
            for place in (0, 2, len(expected) - 1):
                row = walked.every.get(pk=expected[place])
                before, after = walked.beside(row)
                assert before == (walked.every.get(pk=expected[place - 1]) if place else None)
                assert (after and after.pk) == (expected[place + 1 : place + 2] or [None])[0]


def forwards(walked: Listing) -> list[int]:
    page = page_of(walked, Asked(PER_PAGE))
    assert not page.has_previous
    found = ids(page.rows)
    while page.has_next:
        page = page_of(walked, Asked(PER_PAGE, after=page.last_id))
        assert page.has_previous
        found += ids(page.rows)
    return found


def backwards(walked: Listing) -> list[int]:
    page = page_of(walked, Asked(PER_PAGE, is_last=True))
    assert not page.has_next
    found = ids(page.rows)
    while page.has_previous:
        length = len(page.rows)
        page = page_of(walked, Asked(PER_PAGE, before=page.first_id))
        if not page.has_previous:  # the first page is a whole one
            return ids(page.rows)[: len(found) and page.per_page] + [
                pk for pk in found if pk not in ids(page.rows)
            ]
        assert len(page.rows) == PER_PAGE >= length
        found = ids(page.rows) + found
    return found


def test_beside_in_a_short_list(rows: list[Attachment]) -> None:
    short = listing("q=lake", "size", descending=True)
    expected = short.few()
    assert short.beside(expected[0]) == (None, expected[1])
    assert short.beside(expected[3]) == (expected[2], expected[4])
    assert short.beside(expected[-1]) == (expected[-2], None)
    assert short.beside(next(row for row in rows if row.original_name == "clip")) == (None, None)


def test_a_page_past_the_end_is_the_last(
    rows: list[Attachment], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(video_listing, "COUNT_LIMIT", 2)
    walked = listing("", "size", descending=False)
    last = page_of(walked, Asked(PER_PAGE, is_last=True))
    assert page_of(walked, Asked(PER_PAGE, after=last.last_id)) == last


def test_an_address_from_when_there_were_more(rows: list[Attachment]) -> None:
    short = listing("", "added", descending=True)
    expected = ids(short.few())
    page = page_of(short, Asked(PER_PAGE, after=expected[13]))
    assert (page.number, ids(page.rows)) == (3, expected[14:21])
    page = page_of(short, Asked(PER_PAGE, before=expected[14]))
    assert (page.number, ids(page.rows)) == (2, expected[7:14])
