"""One's own second factor: setting it up, new recovery codes, switching it off."""

from base64 import b32encode
from collections.abc import Callable
from typing import Any, cast

import django_otp
import segno
from django.contrib import messages
from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.safestring import SafeString
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

from chat.models import ActivityLog
from chat.services import activity
from chat.services import second_factor as service
from chat.services.activity import Actor
from chat.services.second_factor import WrongCodeError
from moderation.views.pages import signed_in

View = Callable[..., HttpResponse]


def own_page(view: View) -> View:
    return never_cache(signed_in(require_safe(view)))


def own_action(view: View) -> View:
    return never_cache(signed_in(require_POST(view)))


@own_page
def second_factor(request: HttpRequest) -> HttpResponse:
    return own(request)


@own_action
def second_factor_set_up(request: HttpRequest) -> HttpResponse:
    """A key to scan; it counts once a code made with it was given."""
    user = cast("User", request.user)
    if service.device_of(user) is None:
        service.begin(user)
    return redirect("moderation:second-factor")


@own_action
def second_factor_confirm(request: HttpRequest) -> HttpResponse:
    user = cast("User", request.user)
    try:
        device, codes = service.confirm(
            user, request.POST.get("code", ""), Actor.from_request(request)
        )
    except WrongCodeError as error:
        return refused(request, error)
    django_otp.login(request, device)
    return shown_once(request, codes)


@own_action
def second_factor_codes(request: HttpRequest) -> HttpResponse:
    user = cast("User", request.user)
    try:
        service.check(user, request.POST.get("code", ""))
    except WrongCodeError as error:
        return refused(request, error)
    return shown_once(request, service.make_codes(user, Actor.from_request(request)))


@own_action
def second_factor_off(request: HttpRequest) -> HttpResponse:
    user = cast("User", request.user)
    if service.is_required_of(user):
        raise PermissionDenied
    try:
        service.check(user, request.POST.get("code", ""))
    except WrongCodeError as error:
        return refused(request, error)
    service.remove(user, Actor.from_request(request))
    messages.success(request, "The second factor is off.")
    return redirect("moderation:second-factor")


def refused(request: HttpRequest, error: WrongCodeError) -> HttpResponse:
    activity.record(
        ActivityLog.Action.SECOND_FACTOR_FAILED,
        Actor.from_request(request),
        cast("User", request.user),
        outcome=ActivityLog.Outcome.REFUSED,
    )
    return own(request, error=error)


def shown_once(request: HttpRequest, codes: list[str]) -> HttpResponse:
    return render(request, "moderation/recovery_codes.html", {"codes": codes})


def own(request: HttpRequest, error: WrongCodeError | None = None) -> HttpResponse:
    user = cast("User", request.user)
    device, waiting = service.device_of(user), service.device_to_confirm(user)
    context: dict[str, Any] = {
        "is_on": device is not None,
        "is_required": service.is_required_of(user),
        "error": error,
    }
    if device is not None:
        context["codes_left"] = service.codes_left(user)
    elif waiting is not None:
        code = segno.make(waiting.config_url, error="m")
        context["picture"] = SafeString(
            code.svg_inline(scale=5, border=4, dark="#000", light="#fff", title="QR code")
        )
        key = b32encode(waiting.bin_key).decode().rstrip("=")
        context["key"] = " ".join(key[i : i + 4] for i in range(0, len(key), 4))
    return render(request, "moderation/second_factor.html", context)
