"""The same decision on several videos: on those that were ticked at once, on everything that the
filters leave by a job.  The question is a page of its own, which names the number."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.db.models import Max
from django.http import Http404, HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.html import format_html
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.cache import never_cache

from chat.models import Attachment
from chat.services.activity import Actor
from moderation import decisions, steering, tasks, undoing
from moderation.decision import Decision
from moderation.forms import VerdictForm, filters_in, selected_ids
from moderation.long_lists import whole_number
from moderation.models import Job
from moderation.scopes import Scope
from moderation.verdict import Outcome
from moderation.video_filters import VideoFilter
from moderation.views.pages import moderator_action, moderator_page
from moderation.words import count_words

Action = Decision.Action
SHOWN = 12
# What can be done with several at once: (on the button, afterwards, what follows from it).
VERBS = {
    Action.QUARANTINE: (
        "Quarantine",
        "quarantined",
        "Participants can no longer see or download them, until they are restored.",
    ),
    Action.RESTORE: ("Restore", "restored", "Participants see and download them again."),
    Action.REMOVE: (
        "Remove",
        "removed",
        "Participants no longer see them. The files are deleted after a retention time.",
    ),
}


@moderator_page
@never_cache
def bulk(request: HttpRequest) -> HttpResponse:
    """The question, with a count that does not grow while one thinks."""
    action = asked_action(request.GET)
    return render(request, "moderation/bulk.html", question(request.GET, VerdictForm(action)))


@moderator_action
def bulk_decide(request: HttpRequest) -> HttpResponse:
    action = asked_action(request.POST)
    form = VerdictForm(action, request.POST)
    if not form.is_valid():
        return render(request, "moderation/bulk.html", question(request.POST, form))
    actor = Actor.from_request(request)
    if request.POST.get("everything"):
        scope = Scope(
            only="all",
            filters=filters_in(request.POST),
            until=whole_number(request.POST.get("until"), 0),
        )
        counted = whole_number(request.POST.get("counted"), 0)
        try:
            job = steering.create_decisions_job(scope, form.verdict, actor, counted=counted)
        except ValueError as error:
            messages.error(request, str(error))
            return redirect(back_address(request.POST))
        tasks.wake()
        return redirect("moderation:job", job.pk)
    outcome = decisions.decide_many(versions_in(request.POST), form.verdict, actor)
    tell(request, outcome, action)
    return redirect(back_address(request.POST))


@moderator_action
def bulk_undo(request: HttpRequest, batch: UUID) -> HttpResponse:
    """Take back what was decided together."""
    outcome = undoing.undo(batch, Actor.from_request(request))
    if undone := len(outcome.decided):
        messages.success(request, f"{videos(undone)} as before.")
    if late := len(outcome.unchanged):
        messages.info(request, f"{videos(late)} left as it is: too long ago, or undone already.")
    tell_overtaken(request, outcome)
    return redirect(back_address(request.POST))


def asked_action(data: QueryDict) -> str:
    action = data.get("action", "")
    if action not in VERBS:
        raise Http404
    return action


def question(data: QueryDict, form: VerdictForm) -> dict[str, Any]:
    """``trouble`` in sentences where there is nothing to decide on."""
    everything = bool(data.get("everything"))
    filters = VideoFilter(filters_in(data) if everything else {})
    trouble = [f"{filters.form[name].label}: {words[0]}" for name, words in filters.errors.items()]
    verb, done, follows = VERBS[Action(form.action)]
    context = {
        "form": form,
        "verb": verb,
        "done": done,
        "follows": follows,
        "everything": everything,
        "chips": [words for _name, words in filters.chips],
        "back": back_address(data),
        "trouble": trouble,
    }
    if trouble:
        return context
    fields: list[tuple[str, object]] = [("action", form.action), ("back", data.get("back", ""))]
    if everything:
        kept = whole_number(data.get("until"), 0)
        until = kept or Attachment.objects.aggregate(last=Max("pk"))["last"] or 0
        scope = Scope(only="all", filters=filters_in(data), until=until)
        count = scope.count(Job.Kind.DECISIONS)
        ids = scope.next_ids(Job.Kind.DECISIONS, 0, SHOWN)
        fields += [("everything", 1), ("until", until), ("counted", count)]
        fields += list(filters_in(data).items())
        shown = Attachment.objects.filter(pk__in=ids)
    else:
        chosen = Attachment.objects.videos().filter(pk__in=versions_in(data))
        rows = dict(chosen.values_list("pk", "decision_version"))
        known = versions_in(data)
        fields += [("video", f"{pk}-{known[pk] if known[pk] is not None else version}")
                   for pk, version in sorted(rows.items())]  # fmt: skip
        count = len(rows)
        shown = chosen
    if not count:
        context["trouble"] = ["No video is selected. Tick one or more first."]
    return context | {
        "count": count,
        "fields": fields,
        "samples": shown.select_related("conversation", "uploaded_by").order_by("-pk")[:SHOWN],
    }


def versions_in(data: QueryDict) -> dict[int, int | None]:
    """{id: the version that was looked at}; ticked rows have not been looked at yet."""
    versions: dict[int, int | None] = dict.fromkeys(selected_ids(data))
    for text in data.getlist("video"):
        pk, _, version = text.partition("-")
        if number := whole_number(pk, 0):
            versions[number] = whole_number(version, 0)
    return versions


def back_address(data: QueryDict) -> str:
    """The list that one came from."""
    address = reverse("moderation:videos")
    query = data.get("back", "")
    whole = f"{address}?{query.removeprefix('?')}" if query else address
    safe = url_has_allowed_host_and_scheme(whole, allowed_hosts=None)
    return whole if safe and "\n" not in whole and "\r" not in whole else address


def tell(request: HttpRequest, outcome: Outcome, action: str) -> None:
    done = VERBS[Action(action)][1]
    if decided := len(outcome.decided):
        messages.success(request, f"{videos(decided)} {done}.", extra_tags=f"undo:{outcome.batch}")
    if same := len(outcome.unchanged):
        messages.info(request, f"{videos(same)} left as it is: it was {done} already.")
    tell_overtaken(request, outcome)


def tell_overtaken(request: HttpRequest, outcome: Outcome) -> None:
    """What somebody else decided meanwhile is shown, not overwritten."""
    overtaken: Mapping[int, Decision | None] = outcome.overtaken
    for pk, decision in list(overtaken.items())[:SHOWN]:
        who = (
            f"{decision.get_action_display()} by {decision.decided_by_name}"
            if decision
            else "changed by somebody else"
        )
        address = reverse("moderation:video", args=[pk])
        messages.warning(
            request, format_html('<a href="{}">Video {}</a> was {} meanwhile.', address, pk, who)
        )


def videos(count: int) -> str:
    return count_words(count, count, "video")
