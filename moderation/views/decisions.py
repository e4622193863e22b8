"""Deciding on a video, and undoing it: each a POST, with htmx or without JavaScript.

Of two people who decide at once, the second gets the panel with the first one's decision (409),
and what he typed is still there.
"""

from typing import Any
from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render

from chat.models import Attachment, Report
from chat.services.activity import Actor
from moderation import decisions, undoing
from moderation.decision_forms import DecisionForm
from moderation.models import Decision
from moderation.report_words import ReportsOfVideo, reports_of
from moderation.verdict import LOGGED_AS, DecidedMeanwhile, Outcome
from moderation.views.pages import moderator_action

SHOWN_DECISIONS = 25
PAGE = "moderation/decide.html"
NOTHING_TO_DO = {
    "quarantine": "It is quarantined already.",
    "restore": "It is visible already.",
    "remove": "It is removed already.",
    "dismiss": "No report is open.",
    "hold": "It is under hold already.",
    "release": "It is not under hold.",
}
ERASED = "Its bytes were deleted: there is nothing left to decide on."


@moderator_action
def video_decide(request: HttpRequest, attachment_id: int) -> HttpResponse:
    attachment = get_object_or_404(Attachment.objects.videos(), pk=attachment_id)
    form = DecisionForm(request.POST)
    if not form.is_valid():
        return panel(request, attachment, form=form, status=422)
    try:
        outcome = decisions.decide(
            attachment.pk,
            form.cleaned_data["version"],
            form.verdict,
            Actor.from_request(request),
            copies=form.copies,
            newer_copies_than=form.newer_copies_than,
        )
    except DecidedMeanwhile as late:
        attachment.refresh_from_db()
        return panel(request, attachment, form=form, late=late.latest, status=409)
    tell(request, outcome, attachment, form.verdict.action)
    return answer(request, attachment.pk)


@moderator_action
def video_undo(request: HttpRequest, attachment_id: int, batch: UUID) -> HttpResponse:
    """Take back what was decided on this video, and on others together with it."""
    outcome = undoing.undo(batch, Actor.from_request(request))
    if outcome.decided:
        messages.success(request, f"Undone: {videos(len(outcome.decided))} as before.")
    if outcome.overtaken:
        messages.info(request, f"{left(outcome)} decided on since, and stayed as it is.")
    if outcome.unchanged and not outcome.decided:
        messages.info(request, "That can no longer be undone: decide anew instead.")
    return answer(request, attachment_id)


def answer(request: HttpRequest, attachment_id: int) -> HttpResponse:
    """The panel of the video as it is now, or its page."""
    if not request.htmx:  # type: ignore[attr-defined]
        return redirect("moderation:video", attachment_id)
    attachment = get_object_or_404(Attachment.objects.videos(), pk=attachment_id)
    return panel(request, attachment)


def panel(
    request: HttpRequest,
    attachment: Attachment,
    *,
    form: DecisionForm | None = None,
    late: Decision | None = None,
    status: int = 200,
) -> HttpResponse:
    """The panel for htmx, else a page with nothing but it."""
    template = f"{PAGE}#panel" if request.htmx else PAGE  # type: ignore[attr-defined]
    context = decision_context(request, attachment, form) | {
        "attachment": attachment,
        "late": late,
        "conflict": status == 409,
        "fragment": True,
    }
    response = render(request, template, context, status=status)
    response.headers["Cache-Control"] = "private, no-store"
    response.headers["Vary"] = "HX-Request"
    return response


def decision_context(
    request: HttpRequest, attachment: Attachment, form: DecisionForm | None = None
) -> dict[str, Any]:
    """What the panel shows of a video: how it stands, its reports, the form, what was decided."""
    taken = list(attachment.decisions.select_related("job")[:SHOWN_DECISIONS])
    latest = taken[0] if taken else None
    may_decide = request.user.has_perm("moderation.decide")
    copies = decisions.copies_of(attachment)
    open_reports = reports_of([attachment.pk], Report.objects.open()).get(attachment.pk)
    offered = DecisionForm.offered(attachment, copies, likely_reason(attachment, open_reports))
    form = form or offered
    may_undo = (
        may_decide
        and latest is not None
        and latest.version == attachment.decision_version
        and latest.may_be_undone()
    )
    return {
        "decide_form": form,
        "current": offered.initial,  # what is sent next is made on what is shown now
        "copies": [(copy, form.ticks(copy)) for copy in copies],
        "taken": taken,
        "latest": latest,
        "undo_until": undoing.undo_until(latest) if latest and may_undo else None,
        "open_reports": open_reports,
        "may_decide": may_decide,
        "may": {
            action: decisions.changes_something(
                action, attachment, is_reported=open_reports is not None
            )
            for action in LOGGED_AS
        },
    }


def likely_reason(attachment: Attachment, reported: ReportsOfVideo | None) -> str:
    """What it is held for already, else what most people report."""
    if attachment.decision_reason:
        return attachment.decision_reason
    return reported.reasons[0][0] if reported else ""


def tell(request: HttpRequest, outcome: Outcome, attachment: Attachment, action: str) -> None:
    if attachment.pk in outcome.unchanged:
        attachment.refresh_from_db()
        messages.info(request, ERASED if attachment.erased_at else NOTHING_TO_DO[action])
    elif outcome.decided:
        others = len(outcome.decided) - 1
        done = outcome.decided[0].get_action_display().capitalize()
        more = f", and {'1 copy' if others == 1 else f'{others} copies'} of it" if others else ""
        messages.success(request, f"{done}{more}.")
    if outcome.overtaken:
        messages.info(request, f"{left(outcome)} decided on meanwhile, and stayed as it is.")


def videos(count: int) -> str:
    return "1 video is" if count == 1 else f"{count:,} videos are"


def left(outcome: Outcome) -> str:
    count = len(outcome.overtaken)
    who = sorted({each.decided_by_name for each in outcome.overtaken.values() if each})
    by = f" by {', '.join(who)}" if who else ""
    return f"1 of them was{by}" if count == 1 else f"{count:,} of them were{by}"
