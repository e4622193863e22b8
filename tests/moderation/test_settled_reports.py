"""Deciding on a video settles the reports on it; undoing opens them again."""

import pytest
from django.contrib.auth.models import User

from chat.models import ActivityLog, Attachment, Report, ReportCase
from chat.services import reports
from chat.services.activity import Actor
from moderation import undoing
from moderation.verdict import Verdict
from tests.moderation.deciding import decide

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.every_database]


@pytest.fixture
def reported(clip: Attachment, owner: User, member: User) -> Attachment:
    for user in (owner, member):
        reports.report(clip, Actor(user=user), "hate", "", 3.5)
    return clip


@pytest.mark.parametrize("verb", ["quarantine", "remove", "dismiss"])
def test_deciding_settles_them_and_undoing_opens_them(
    reported: Attachment, anna: Actor, verb: str
) -> None:
    waiting = ReportCase.objects.get()
    assert (waiting.reports, waiting.open_reports) == (2, 2)

    decision = decide(reported, Verdict(verb, "hate"), anna)

    assert set(Report.objects.values_list("decision_id", flat=True)) == {decision.pk}
    settled = ReportCase.objects.get()
    assert (settled.reports, settled.open_reports, settled.waiting_since) == (2, 0, None)
    assert ActivityLog.objects.order_by("id").last().details["reports_settled"] == 2  # type: ignore[union-attr]
    undoing.undo(decision.batch, anna)
    again = ReportCase.objects.get()
    assert (again.open_reports, again.waiting_since) == (2, waiting.waiting_since)


def test_who_reported_it_again_has_one_open_report(
    reported: Attachment, anna: Actor, owner: User
) -> None:
    decision = decide(reported, Verdict("dismiss"), anna)
    reports.report(reported, Actor(user=owner), "spam", "still", None)

    undoing.undo(decision.batch, anna)

    open_ones = Report.objects.open().values_list("reporter__username", "reason")
    assert sorted(open_ones) == [("member", "hate"), ("owner", "spam")]
    assert ReportCase.objects.get().open_reports == 2


def test_a_hold_settles_nothing(reported: Attachment, anna: Actor) -> None:
    decide(reported, Verdict("hold"), anna)
    assert ReportCase.objects.get().open_reports == 2
