"""Background jobs: the list, starting one, and one job's live page."""

from itertools import chain
from typing import Any

from django.contrib import messages
from django.db import transaction
from django.db.models import Sum
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.vary import vary_on_headers

from chat.services.activity import Actor
from moderation import steering, tasks
from moderation.forms import StartJobForm
from moderation.long_lists import PAGE_SIZES, bounded_count, turn_to_page
from moderation.models import Chunk, Job
from moderation.progress import progress
from moderation.scopes import Scope
from moderation.tables import FailureTable, JobTable
from moderation.views.pages import dashboard_page, job_action, render_page

KIND_WORDS = {
    Job.Kind.METADATA: "Reads dimensions, codec, duration and bit rate, and makes the thumbnail.",
    Job.Kind.THUMBNAILS: "Makes the thumbnail of videos anew, or where it is missing.",
    Job.Kind.STORYBOARDS: "Makes small pictures from all over each video, and its placeholder.",
    Job.Kind.PREVIEWS: "Makes a small copy of videos that browsers do not play or that are heavy.",
    Job.Kind.FINGERPRINTS: "Hashes a picture a second, to find copies of a video by its looks.",
    Job.Kind.VERIFY: "Looks whether the files are stored, with their size and hash, and open.",
}
ONLY_WORDS = {
    Job.Kind.METADATA: {
        "missing": "Never processed",
        "failed": "Failed before",
        "all": "Every video",
    },
    Job.Kind.THUMBNAILS: {
        "missing": "Without a thumbnail",
        "failed": "Failed before",
        "all": "Every video",
    },
    Job.Kind.STORYBOARDS: {
        "missing": "Without a storyboard",
        "failed": "Failed before",
        "all": "Every ready video",
    },
    Job.Kind.PREVIEWS: {
        "missing": "Not looked at yet",
        "failed": "Failed before",
        "all": "Every ready video",
    },
    Job.Kind.FINGERPRINTS: {
        "missing": "Without a fingerprint",
        "all": "Every ready video",
    },
    Job.Kind.VERIFY: {
        "missing": "Never verified",
        "failed": "Failed before",
        "outdated": "Verified long ago",
        "all": "Every video",
    },
}


@dashboard_page
def jobs(request: HttpRequest) -> HttpResponse:
    table = JobTable(Job.objects.select_related("created_by"))
    turn_to_page(table, request)
    add_counts([row.record for row in table.page.object_list])
    context = {
        "table": table,
        "page_sizes": PAGE_SIZES,
        "may_run_jobs": request.user.has_perm("moderation.run_jobs"),
        "choices": start_choices,  # lazy: only the whole page asks
    }
    return render_page(request, "moderation/jobs.html", context)


def add_counts(shown: list[Job]) -> None:
    """Set ``ready``, ``failed`` and ``skipped`` on each job, with one query for all."""
    sums = (
        Chunk.objects.filter(job__in=shown)
        .values_list("job")
        .order_by("job")
        .annotate(Sum("ready"), Sum("failed"), Sum("skipped"))
    )
    counts = {job_id: numbers for job_id, *numbers in sums}
    for job in shown:
        numbers = counts.get(job.pk, (0, 0, 0))
        for name, number in zip(("ready", "failed", "skipped"), numbers, strict=True):
            setattr(job, name, number)


def start_choices() -> list[dict[str, Any]]:
    """The kinds of jobs, each with what it can be done on and how many that is."""
    choices = []
    for kind in Job.Kind:
        scopes = [
            {
                "only": only,
                "words": words,
                "count": bounded_count(Scope(only=only).queryset(kind)),  # type: ignore[arg-type]
            }
            for only, words in ONLY_WORDS[kind].items()
        ]
        checked = next((scope["only"] for scope in scopes if scope["count"]), None)
        choices.append(
            {
                "kind": kind,
                "words": KIND_WORDS[kind],
                "scopes": scopes,
                "checked": checked,
            }
        )
    return choices


@job_action
def job_start(request: HttpRequest) -> HttpResponse:
    form = StartJobForm(request.POST)
    if not form.is_valid():
        for error in chain.from_iterable(form.errors.values()):
            messages.error(request, str(error))
        return redirect("moderation:videos" if "selection" in request.POST else "moderation:jobs")
    if reason := steering.refusal(form.cleaned_data["kind"]):
        messages.error(request, reason)
        return redirect("moderation:jobs")
    selected = form.cleaned_data["selected"]
    scope = Scope(only="all", ids=selected) if selected else Scope(only=form.cleaned_data["only"])
    with transaction.atomic():
        kind = form.cleaned_data["kind"]
        job = steering.create_job(kind, scope, Actor.from_request(request), "dashboard")
        tasks.wake()
    return redirect("moderation:job", job.pk)


@job_action
def job_cancel(request: HttpRequest, job_id: int) -> HttpResponse:
    job = get_object_or_404(Job, pk=job_id)
    if not steering.cancel(job, Actor.from_request(request)):
        messages.info(request, "The job had already ended.")
    return redirect("moderation:job", job.pk)


@dashboard_page
def job(request: HttpRequest, job_id: int) -> HttpResponse:
    """One job; htmx asks for the failures alone when their number has changed."""
    job = get_object_or_404(Job.objects.select_related("created_by"), pk=job_id)
    failures = job.failures.select_related("attachment__conversation", "attachment__uploaded_by")
    groups = list(job.failures.by_code())
    code = request.GET.get("code", "")
    if code in {group["code"] for group in groups}:
        failures = failures.filter(code=code)
    table = FailureTable(failures)
    turn_to_page(table, request)
    context = {
        "job": job,
        "groups": groups,
        "code": code,
        "table": table,
        "page_sizes": PAGE_SIZES,
        "may_run_jobs": request.user.has_perm("moderation.run_jobs"),
        **progress_context(request, job),
    }
    return render_page(request, "moderation/job.html", context, partial="failures")


@dashboard_page
def job_progress(request: HttpRequest, job_id: int) -> HttpResponse:
    """The live part of a job's page, which asks for itself each second until the job has ended."""
    job = get_object_or_404(Job, pk=job_id)
    context = progress_context(request, job)
    response = render(request, "moderation/job.html#progress", {"job": job, **context})
    if request.GET.get("failed", "") != str(context["progress"].failed):
        response.headers["HX-Trigger"] = "failures-changed"
    response.headers["Cache-Control"] = "no-store"
    return response


def progress_context(request: HttpRequest, job: Job) -> dict[str, Any]:
    """``announce`` is true when a listener should be told: each tenth, and the end."""
    now = progress(job)
    tenth = int(now.fraction * 10)
    return {
        "progress": now,
        "tenth": tenth,
        "percent": int(now.fraction * 100),
        "announce": request.GET.get("tenth", "") != str(tenth) or job.is_finished,
    }


@dashboard_page
@vary_on_headers("HX-Request")
def running(request: HttpRequest) -> HttpResponse:
    """The indicator in the top bar."""
    response = render(request, "moderation/_running.html")
    response.headers["Cache-Control"] = "no-store"
    return response
