"""`POST attachments/<id>/report/`: who may, what is taken, and what becomes of it."""

from typing import Any

import pytest
from django.contrib.auth.models import User
from rest_framework.test import APIClient

from chat.models import ActivityLog, Attachment, Participant, Report, ReportCase
from tests.clips import clip

PATH = "/api/chat/attachments/{}/report/"


@pytest.fixture
def clip_row(legacy_video: Any) -> Attachment:
    row: Attachment = legacy_video(duration=30.0)
    return row


def test_a_report_is_kept_counted_and_logged(
    clip_row: Attachment, as_member: APIClient, member: User
) -> None:
    sent = {"reason": "violence", "note": " At the end. ", "time_seconds": 21.5}

    response = as_member.post(PATH.format(clip_row.pk), sent)

    assert response.status_code == 201
    report = Report.objects.get()
    assert response.json() == {
        "id": report.pk,
        "attachment": clip_row.pk,
        "reason": "violence",
        "note": "At the end.",
        "time_seconds": 21.5,
        "created_at": report.created_at.isoformat().replace("+00:00", "Z"),
    }
    assert (report.reporter, report.settled_at) == (member, None)
    case = ReportCase.objects.get()
    assert (case.attachment, case.reports, case.open_reports) == (clip_row, 1, 1)
    assert case.waiting_since == case.last_at == report.created_at
    (entry,) = ActivityLog.objects.filter(action="attachment_reported")
    assert (entry.actor, entry.object_id, entry.details["reason"]) == (
        member, clip_row.pk, "violence",
    )  # fmt: skip


def test_sent_again_it_is_changed(
    clip_row: Attachment, as_member: APIClient, as_owner: APIClient
) -> None:
    path = PATH.format(clip_row.pk)
    first = as_member.post(path, {"reason": "spam"})
    as_owner.post(path, {"reason": "hate"})

    again = as_member.post(path, {"reason": "illegal", "time_seconds": 2})

    assert (again.status_code, again.json()["id"]) == (200, first.json()["id"])
    assert (again.json()["reason"], again.json()["time_seconds"]) == ("illegal", 2.0)
    assert again.json()["created_at"] == first.json()["created_at"]
    assert ReportCase.objects.get().open_reports == 2
    Report.objects.update(settled_at="2026-01-01T00:00Z")
    assert as_member.post(path, {"reason": "spam"}).status_code == 201
    case = ReportCase.objects.get()
    assert (case.reports, case.open_reports) == (3, 1)


def test_who_may_not(
    clip_row: Attachment, as_nobody: APIClient, as_outsider: APIClient, as_member: APIClient
) -> None:
    path, sent = PATH.format(clip_row.pk), {"reason": "spam"}

    assert as_nobody.post(path, sent).status_code == 401
    assert as_outsider.post(path, sent).status_code == 404
    assert as_member.post(PATH.format(10**18), sent).status_code == 404
    assert as_member.get(path).status_code == 405
    Participant.objects.filter(user__username="member").update(left_at="2026-01-01T00:00Z")
    assert as_member.post(path, sent).status_code == 404
    assert not Report.objects.exists()


@pytest.mark.parametrize("visibility", ["quarantined", "removed"])
def test_what_moderators_decided_on_already(
    clip_row: Attachment, as_member: APIClient, visibility: str
) -> None:
    Attachment.objects.update(visibility=visibility)

    response = as_member.post(PATH.format(clip_row.pk), {"reason": "spam"})

    assert (response.status_code, response.json()["code"]) == (451, visibility)


def test_only_videos(legacy_video: Any, as_member: APIClient) -> None:
    document = legacy_video(clip(), kind=Attachment.Kind.FILE)

    response = as_member.post(PATH.format(document.pk), {"reason": "spam"})

    assert (response.status_code, response.json()["code"]) == (400, "not_reportable")


@pytest.mark.parametrize(
    ("sent", "field"),
    [
        ({}, "reason"),
        ({"reason": ""}, "reason"),
        ({"reason": "boring"}, "reason"),
        ({"reason": ["spam"]}, "reason"),
        ({"reason": "other"}, "note"),
        ({"reason": "other", "note": "  "}, "note"),
        ({"reason": "spam", "note": "x" * 2001}, "note"),
        ({"reason": "spam", "note": "a\x00"}, "note"),
        ({"reason": "spam", "time_seconds": -0.1}, "time_seconds"),
        ({"reason": "spam", "time_seconds": 31.1}, "time_seconds"),
        ({"reason": "spam", "time_seconds": "soon"}, "time_seconds"),
        ({"reason": "spam", "time_seconds": "nan"}, "time_seconds"),
        ({"reason": "spam", "time_seconds": "inf"}, "time_seconds"),
    ],
)
def test_nonsense(
    clip_row: Attachment, as_member: APIClient, sent: dict[str, Any], field: str
) -> None:
    response = as_member.post(PATH.format(clip_row.pk), sent)

    assert response.status_code == 400
    assert set(response.json()) == {field}
    assert not Report.objects.exists()


@pytest.mark.parametrize("seconds", [None, 0, 30.0, 31.0])
def test_times_in_the_video(
    clip_row: Attachment, as_member: APIClient, seconds: float | None
) -> None:
    sent = {"reason": "spam", "time_seconds": seconds}
    assert as_member.post(PATH.format(clip_row.pk), sent).status_code == 201
    assert Report.objects.get().time_seconds == seconds


def test_any_time_where_the_length_is_not_known(legacy_video: Any, as_member: APIClient) -> None:
    sent = {"reason": "spam", "time_seconds": 9e6}
    assert as_member.post(PATH.format(legacy_video().pk), sent).status_code == 201
