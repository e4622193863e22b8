"""Signing in and out; both are written to the activity log."""

from django.contrib.auth import views as auth_views
from django.contrib.auth.forms import AuthenticationForm
from django.contrib.auth.models import AnonymousUser
from django.db import transaction
from django.http import HttpRequest, HttpResponse

from chat.models import ActivityLog
from chat.services import activity
from chat.services.activity import Actor
from chat.sign_in import record_failure


class LoginView(auth_views.LoginView):
    template_name = "moderation/login.html"

    def form_valid(self, form: AuthenticationForm) -> HttpResponse:
        with transaction.atomic():
            response = super().form_valid(form)
            actor = Actor.from_request(self.request)
            activity.record(ActivityLog.Action.SIGNED_IN, actor, form.get_user())
        return response

    def form_invalid(self, form: AuthenticationForm) -> HttpResponse:
        name = str(form.data.get("username", ""))[:150].replace("\0", "")  # PostgreSQL takes none
        record_failure(self.request, name, "dashboard")
        return super().form_invalid(form)


class LogoutView(auth_views.LogoutView):
    def post(self, request: HttpRequest, *args: object, **kwargs: object) -> HttpResponse:
        user = request.user
        if not isinstance(user, AnonymousUser):
            activity.record(ActivityLog.Action.SIGNED_OUT, Actor.from_request(request), user)
        return super().post(request)
