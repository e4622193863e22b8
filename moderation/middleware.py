"""No page of the dashboard or of Django's administration without the second factor, where the
account has one or needs one; whatever view it is, and however the session came about."""

from collections.abc import Callable
from typing import Any

from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.http import urlencode

from chat.services import second_factor

GUARDED = {"moderation", "admin"}
# Where one signs in, gives the code, sets the second factor up, and out again.
OPEN = {"login", "login-code", "logout"}
OPEN_PREFIX = "second-factor"
# Our own pages outside those names.
ALSO_GUARDED = {"admin-password"}


class SecondFactorMiddleware:
    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        return self.get_response(request)

    def process_view(
        self, request: HttpRequest, _view: Any, _args: Any, _kwargs: Any
    ) -> HttpResponse | None:
        match = request.resolver_match
        if match is None:
            return None
        name = match.url_name or ""
        if not GUARDED & set(match.namespaces) and name not in ALSO_GUARDED:
            return None
        if name in OPEN or name.startswith(OPEN_PREFIX):
            return None
        user: Any = request.user
        if not user.is_authenticated or user.is_verified():
            return None
        if second_factor.device_of(user):
            return go(request, "moderation:login-code")
        if second_factor.is_required_of(user):
            return go(request, "moderation:second-factor")
        return None


def go(request: HttpRequest, page: str) -> HttpResponse:
    """There and back.  A fragment gets 401, as when a session ended: the page says so."""
    if request.htmx and not request.htmx.history_restore_request:  # type: ignore[attr-defined]
        return HttpResponse(status=401)
    back = request.get_full_path() if request.method in ("GET", "HEAD") else ""
    query = f"?{urlencode({'next': back})}" if back else ""
    return redirect(f"{reverse(page)}{query}")
