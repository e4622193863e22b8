"""Pause, resume, cancel, pace, retry, handled: each a POST, with htmx or without JavaScript."""

from collections.abc import Callable

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django_htmx.http import HttpResponseClientRedirect

from chat.services.activity import Actor
from moderation import steering, tasks
from moderation.forms import PaceForm
from moderation.models import Failure, Job
from moderation.views.jobs import asked_job, failures_context, live_context, live_fragment
from moderation.views.pages import job_action

Verb = Callable[[Job, Actor], bool]


def answer(request: HttpRequest, job: Job) -> HttpResponse:
    """The job's page as it is now."""
    if request.htmx:  # type: ignore[attr-defined]
        return live_fragment(request, job, notices=True)
    return redirect("moderation:job", job.pk)


def steer(request: HttpRequest, job_id: int, verb: Verb, otherwise: str) -> HttpResponse:
    """Do it, or say how it is instead: somebody else may have been quicker."""
    job = asked_job(job_id)
    with transaction.atomic():
        changed = verb(job, Actor.from_request(request))
        if changed:
            tasks.wake()
    if not changed:
        ended = f"{job} has ended: it is {job.get_status_display()}."
        messages.info(request, ended if job.is_finished else otherwise.format(job=job))
    return answer(request, job)


@job_action
def job_pause(request: HttpRequest, job_id: int) -> HttpResponse:
    return steer(request, job_id, steering.pause, "{job} is paused already.")


@job_action
def job_resume(request: HttpRequest, job_id: int) -> HttpResponse:
    return steer(request, job_id, steering.resume, "{job} is not paused.")


@job_action
def job_cancel(request: HttpRequest, job_id: int) -> HttpResponse:
    return steer(request, job_id, steering.cancel, "{job} has ended.")


@job_action
def job_pace(request: HttpRequest, job_id: int) -> HttpResponse:
    job = asked_job(job_id)
    form = PaceForm(request.POST)
    if not form.is_valid():
        if request.htmx:  # type: ignore[attr-defined]
            return live_fragment(request, job, pace=form)
        context = failures_context(request, job) | live_context(request, job) | {"pace": form}
        return render(request, "moderation/job.html", context)
    pace = form.pace
    return steer(
        request, job_id, lambda job, actor: steering.change(job, actor, pace), "Nothing to change."
    )


@job_action
def job_retry(request: HttpRequest, job_id: int) -> HttpResponse:
    """A new job on what failed for good, all of it or that with one code."""
    job = asked_job(job_id)
    if job.kind == Job.Kind.DECISIONS and not request.user.has_perm("moderation.decide"):
        raise PermissionDenied
    with transaction.atomic():
        code = request.POST.get("code", "")
        again = steering.retry(job, Actor.from_request(request), "dashboard", code)
        if again:
            tasks.wake()
    if again is None:
        messages.info(request, "Nothing is left to retry: all of it is handled or tried again.")
        return answer(request, job)
    if request.htmx:  # type: ignore[attr-defined]
        return HttpResponseClientRedirect(reverse("moderation:job", args=[again.pk]))
    return redirect("moderation:job", again.pk)


@job_action
def job_handled(request: HttpRequest, job_id: int) -> HttpResponse:
    """Note that somebody has seen to the failures, all of them or those with one code."""
    job = asked_job(job_id)
    failures = Failure.objects.filter(job=job)
    if code := request.POST.get("code", ""):
        failures = failures.filter(code=code)
    count = steering.mark_handled(job, Actor.from_request(request), failures)
    if count:
        messages.success(request, f"{count:,} failure{'s' * (count != 1)} marked handled.")
    else:
        messages.info(request, "Nothing was left to mark.")
    return answer(request, job)
