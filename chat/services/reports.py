"""Reports of participants: made, settled by a decision, opened again when it is undone."""

from collections.abc import Collection, Mapping
from datetime import datetime

from django.db import transaction
from django.db.models import Count, Exists, Max, Min, OuterRef, Q
from django.utils import timezone

from chat.errors import ChatError
from chat.models import ActivityLog, Attachment, Report, ReportCase
from chat.services import activity
from chat.services.activity import Actor


def report(
    attachment: Attachment, actor: Actor, reason: str, note: str, time_seconds: float | None
) -> tuple[Report, bool]:
    """The actor's open report on the video, made or changed; and whether it is new.

    Raises:
        ChatError: ``not_found`` when the video was deleted meanwhile.
    """
    values = {"reason": reason, "note": note, "time_seconds": time_seconds}
    with transaction.atomic():
        locked = Attachment.objects.select_for_update(no_key=True).filter(pk=attachment.pk)
        if not locked.exists():
            raise ChatError("not_found")
        mine = Report.objects.open().filter(attachment=attachment, reporter=actor.user).first()
        is_new = mine is None
        if mine is None:
            mine = Report.objects.create(attachment=attachment, reporter=actor.user, **values)
        else:
            for name, value in {**values, "changed_at": timezone.now()}.items():
                setattr(mine, name, value)
            mine.save(update_fields=[*values, "changed_at"])
        sum_up([attachment.pk])
        details = {"reason": reason, "time_seconds": time_seconds, "again": not is_new}
        activity.record(ActivityLog.Action.ATTACHMENT_REPORTED, actor, attachment, details=details)
    return mine, is_new


def with_open_reports(attachment_ids: Collection[int]) -> set[int]:
    cases = ReportCase.objects.open().filter(attachment__in=attachment_ids)
    return set(cases.values_list("attachment_id", flat=True))


def settle(decisions: Mapping[int, int], moment: datetime) -> dict[int, int]:
    """Settle the open reports on these attachments: {attachment id: decision id}; how many on
    each that had some.  In the caller's transaction, which holds the attachments."""
    settled = {}
    for pk in sorted(with_open_reports(decisions)):
        reports = Report.objects.open().filter(attachment=pk)
        settled[pk] = reports.update(settled_at=moment, decision_id=decisions[pk])
    sum_up(settled)
    return settled


def reopen(decision_ids: Collection[int]) -> None:
    """Open what these decisions settled, but for those who reported the video again since."""
    again = Report.objects.open().filter(
        attachment=OuterRef("attachment"), reporter=OuterRef("reporter")
    )
    reports = Report.objects.filter(~Exists(again), decision_id__in=decision_ids)
    attachments = set(reports.values_list("attachment_id", flat=True))
    reports.update(settled_at=None, decision_id=None)
    sum_up(attachments)


def sum_up(attachment_ids: Collection[int]) -> None:
    """Write the numbers of these attachments' cases anew."""
    if not attachment_ids:
        return
    is_open = Q(settled_at=None)
    sums = (
        Report.objects.filter(attachment__in=attachment_ids)
        .order_by()
        .values("attachment_id")
        .annotate(
            all_of_them=Count("pk"),
            open_ones=Count("pk", filter=is_open),
            first_open=Min("created_at", filter=is_open),
            newest=Max("created_at"),
        )
    )
    ReportCase.objects.bulk_create(
        [
            ReportCase(
                attachment_id=row["attachment_id"],
                reports=row["all_of_them"],
                open_reports=row["open_ones"],
                waiting_since=row["first_open"],
                last_at=row["newest"],
            )
            for row in sums
        ],
        update_conflicts=True,
        unique_fields=["attachment"],
        update_fields=["reports", "open_reports", "waiting_since", "last_at"],
    )
