"""People and their roles, for who may give them."""

from django.contrib import messages
from django.contrib.auth.models import Group, User
from django.db.models import Prefetch, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseBadRequest
from django.shortcuts import get_object_or_404, redirect, render

from chat.models import ActivityLog
from chat.services import quotas, second_factor
from chat.services.activity import Actor
from moderation import roles
from moderation.forms import QuotaForm
from moderation.long_lists import PAGE_SIZES, turn_to_page
from moderation.people_filter import PeopleFilter
from moderation.roles import NotAllowedError
from moderation.tables import PersonTable
from moderation.views.pages import admin_action, admin_page, render_page

HISTORY_ENTRIES = 10


@admin_page
def people(request: HttpRequest) -> HttpResponse:
    filters = PeopleFilter(request.GET, with_roles(User.objects.all()), request=request)
    table = PersonTable(filters.qs)
    turn_to_page(table, request)
    context = {"filters": filters, "table": table, "page_sizes": PAGE_SIZES}
    return render_page(request, "moderation/people.html", context)


@admin_page
def person(request: HttpRequest, user_id: int) -> HttpResponse:
    return person_page(request, user_id)


@admin_action
def person_roles(request: HttpRequest, user_id: int) -> HttpResponse:
    wanted = request.POST.getlist("role")
    if not set(wanted) <= set(roles.ROLES):
        return HttpResponseBadRequest("There is no such role.")
    get_object_or_404(User, pk=user_id)
    try:
        if roles.set_roles(user_id, wanted, Actor.from_request(request)):
            messages.success(request, "The roles are changed.")
    except NotAllowedError as refusal:
        return person_page(request, user_id, refusal=str(refusal))
    return redirect("moderation:person", user_id)


@admin_action
def person_active(request: HttpRequest, user_id: int) -> HttpResponse:
    active = request.POST.get("active") == "1"
    get_object_or_404(User, pk=user_id)
    try:
        if roles.set_active(user_id, active=active, actor=Actor.from_request(request)):
            words = "may sign in again" if active else "may not sign in any more"
            messages.success(request, f"This account {words}.")
    except NotAllowedError as refusal:
        return person_page(request, user_id, refusal=str(refusal))
    return redirect("moderation:person", user_id)


@admin_action
def person_second_factor(request: HttpRequest, user_id: int) -> HttpResponse:
    """For who has lost authenticator and recovery codes."""
    account = get_object_or_404(User, pk=user_id)
    try:
        if roles.reset_second_factor(account.pk, Actor.from_request(request)):
            messages.success(request, "The second factor is reset.")
    except NotAllowedError as refusal:
        return person_page(request, user_id, refusal=str(refusal))
    return redirect("moderation:person", user_id)


@admin_action
def person_quota(request: HttpRequest, user_id: int) -> HttpResponse:
    """How much the person may store; everybody's, when nothing is given."""
    get_object_or_404(User, pk=user_id)
    form = QuotaForm(request.POST)
    if not form.is_valid():
        return person_page(request, user_id, quota_form=form)
    try:
        if roles.set_quota(user_id, form.quota_bytes, Actor.from_request(request)):
            messages.success(request, "The quota is changed.")
    except NotAllowedError as refusal:
        return person_page(request, user_id, refusal=str(refusal))
    return redirect("moderation:person", user_id)


def person_page(
    request: HttpRequest, user_id: int, refusal: str = "", quota_form: QuotaForm | None = None
) -> HttpResponse:
    """The page of one person; 409 with the reason when a change was refused, 400 with that of a
    number that is none."""
    account = get_object_or_404(with_roles(User.objects.all()), pk=user_id)
    held = {group.name for group in account.groups.all()}
    about = ActivityLog.objects.filter(object_type="user", object_id=account.pk)
    context = {
        "person": account,
        "roles": [(name, words, name in held) for name, words in roles.ROLES.items()],
        "is_self": account.pk == request.user.pk,
        "history": about[:HISTORY_ENTRIES],
        "has_second_factor": second_factor.device_of(account) is not None,
        "needs_second_factor": second_factor.is_required_of(account),
        "usage": quotas.usage_of(account),
        "quota_form": quota_form or QuotaForm.of(quotas.own_quota(account)),
        "refusal": refusal,
    }
    status = 409 if refusal else 400 if quota_form else 200
    return render(request, "moderation/person.html", context, status=status)


def with_roles(people: QuerySet[User]) -> QuerySet[User]:
    groups = Group.objects.filter(name__in=roles.ROLES).order_by("name")
    return people.prefetch_related(Prefetch("groups", queryset=groups))
