"""What every page shares: who may see it, and one template for the page and its fragment."""

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar

from django.contrib.auth.decorators import login_required, permission_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.cache import patch_cache_control, patch_vary_headers
from django.views.decorators.http import require_POST, require_safe

View = TypeVar("View", bound=Callable[..., Any])


def dashboard_page(view: View) -> View:
    """GET for who may see the dashboard; others sign in (anonymous) or get 403."""
    allowed = permission_required("moderation.view_dashboard", raise_exception=True)
    return signed_in(allowed(require_safe(view)))


RUN_JOBS = ["moderation.view_dashboard", "moderation.run_jobs"]


def operator_page(view: View) -> View:
    """GET for who may start and steer jobs."""
    return signed_in(permission_required(RUN_JOBS, raise_exception=True)(require_safe(view)))


def job_action(view: View) -> View:
    """POST for who may start and steer jobs."""
    return signed_in(permission_required(RUN_JOBS, raise_exception=True)(require_POST(view)))


DECIDE = ["moderation.view_dashboard", "moderation.decide"]


def moderator_page(view: View) -> View:
    """GET for who may decide on videos."""
    return signed_in(permission_required(DECIDE, raise_exception=True)(require_safe(view)))


def moderator_action(view: View) -> View:
    """POST for who may decide on videos."""
    return signed_in(permission_required(DECIDE, raise_exception=True)(require_POST(view)))


MANAGE_ROLES = ["moderation.view_dashboard", "moderation.manage_roles"]


def admin_page(view: View) -> View:
    """GET for who may give roles."""
    return signed_in(permission_required(MANAGE_ROLES, raise_exception=True)(require_safe(view)))


def admin_action(view: View) -> View:
    """POST for who may give roles."""
    return signed_in(permission_required(MANAGE_ROLES, raise_exception=True)(require_POST(view)))


def dashboard_action(*permissions: str) -> Callable[[View], View]:
    """POST for who has these permissions."""

    def wrapped(view: View) -> View:
        return signed_in(
            permission_required(permissions, raise_exception=True)(require_POST(view))
        )

    return wrapped


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
