"""No page of a list asks the database more than a dozen times, whatever it is narrowed by."""

from datetime import timedelta
from itertools import product

import pytest
from django.contrib.auth.models import Group, User
from django.utils import timezone

from chat.models import Attachment, Conversation
from chat.services import reports
from chat.services.activity import Actor, record_visit
from moderation import activity_filter, video_listing
from tests.moderation.pages import PICTURE, count_queries, signed_in, video
from tests.moderation.test_pages_job_exports import new_job

pytestmark = [pytest.mark.django_db, pytest.mark.every_database]
MOST = 12
VIDEOS = (
    "", "q=clip", "q=%2312", "codec=h264", "uploader=owner", "conversation=%23{talk}",
    "poster=yes", "q=clip&codec=h264", "uploader=owner&conversation=%23{talk}",
    "uploader=OWNER&codec=h264&duration_min=1", "conversation=holi&preview=no&reported=no",
    "q=clip&added=365d&orientation=landscape&view=grid",
)  # fmt: skip
ACTIVITY = (
    "", "actor=owner", "action=attachment_viewed", "conversation={talk}", "within=24h",
    "actor=owner&action=attachment_viewed&outcome=ok", "actor=nobody&outcome=ok",
    "object_type=attachment&outcome=ok&within=7d", "address=192.0.2.7&outcome=ok",
    "actor=owner&conversation={talk}&date_from=2020-01-01&date_to=2030-01-01",
)  # fmt: skip
REPORTS = (
    "",
    "state=all",
    "reason=spam",
    "conversation=holi&reason=spam",
    "conversation=%23{talk}",
)


@pytest.fixture
def everything(viewer: User, owner: User, conversation: Conversation) -> User:
    """A person who may do all, and sixty rows in each list."""
    viewer.groups.add(*Group.objects.all())
    start = timezone.now() - timedelta(days=1)
    for number in range(60):
        row = video(
            conversation,
            created_at=start + timedelta(minutes=number),
            duration=None if number % 5 == 0 else float(number),
            **PICTURE,
        )
        record_visit("attachment_viewed", Actor(user=owner, ip_address="192.0.2.7"), row)
        reports.report(row, Actor(user=owner), "spam", "", 1.0)
    new_job()
    return viewer


def test_videos(
    everything: User, conversation: Conversation, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = signed_in(everything)
    middle = Attachment.objects.order_by("pk")[31].pk
    places = ("", "&before=last", f"&after={middle}")
    orders = ("-added", "duration", f"-added&before={middle}")
    for limit in (1000, 3):  # few are found, many are walked to
        for name in ("COUNT_LIMIT", "LIMIT_OF_SEVERAL", "FOUND", "FOUND_IN_INDEX"):
            monkeypatch.setattr(video_listing, name, limit)
        for query, sort, place in product(VIDEOS, orders, places):
            address = f"?{query.format(talk=conversation.pk)}&sort={sort}{place}"
            # The page on which known lengths end and unknown ones begin takes one more.
            most = MOST + (sort == "duration" and place.startswith("&after"))
            assert count_queries(client, f"/moderation/videos/{address}") <= most, address


def test_activity(
    everything: User, conversation: Conversation, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = signed_in(everything)
    monkeypatch.setattr(activity_filter, "TOLD_APART", 3)
    for query, place in product(ACTIVITY, ("", "&after=0", "&before=40", "&after=2")):
        address = f"?{query.format(talk=conversation.pk)}{place}"
        assert count_queries(client, f"/moderation/activity/{address}") <= MOST, address


def test_reports_jobs_and_people(everything: User, conversation: Conversation) -> None:
    client = signed_in(everything)
    for query, place in product(REPORTS, ("", "&page=2", "&page=99")):
        address = f"?{query.format(talk=conversation.pk)}{place}"
        assert count_queries(client, f"/moderation/reports/{address}") <= MOST, address
    for address in ("jobs/", "jobs/?status=running", "people/", "people/?q=own&role=none"):
        assert count_queries(client, f"/moderation/{address}") <= MOST, address
