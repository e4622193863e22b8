"""What every page shares: who may see it, and one template for the page and its fragment."""

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar

from django.contrib.auth.decorators import login_required, permission_required
from django.http import HttpRequest, HttpResponse, HttpResponseBase, HttpResponseNotAllowed
from django.shortcuts import render
from django.utils.cache import patch_cache_control, patch_vary_headers
from django.views.decorators.http import require_POST, require_safe

View = TypeVar("View", bound=Callable[..., Any])


def page_for(*permissions: str) -> Callable[[View], View]:
    """GET for who has these permissions; others sign in (anonymous) or get 403."""
    return guarded(require_safe, permissions)


def action_for(*permissions: str) -> Callable[[View], View]:
    """POST for who has these permissions."""
    return guarded(require_POST, permissions)


def guarded(methods: Callable[[Any], Any], permissions: tuple[str, ...]) -> Callable[[View], View]:
    """``methods`` is one of Django's decorators, which say what a view answers."""

    def wrapped(view: View) -> View:
        allowed: View = permission_required(permissions, raise_exception=True)(methods(view))
        return signed_in(with_words(allowed))

    return wrapped


def with_words(view: View) -> View:
    """Who comes to an action by GET, as after signing in again, gets more than an empty page."""

    @wraps(view)
    def answer(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        response: HttpResponseBase = view(request, *args, **kwargs)
        if not isinstance(response, HttpResponseNotAllowed):
            return response
        page = render(request, "405.html", status=405)
        page.headers["Allow"] = response.headers["Allow"]
        return page

    return answer  # type: ignore[return-value]


def signed_in(view: View) -> View:
    """Others sign in first.

    A session that ends under an open page shows as an answer to htmx, which would put the sign-in
    page where the fragment belongs: it gets 401 and nothing instead, and the page says so. What
    was typed there stays.
    """
    page: Callable[..., HttpResponse] = login_required(view)

    @wraps(view)
    def answer(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        htmx = request.htmx  # type: ignore[attr-defined]
        if request.user.is_authenticated or not htmx or htmx.history_restore_request:
            return page(request, *args, **kwargs)
        return HttpResponse(status=401)

    return answer  # type: ignore[return-value]


def render_page(
    request: HttpRequest, template: str, context: dict[str, Any], partial: str = "table"
) -> HttpResponse:
    """The page, or for htmx only its part; the browser's caches keep the two apart.

    Going back in the history restores a whole page, whatever made the request.
    """
    htmx = request.htmx  # type: ignore[attr-defined]
    fragment = bool(htmx) and not htmx.history_restore_request
    if fragment:
        template += f"#{partial}"
    response = render(request, template, {**context, "fragment": fragment})
    patch_vary_headers(response, ["HX-Request", "HX-History-Restore-Request"])
    patch_cache_control(response, private=True, no_cache=True)
    return response


# Who may see the dashboard, start and steer jobs, decide on videos, give roles.
SEE = "moderation.view_dashboard"
RUN_JOBS = (SEE, "moderation.run_jobs")
DECIDE = (SEE, "moderation.decide")
MANAGE_ROLES = (SEE, "moderation.manage_roles")

dashboard_page, dashboard_action = page_for(SEE), action_for(SEE)
operator_page, job_action = page_for(*RUN_JOBS), action_for(*RUN_JOBS)
moderator_page, moderator_action = page_for(*DECIDE), action_for(*DECIDE)
admin_page, admin_action = page_for(*MANAGE_ROLES), action_for(*MANAGE_ROLES)
