"""The overview: what waits, what the archive is made of, and that each figure is its list's."""

import re
from datetime import UTC, datetime, timedelta

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

from chat.models import Attachment, Conversation, Message
from chat.rendition import Rendition
from chat.services import reports
from chat.services.activity import Actor
from moderation import figures
from moderation.models import ArchiveFigures, Job
from tests.moderation.pages import assert_guarded, count_queries, names, signed_in, video

URL = "/moderation/"

pytestmark = [pytest.mark.django_db, pytest.mark.every_database]


@pytest.fixture
def archive(conversation: Conversation, member: User) -> None:
    """Videos that differ in all that is counted."""
    now = timezone.now()
    video(conversation, original_name="a", codec="h264", container="mp4", size=1000)
    video(conversation, original_name="b", codec="h264", container="mov", size=2000)
    video(
        conversation,
        original_name="c",
        codec="vp9",
        container="webm",
        size=4000,
        uploaded_by=member,
        created_at=now - timedelta(days=3),
    )
    untitled = Conversation.objects.create(created_by=member)
    video(
        untitled,
        original_name="old",
        codec="",
        container="",
        size=8000,
        processing_state="processing",
        created_at=now - timedelta(days=200),
    )
    video(untitled, original_name="f", processing_state="failed", failure_code="corrupt", size=1)
    video(untitled, original_name="q", visibility="quarantined", size=1)
    Message.objects.create(conversation=conversation, content="no video")


@pytest.fixture
def work(conversation: Conversation, archive: None, member: User) -> None:
    """Some of all that waits for somebody."""
    now = timezone.now()
    video(conversation, original_name="r", size=1)
    reports.report(Attachment.objects.get(original_name="r"), Actor(user=member), "spam", "", None)
    day_old = now - timedelta(days=1)
    for name, created_at in (("p", now), ("s", day_old)):  # one waits, the other is stuck
        video(conversation, original_name=name, processing_state="pending", created_at=created_at)
    for status in ("planning", "running", "paused", "paused", "done"):
        ended = {"finished_at": now} if status == "done" else {}
        Job.objects.create(kind="metadata", scope={}, status=status, **ended)


def test_who_may_see_it(viewer: User, outsider: User) -> None:
    assert_guarded(URL, outsider)
    assert signed_in(viewer).post(URL).status_code == 405


def test_every_figure_is_that_of_the_list_it_leads_to(viewer: User, work: None) -> None:
    client = signed_in(viewer)
    page = client.get(URL)
    assert page.status_code == 200
    charts = {chart.title: chart for chart in page.context["charts"]}
    assert set(charts) >= {
        "Videos by day", "Bytes by day", "Codecs", "Containers", "Storage by conversation",
        "Storage by uploader",
    }  # fmt: skip
    for chart in charts.values():
        assert chart.rows
        for words, address, (value,) in chart.rows:
            assert shown(client, address, chart.unit) == value, (chart.title, words)
    counts = {one.words: int(count) for one, count in page.context["attention"]}
    assert counts == {
        "Reported": 1, "In quarantine": 1, "Failed": 1, "Stuck": 1, "Jobs running": 2,
        "Jobs paused": 2,
    }  # fmt: skip
    for one, _count in page.context["attention"]:
        if "/jobs/" in one.address:
            jobs = client.get(one.address).context["table"].paginator.count
            assert jobs == counts[one.words], one.words
        else:
            assert shown(client, one.address, "count") == counts[one.words], one.words
    total = re.search(r'href="([^"]+)">(\d+) videos</a>', page.content.decode())
    assert total
    assert shown(client, f"{total[1]}?", "count") == int(total[2])


def shown(client: Client, address: str, unit: str) -> int:
    """How many videos a list has, or how many bytes."""
    found = names(client.get(f"{address}&per_page=100"))
    rows = Attachment.objects.filter(original_name__in=found)
    return len(found) if unit == "count" else sum(rows.values_list("size", flat=True))


def test_what_is_counted(viewer: User, archive: None) -> None:
    counted = figures.count()
    assert (counted.videos, counted.bytes) == (6, 15_002)
    assert len(counted.days) == figures.DAYS
    assert counted.days[-1].videos == 4
    assert sum(day.videos for day in counted.days) == 5  # one is older
    assert [(part.words, part.videos) for part in counted.codecs] == [("VP9", 1), ("H.264", 4)]
    assert {part.words for part in counted.containers} == {"MP4", "MOV", "WebM"}
    assert [part.bytes for part in counted.conversations] == [8002, 7000]
    assert counted.conversations[0].words.startswith("Conversation ")
    assert figures.Figures.from_json(figures.recount().figures) == counted


def test_how_long_uploads_wait_for_their_storyboard(conversation: Conversation) -> None:
    noon = datetime(2026, 11, 20, 12, tzinfo=UTC)
    for seconds in (1, 2, 3, 40, 3 * 24 * 3600):  # the last was made by a job, long after
        uploaded = video(conversation, created_at=noon)
        Rendition.objects.create(
            attachment=uploaded,
            kind=Rendition.Kind.STORYBOARD,
            failure_code="corrupt",
            pipeline_version=1,
            created_at=noon + timedelta(seconds=seconds),
        )
    (wait,) = figures.waits()
    assert (wait.day, wait.videos) == ("2026-11-20", 4)
    assert (wait.median_seconds, wait.slow_seconds) == (2, 40)


def test_queries_do_not_grow(viewer: User, conversation: Conversation) -> None:
    video(conversation)
    figures.recount()
    client = signed_in(viewer)
    few = count_queries(client, URL)
    for _ in range(49):
        video(conversation)
    figures.recount()
    assert count_queries(client, URL) == few <= 12


def test_figures_are_counted_again_in_the_background(viewer: User, archive: None) -> None:
    client = signed_in(viewer)
    client.get(URL)
    stored = ArchiveFigures.objects.get()
    figures.recount_if_due()
    assert ArchiveFigures.objects.get() == stored
    assert ArchiveFigures.objects.get().counted_at == stored.counted_at  # not yet due
    before = timezone.now() - timedelta(minutes=5)
    ArchiveFigures.objects.update(counted_at=before, took_seconds=2)
    assert "counted <time" in client.get(URL).content.decode()
    assert "5 min ago" in client.get(URL).content.decode()
    figures.recount_if_due()
    assert ArchiveFigures.objects.get().counted_at > before
    ArchiveFigures.objects.update(counted_at=before, took_seconds=60)  # a dear one is rarer
    assert not figures.recount_if_due()


def test_an_archive_too_large_for_a_visitor_to_count(
    viewer: User, archive: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(figures, "SMALL", 3)
    page = signed_in(viewer).get(URL).content.decode()
    assert "The archive is being counted" in page
    assert not ArchiveFigures.objects.exists()


def test_nothing_there_yet(viewer: User) -> None:
    page = signed_in(viewer).get(URL).content.decode()
    assert "No videos yet" in page
    assert "chart.umd" not in page


def test_reported_videos_wait(viewer: User, conversation: Conversation, member: User) -> None:
    reported = video(conversation)
    reports.report(reported, Actor(user=member), "violence", "", None)
    attention = {
        one.state: count for one, count in signed_in(viewer).get(URL).context["attention"]
    }
    assert attention["reported"] == "1"


def test_the_rail_counts_what_waits(viewer: User, archive: None) -> None:
    page = signed_in(viewer).get(URL).content.decode()
    assert re.search(r'title="Overview" aria-current="page"', page)
    assert re.search(r'class="count">1 <span class="visually-hidden">failed', page)
