"""Starting a job: what it would do, found out without writing anything, and then the start."""

from collections.abc import Mapping
from typing import Any

from django.conf import settings
from django.db import transaction
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache

from chat.services.activity import Actor
from moderation import steering, tasks
from moderation.forms import PaceForm, ScopeForm
from moderation.job_words import KIND_WORDS, only_choices
from moderation.long_lists import bounded_count
from moderation.models import Job
from moderation.planning import Forecast, dry_run
from moderation.video_filters import VideoFilter
from moderation.views.pages import job_action, operator_page, render_page

# Longer than this nobody waits for an estimate; the slowest kinds are measured by fewer samples.
MEASURE_SECONDS = 5.0
TEMPLATE = "moderation/job_new.html"


@operator_page
@never_cache
def job_new(request: HttpRequest) -> HttpResponse:
    """The dry run: how many videos, ten of them, and the form that starts just that.

    Measured with ``?measure=1``, or by the page itself: see ``job_estimate``.
    """
    form = ScopeForm(request.GET)
    context = plan_context(form, PaceForm(), measure="measure" in request.GET)
    return render_page(request, TEMPLATE, context, partial="plan")


@operator_page
@never_cache
def job_estimate(request: HttpRequest) -> HttpResponse:
    """How long it would take, measured now."""
    context = plan_context(ScopeForm(request.GET), PaceForm(), measure=True)
    return render(request, f"{TEMPLATE}#rehearsal", context)


@job_action
def job_start(request: HttpRequest) -> HttpResponse:
    form, pace = ScopeForm(request.POST), PaceForm(request.POST)
    trouble = trouble_with(form)
    refused = "" if trouble else steering.refusal(form.wanted_kind)
    if trouble or refused or not pace.is_valid():
        return render(request, TEMPLATE, plan_context(form, pace))
    with transaction.atomic():
        job = steering.create_job(
            form.wanted_kind,
            form.scope(),
            Actor.from_request(request),
            "dashboard",
            pace=pace.pace,
            counted=form.cleaned_data["counted"],
        )
        tasks.wake()
    return redirect("moderation:job", job.pk)


def trouble_with(form: ScopeForm) -> list[str]:
    """What is wrong with what was asked for, in sentences."""
    sentences = [str(error) for errors in form.errors.values() for error in errors]
    filters = VideoFilter(form.filters)
    failures: Mapping[str, Any] = filters.errors
    for name, errors in failures.items():
        label = filters.form[name].label
        sentences += [f"{label}: {error}" for error in errors]
    return sentences


def plan_context(form: ScopeForm, pace: PaceForm, *, measure: bool = False) -> dict[str, Any]:
    kind = form.wanted_kind
    trouble = trouble_with(form)
    context: dict[str, Any] = {
        "form": form,
        "trouble": trouble,
        "kind": kind,
        "kinds": [(each, KIND_WORDS[each]) for each in Job.Kind if each in Job.WORK],
        "only": form.wanted_only,
        "refusal": steering.refusal(kind),
        "pace": pace,
        "filters": VideoFilter(form.filters),
        "list_address": address_of(form.filters),
    }
    if trouble:
        return context
    forecast = dry_run(kind, form.scope(), measure=measure, seconds=MEASURE_SECONDS)
    return context | {
        "forecast": forecast,
        "measured": measure,
        "choices": [
            (only, words, bounded_count(form.scope(only).queryset(kind)))
            for only, words in only_choices(kind)
        ]
        if not form.selected
        else [],
        "samples": [(sample, forecast.failures.get(sample.pk, "")) for sample in forecast.samples],
        "estimates": estimates(forecast),
        "words": counted_words(kind, forecast),
        "fields": hidden_fields(form, forecast),
        "estimate_address": address_of(
            {"kind": kind, "only": form.wanted_only, **form.filters}, form, forecast
        ),
    }


def counted_words(kind: Job.Kind, forecast: Forecast) -> str:
    """The scope as it follows a number: ``videos without metadata``."""
    words = forecast.scope.words(kind).removeprefix("all ")
    return words.replace("videos", "video", 1) if forecast.matched == 1 else words


def estimates(forecast: Forecast) -> list[tuple[int, float]]:
    """(workers, seconds) by one, and by as many as this machine's consumer has."""
    numbers = sorted({1, settings.QUEUE_WORKERS["jobs"]})
    found = [(workers, forecast.estimate_seconds(workers)) for workers in numbers]
    return [(workers, seconds) for workers, seconds in found if seconds is not None]


def hidden_fields(form: ScopeForm, forecast: Forecast) -> list[tuple[str, object]]:
    """(name, value) of what makes the start mean just what was counted."""
    scope = forecast.scope
    fields: list[tuple[str, object]] = [
        ("kind", form.wanted_kind.value),
        ("only", scope.only),
        ("until", scope.until),
        ("counted", forecast.matched),
        *form.filters.items(),
        *(("selected", pk) for pk in scope.ids),
    ]
    return fields if scope.limit is None else [*fields, ("limit", scope.limit)]


def address_of(
    names: dict[str, Any], form: ScopeForm | None = None, forecast: Forecast | None = None
) -> str:
    """A query string; with the ids and the limits of what was counted."""
    query = QueryDict(mutable=True)
    query.update(names)
    if form is not None and forecast is not None:
        query.setlist("selected", [str(pk) for pk in form.selected])
        query["until"] = str(forecast.scope.until)
        if forecast.scope.limit is not None:
            query["limit"] = str(forecast.scope.limit)
    return query.urlencode()
