"""Saving, renaming, sharing and deleting a view of the list of videos."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

from django import forms
from django.contrib import messages
from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import get_object_or_404, redirect
from django.urls import reverse

from moderation.long_lists import whole_number
from moderation.saved_view import MOST, SavedView, may_share, view_query
from moderation.views.pages import dashboard_action

LONGEST_QUERY = 4_000


class ViewForm(forms.ModelForm):
    class Meta:
        model = SavedView
        fields = ["name", "is_shared"]


@dataclass(frozen=True, slots=True)
class Tabs:
    """``current`` is the view that the address names, ``is_changed`` since it was opened;
    ``query`` is what saving would keep."""

    views: Sequence[SavedView]
    current: SavedView | None
    is_changed: bool
    may_change: bool
    may_share: bool
    query: str


def tabs_of(request: HttpRequest) -> Tabs:
    views = list(SavedView.objects.visible_to(request.user))
    asked, query = whole_number(request.GET.get("saved"), 0), view_query(request.GET)
    current = next((view for view in views if view.pk == asked), None)
    return Tabs(
        views=views,
        current=current,
        is_changed=current is not None and current.query != query,
        may_change=current is not None and current.may_be_changed_by(request.user),
        may_share=may_share(request.user),
        query=query,
    )


@dashboard_action
def view_save(request: HttpRequest) -> HttpResponse:
    """A new one of what the address said."""
    mine = SavedView.objects.filter(owner_id=request.user.pk)
    if mine.count() >= MOST:
        messages.error(request, f"You have {MOST} views already: delete one first.")
        return redirect(f"{reverse('moderation:videos')}?{asked_query(request)}")
    view = SavedView(owner=cast("User", request.user), query=asked_query(request))
    return keep(request, view)


@dashboard_action
def view_change(request: HttpRequest, view_id: int) -> HttpResponse:
    """Its name, who sees it, and with ``query`` what it shows."""
    view = changeable(request, view_id)
    if "query" in request.POST:
        view.query = asked_query(request)
        view.save(update_fields=["query"])
        messages.success(request, f"“{view}” shows what you see now.")
        return to_view(view)
    return keep(request, view)


@dashboard_action
def view_delete(request: HttpRequest, view_id: int) -> HttpResponse:
    view = changeable(request, view_id)
    view.delete()
    messages.success(request, f"“{view}” is deleted. The videos are as they were.")
    return redirect(f"{reverse('moderation:videos')}?{view.query}")


def changeable(request: HttpRequest, view_id: int) -> SavedView:
    """404 for what one does not see, 403 for what is somebody else's."""
    view = get_object_or_404(SavedView.objects.visible_to(request.user), pk=view_id)
    if not view.may_be_changed_by(request.user):
        raise PermissionDenied
    return view


def keep(request: HttpRequest, view: SavedView) -> HttpResponse:
    was_shared, earlier = view.is_shared, view.query
    form = ViewForm(request.POST, instance=view)
    shares = form.is_valid() and view.is_shared and not was_shared
    if shares and not may_share(request.user):
        raise PermissionDenied
    if not form.is_valid():
        told: Any = form.errors.get("name") or form.errors.get("__all__") or [""]
        messages.error(request, f"The view was not saved. {told[0]}")
        return redirect(f"{reverse('moderation:videos')}?{earlier}")
    view = form.save(commit=False)
    taken = SavedView.objects.filter(owner_id=view.owner_id, name=view.name).exclude(pk=view.pk)
    if taken.exists():
        messages.error(request, f"You have a view “{view}” already: choose another name.")
        return redirect(f"{reverse('moderation:videos')}?{earlier}")
    view.save()
    messages.success(request, f"“{view}” is saved{' for everybody' * view.is_shared}.")
    return to_view(view)


def to_view(view: SavedView) -> HttpResponse:
    return redirect(reverse("moderation:videos") + view.address)


def asked_query(request: HttpRequest) -> str:
    return view_query(QueryDict(request.POST.get("query", "")[:LONGEST_QUERY]))
