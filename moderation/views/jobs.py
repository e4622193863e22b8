"""Background jobs: the list, and one job's live page."""

from typing import Any

from django.db.models import Count, Min
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.views.decorators.vary import vary_on_headers

from chat.models import ActivityLog
from moderation.chunk_map import chunk_map
from moderation.forms import PaceForm
from moderation.health import consumers
from moderation.job_words import again_address, announcement, standing
from moderation.long_lists import PAGE_SIZES, turn_to_page
from moderation.models import Chunk, Failure, FailureQuerySet, Job
from moderation.progress import Progress, progress, progress_of, skip_reasons
from moderation.steering import Pace
from moderation.tables import FailureTable, JobTable
from moderation.views.pages import dashboard_page, render_page

HISTORY_ENTRIES = 20
Status = Job.Status
# Tab of the list → what it shows.
TABS: dict[str, tuple[str, tuple[str, ...]]] = {
    "": ("All", ()),
    "running": ("Running", Job.IN_WORK),
    "paused": ("Paused", (Status.PAUSED,)),
    "done": ("Done", (Status.DONE,)),
    "failed": ("Failed", (Status.FAILED,)),
    "cancelled": ("Cancelled", (Status.CANCELLED,)),
}
HANDLED = "handled"
FAILURE_STATES = [
    (Failure.State.WAITING, "Waits for its next try"),
    (Failure.State.FAILED, "Failed"),
    (Failure.State.DEAD, "Given up"),
    (HANDLED, "Handled"),
]


@dashboard_page
def jobs(request: HttpRequest) -> HttpResponse:
    tab = request.GET.get("status", "")
    tab = tab if tab in TABS else ""
    shown = Job.objects.select_related("created_by")
    if tab:
        shown = shown.filter(status__in=TABS[tab][1])
    table = JobTable(shown)
    turn_to_page(table, request)
    records: list[Any] = [row.record for row in table.page.object_list]
    numbers = progress_of(records)
    for job in records:
        job.progress = numbers[job.pk]
        job.standing = standing(job, job.progress)
    context = {
        "table": table,
        "page_sizes": PAGE_SIZES,
        "tab": tab,
        "tabs": tabs,
        "seconds": 2 if any(not job.is_finished for job in records) else 10,
        "may_run_jobs": request.user.has_perm("moderation.run_jobs"),
    }
    return render_page(request, "moderation/jobs.html", context)


def tabs() -> list[tuple[str, str, int]]:
    """(name, words, number of jobs), one query for all."""
    by_status = dict(Job.objects.order_by().values_list("status").annotate(Count("pk")))
    return [
        (name, words, sum(number for status, number in by_status.items() if status in statuses))
        if name
        else (name, words, sum(by_status.values()))
        for name, (words, statuses) in TABS.items()
    ]


@dashboard_page
def job(request: HttpRequest, job_id: int) -> HttpResponse:
    """One job; htmx asks for the failures alone when something about them has changed."""
    job = asked_job(job_id)
    context = failures_context(request, job) | live_context(request, job)
    return render_page(request, "moderation/job.html", context, partial="failures")


@dashboard_page
def job_progress(request: HttpRequest, job_id: int) -> HttpResponse:
    """The live part of a job's page, which asks for itself each second until the job has ended."""
    return live_fragment(request, asked_job(job_id), polled=True)


def asked_job(job_id: int) -> Job:
    return get_object_or_404(Job.objects.select_related("created_by", "retry_of"), pk=job_id)


def live_fragment(request: HttpRequest, job: Job, **more: Any) -> HttpResponse:
    """All of a job's page but its failures, and word to the page when those have changed.

    ``polled``: nobody asked, so what somebody may be filling in is left alone.
    """
    context = live_context(request, job) | {"fragment": True} | more
    response = render(request, "moderation/job.html#live", context)
    if request.GET.get("seen", "") != context["seen"]:
        response.headers["HX-Trigger"] = "failures-changed"
    response.headers["Cache-Control"] = "no-store"
    return response


def live_context(request: HttpRequest, job: Job) -> dict[str, Any]:
    """``seen`` changes when the failures should be asked for again; of the map, only the cells
    that changed since the page was last told are drawn."""
    now = progress(job)
    cells = chunk_map(job)
    history = ActivityLog.objects.filter(object_type="job", object_id=job.pk)
    entries = list(history[: HISTORY_ENTRIES + 1])
    interruptions = list(job.interruptions.all()[: HISTORY_ENTRIES + 1])
    return {
        "job": job,
        "progress": now,
        "standing": standing(job, now),
        "announcement": announcement(job, now),
        "map": cells,
        "changed_cells": cells.changed_since(request.GET.get("map", "")),
        "next_try": next_try(job, now),
        "paused_by": paused_by(job, entries),
        "silence": silence(job, now),
        "seen": f"{now.failed}-{now.dead}-{now.waiting}-{int(now.fraction * 10)}-{job.status}",
        "pace": PaceForm(job=job),
        "pace_words": Pace.of(job).words() or "no limit",
        "history": entries[:HISTORY_ENTRIES],
        "more_history": len(entries) > HISTORY_ENTRIES,
        "interruptions": interruptions[:HISTORY_ENTRIES],
        "more_interruptions": len(interruptions) > HISTORY_ENTRIES,
        "again": again_address(job) if job.is_finished else "",
        "may_run_jobs": request.user.has_perm("moderation.run_jobs"),
    }


def silence(job: Job, now: Progress) -> str:
    """Why nobody works on a job that wants it, where that is known."""
    if job.is_finished or job.status == Status.PAUSED or now.workers:
        return ""
    finding = next(each for each in consumers() if each.name == "Consumer of jobs")
    return finding.words if finding.state == "failed" else ""


def next_try(job: Job, now: Progress) -> Any:
    """When the first of what waits is tried again; None when it is being tried."""
    if not now.waiting:
        return None
    waiting = job.failures.filter(is_final=False)
    return waiting.aggregate(first=Min("next_try_at"))["first"]


def paused_by(job: Job, entries: list[ActivityLog]) -> ActivityLog | None:
    """The last pause, of a job that is paused."""
    if job.status != Status.PAUSED:
        return None
    action = ActivityLog.Action.JOB_PAUSED
    return next((entry for entry in entries if entry.action == action), None)


def failures_context(request: HttpRequest, job: Job) -> dict[str, Any]:
    groups = list(job.failures.by_code())
    failures, code, state = chosen_failures(request, job)
    table = FailureTable(
        failures.select_related("attachment__conversation", "attachment__uploaded_by")
    )
    turn_to_page(table, request)
    skipped = [(Chunk.Skip(reason).label, number) for reason, number in skip_reasons(job)]
    return {
        "groups": groups,
        "failure_count": sum(group["count"] for group in groups),
        "skipped": skipped,
        "code": code,
        "state": state,
        "states": FAILURE_STATES,
        "table": table,
        "page_sizes": PAGE_SIZES,
        "list_path": reverse("moderation:job", args=[job.pk]),
    }


def chosen_failures(request: HttpRequest, job: Job) -> tuple[FailureQuerySet, str, str]:
    """The failures that the address asks for, by (code, state); nonsense means all of them."""
    failures = Failure.objects.filter(job=job)
    code, state = request.GET.get("code", ""), request.GET.get("state", "")
    if code and failures.filter(code=code).exists():
        failures = failures.filter(code=code)
    else:
        code = ""
    if state == HANDLED:
        failures = failures.exclude(handled_at=None)
    elif state in Failure.State.values:
        failures = failures.in_state(state).filter(handled_at=None)
    else:
        state = ""
    return failures, code, state


@dashboard_page
@vary_on_headers("HX-Request")
def running(request: HttpRequest) -> HttpResponse:
    """The indicator in the top bar."""
    response = render(request, "moderation/_running.html")
    response.headers["Cache-Control"] = "no-store"
    return response
