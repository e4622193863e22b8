"""The reports on videos, gathered for a page: reasons with counts, times, words."""

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass

from chat.moderated import Reason
from chat.report import Report, ReportQuerySet
from moderation.models import Decision

READ_AT_MOST = 2000  # of all videos of a page: the newest
TIMES_SHOWN = 6
NOTES_SHOWN = 5


@dataclass(frozen=True, slots=True)
class ReportsOfVideo:
    """``reasons`` as (code, words, count), the most frequent first; ``times`` in the video in
    seconds, ascending, with the words of the reason; ``notes`` as (who, words), newest first."""

    count: int
    reasons: list[tuple[str, str, int]]
    times: list[tuple[float, str]]
    notes: list[tuple[str, str]]


def reports_of(
    attachment_ids: Collection[int], reports: ReportQuerySet
) -> dict[int, ReportsOfVideo]:
    """By attachment; those without any are left out.  One query."""
    rows = reports.filter(attachment__in=attachment_ids).select_related("reporter")
    by_video: dict[int, list[Report]] = {}
    for report in rows.order_by("-pk")[:READ_AT_MOST]:
        by_video.setdefault(report.attachment_id, []).append(report)
    found = {}
    for pk, of_video in by_video.items():
        counts = Counter(report.reason for report in of_video)
        marked = {
            report.time_seconds: reason_words(report.reason)
            for report in of_video
            if report.time_seconds is not None
        }
        found[pk] = ReportsOfVideo(
            count=len(of_video),
            reasons=[(code, reason_words(code), n) for code, n in counts.most_common()],
            times=sorted(marked.items())[:TIMES_SHOWN],
            notes=[
                (str(report.reporter or "a deleted account"), report.note)
                for report in of_video
                if report.note
            ][:NOTES_SHOWN],
        )
    return found


def reason_words(code: str) -> str:
    """``violence or cruelty``; a code of another version as it is."""
    return str(Reason(code).label) if code in Reason.values else code


def decision_words(decision: Decision) -> str:
    """``quarantined: violence or cruelty``."""
    words = str(decision.get_action_display())
    return f"{words}: {reason_words(decision.reason)}" if decision.reason else words
