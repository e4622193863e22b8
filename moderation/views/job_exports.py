"""What became of a job's videos, as CSV; streamed row by row, however many there are."""

import csv
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime

from django.http import HttpRequest, StreamingHttpResponse
from django.shortcuts import get_object_or_404

from moderation.models import Failure, Job
from moderation.progress import outcomes
from moderation.views.jobs import HANDLED, chosen_failures
from moderation.views.pages import dashboard_page
from moderation.words import outcome_words

ROWS_AT_ONCE = 500
FAILURE_COLUMNS = (
    "attachment", "name", "conversation", "uploaded_by", "state", "code", "reason", "detail",
    "tries", "last_try", "next_try", "handled_at", "handled_by",
)  # fmt: skip
OUTCOME_COLUMNS = ("attachment", "outcome", "detail")


@dashboard_page
def failures_csv(request: HttpRequest, job_id: int) -> StreamingHttpResponse:
    """Of the failures that the page shows: all, or of one code or state."""
    job = get_object_or_404(Job, pk=job_id)
    failures, code, state = chosen_failures(request, job)
    rows = failures.select_related(
        "attachment__conversation", "attachment__uploaded_by", "handled_by"
    ).iterator(ROWS_AT_ONCE)
    name = "-".join(part for part in (f"job-{job.pk}", "failures", code, state) if part)
    return csv_response(name, FAILURE_COLUMNS, (failure_row(failure) for failure in rows))


def failure_row(failure: Failure) -> Sequence[object]:
    attachment = failure.attachment
    return (
        failure.attachment_id,
        attachment.original_name if attachment else "",
        attachment.conversation if attachment else "",
        (attachment.uploaded_by if attachment else None) or "",
        HANDLED if failure.handled_at else failure.state,
        failure.code,
        outcome_words(failure.code),
        failure.detail,
        failure.attempts,
        when(failure.created_at),
        when(failure.next_try_at),
        when(failure.handled_at),
        failure.handled_by or "",
    )


@dashboard_page
def outcomes_csv(request: HttpRequest, job_id: int) -> StreamingHttpResponse:
    """Every item of the job's set, those not reached included."""
    job = get_object_or_404(Job, pk=job_id)
    return csv_response(f"job-{job.pk}-outcomes", OUTCOME_COLUMNS, outcomes(job))


def when(moment: datetime | None) -> str:
    return moment.isoformat(timespec="seconds") if moment else ""


class Echo:
    """A file for ``csv`` that hands back what is written."""

    def write(self, line: str) -> str:
        return line


def csv_response(
    name: str, columns: Sequence[str], rows: Iterable[Sequence[object]]
) -> StreamingHttpResponse:
    def lines() -> Iterator[str]:
        writer = csv.writer(Echo())
        yield "\ufeff" + writer.writerow(columns)  # the mark tells Excel that it is UTF-8
        for row in rows:
            yield writer.writerow([inert(value) for value in row])

    response = StreamingHttpResponse(lines(), content_type="text/csv; charset=utf-8")
    response.headers["Content-Disposition"] = f'attachment; filename="{name}.csv"'
    response.headers["Cache-Control"] = "no-store"
    return response


def inert(value: object) -> object:
    """The value as text that no spreadsheet takes for a formula (OWASP, "CSV Injection"): a name
    is whatever its uploader wrote."""
    if isinstance(value, int):
        return value
    text = str(value)
    return f"'{text}" if text[:1] in ("=", "+", "-", "@", "\t", "\r") else text
