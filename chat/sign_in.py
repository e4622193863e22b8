"""Signing in fails: what the log is told, and the answer when it has failed too often.

django-axes counts and refuses; this is what is ours about it.
"""

from typing import Any

from axes.helpers import get_cool_off
from axes.models import AccessAttempt
from django.contrib.auth import get_user_model
from django.contrib.auth.models import AbstractBaseUser
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.utils import timezone

from chat.api_errors import API_PREFIX
from chat.errors import API_ERRORS
from chat.models import ActivityLog
from chat.services import activity
from chat.services.activity import Actor
from chat.services.client_address import client_address, network_of_client

CODE = "locked_out"


def record_failure(request: HttpRequest, username: str, through: str) -> None:
    """One entry about the account that was tried, if there is one of that name; none while it is
    locked, when nothing is tried any more."""
    locked = getattr(request, "axes_locked_out", False)
    if locked and request.axes_failures_since_start is None:  # type: ignore[attr-defined]
        return
    accounts = get_user_model().objects
    tried: AbstractBaseUser | None = accounts.filter(username=username).first()
    activity.record(
        ActivityLog.Action.SIGN_IN_FAILED,
        Actor(ip_address=client_address(request), command="not signed in"),
        tried or get_user_model()(username=username),
        outcome=ActivityLog.Outcome.REFUSED,
        details={"through": through, **({"locked_out": True} if locked else {})},
    )


def locked_out(
    request: HttpRequest, _response: HttpResponse | None, credentials: dict[str, Any] | None
) -> HttpResponse:
    """429: JSON below ``/api/``, a page elsewhere."""
    seconds = seconds_left(request, (credentials or {}).get("username"))
    headers = {"Retry-After": str(seconds), "Cache-Control": "private, no-store"}
    status, sentence = API_ERRORS[CODE]
    if request.path.startswith(API_PREFIX):
        return JsonResponse({"detail": sentence, "code": CODE}, status=status, headers=headers)
    page = render(request, "429.html", {"minutes": -(-seconds // 60)}, status=status)
    for name, value in headers.items():
        page.headers[name] = value
    return page


def seconds_left(request: HttpRequest, username: str | None) -> int:
    """Until the account can be tried again from this address."""
    cool_off = get_cool_off(request)
    tries = AccessAttempt.objects.filter(
        username=username, ip_address=network_of_client(request)
    ).order_by("-attempt_time")
    last = tries.values_list("attempt_time", flat=True).first()
    if last is None or cool_off is None:
        return 1
    return max(1, int((last + cool_off - timezone.now()).total_seconds()) + 1)
