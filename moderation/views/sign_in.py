"""Signing in, with the second factor where the account has one, and out; all of it is logged."""

import time
from typing import Any, cast

import django_otp
from django.conf import settings
from django.contrib import admin
from django.contrib.auth import login
from django.contrib.auth import views as auth_views
from django.contrib.auth.forms import AuthenticationForm
from django.contrib.auth.models import AnonymousUser, User
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render, resolve_url
from django.urls import reverse
from django.utils.decorators import method_decorator
from django.utils.http import urlencode
from django.views.decorators.cache import never_cache
from django.views.generic import View

from chat.models import ActivityLog
from chat.services import activity, second_factor
from chat.services.activity import Actor
from chat.services.client_address import client_address
from chat.services.second_factor import WrongCodeError
from chat.sign_in import record_failure

# Between the password and the code.
PENDING = "second_factor"
PENDING_SECONDS = 600


class LoginView(auth_views.LoginView):
    template_name = "moderation/login.html"

    def form_valid(self, form: AuthenticationForm) -> HttpResponse:
        user = form.get_user()
        if second_factor.device_of(user):
            self.request.session[PENDING] = {"user": user.pk, "at": time.time()}
            query = urlencode({"next": self.get_redirect_url()})
            return redirect(f"{reverse('moderation:login-code')}?{query}")
        with transaction.atomic():
            response = super().form_valid(form)
            actor = Actor.from_request(self.request)
            activity.record(ActivityLog.Action.SIGNED_IN, actor, user)
        return response

    def form_invalid(self, form: AuthenticationForm) -> HttpResponse:
        name = str(form.data.get("username", ""))[:150].replace("\0", "")  # PostgreSQL takes none
        record_failure(self.request, name, "dashboard")
        return super().form_invalid(form)


@method_decorator(never_cache, name="dispatch")
class CodeView(auth_views.RedirectURLMixin, View):
    """The second step: of who gave the password a moment ago, or has an older session."""

    def get(self, request: HttpRequest) -> HttpResponse:
        return self.page() if self.user() else redirect("moderation:login")

    def post(self, request: HttpRequest) -> HttpResponse:
        user = self.user()
        if user is None:
            return redirect("moderation:login")
        actor = Actor(user=user, ip_address=client_address(request))
        action = ActivityLog.Action
        try:
            proof = second_factor.check(user, request.POST.get("code", ""))
        except WrongCodeError as error:
            outcome = ActivityLog.Outcome.REFUSED
            activity.record(action.SECOND_FACTOR_FAILED, actor, user, outcome=outcome)
            return self.page(error)
        with transaction.atomic():
            login(request, user, backend=settings.AUTHENTICATION_BACKENDS[-1])
            django_otp.login(request, proof.device)
            request.session.pop(PENDING, None)
            details = {"second_factor": proof.kind}
            activity.record(action.SIGNED_IN, actor, user, details=details)
        return redirect(self.get_success_url())

    def user(self) -> User | None:
        pending = self.request.session.get(PENDING)
        if pending is not None and time.time() - pending["at"] < PENDING_SECONDS:
            return User.objects.filter(pk=pending["user"], is_active=True).first()
        return self.request.user if isinstance(self.request.user, User) else None

    def page(self, error: WrongCodeError | None = None) -> HttpResponse:
        context: dict[str, Any] = {"next": self.get_redirect_url(), "error": error}
        return render(self.request, "moderation/login_code.html", context)

    def get_default_redirect_url(self) -> str:
        return resolve_url(settings.LOGIN_REDIRECT_URL)


def own_password(request: HttpRequest) -> HttpResponse:
    """The administration's page for one's own password, with an entry in the log."""
    response: HttpResponse = admin.site.password_change(request)
    if request.method == "POST" and response.status_code == 302:
        action, details = ActivityLog.Action.USER_CHANGED, {"what": "password"}
        user = cast("User", request.user)
        activity.record(action, Actor.from_request(request), user, details=details)
    return response


class LogoutView(auth_views.LogoutView):
    def post(self, request: HttpRequest, *args: object, **kwargs: object) -> HttpResponse:
        user = request.user
        if not isinstance(user, AnonymousUser):
            activity.record(ActivityLog.Action.SIGNED_OUT, Actor.from_request(request), user)
        return super().post(request)
