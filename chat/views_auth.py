"""Signing in and out of the API."""

from django.contrib.auth import authenticate, get_user_model
from django.contrib.auth.models import AbstractBaseUser, update_last_login
from django.db import transaction
from knox.models import get_token_model
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response

from chat.api_views import ApiView
from chat.authentication import TokenAuthentication
from chat.errors import ChatError
from chat.models import ActivityLog
from chat.serializers_chat import SignInSerializer
from chat.services import activity
from chat.services.activity import Actor, client_address


class TokenView(ApiView):
    """Exchange name and password for a token; it is stored hashed and expires."""

    authentication_classes = []
    permission_classes = [AllowAny]

    def post(self, request: Request) -> Response:
        form = SignInSerializer(data=request.data)
        form.is_valid(raise_exception=True)
        address = client_address(request)
        user = authenticate(request, **form.validated_data)
        if user is None:
            record_failure(form.validated_data["username"], address)
            raise ChatError("authentication_failed")
        with transaction.atomic():
            record, token = get_token_model().objects.create(user=user)
            update_last_login(None, user)  # type: ignore[arg-type]
            actor = Actor(user=user, ip_address=address)
            activity.record(ActivityLog.Action.SIGNED_IN, actor, user, details={"through": "api"})
        return Response({"token": token, "expiry": record.expiry})


class LogoutView(ApiView):
    """Delete the token that the request was made with."""

    authentication_classes = [TokenAuthentication]

    def post(self, request: Request) -> Response:
        token, actor = request.auth, self.actor
        with transaction.atomic():
            activity.record(
                ActivityLog.Action.SIGNED_OUT, actor, token.user, details={"through": "api"}
            )
            token.delete()
        return Response(status=204)


def record_failure(username: str, address: str | None) -> None:
    """One entry about the account that was tried, if there is one of that name."""
    accounts = get_user_model().objects
    tried: AbstractBaseUser | None = accounts.filter(username=username).first()
    activity.record(
        ActivityLog.Action.SIGN_IN_FAILED,
        Actor(ip_address=address, command="not signed in"),
        tried or get_user_model()(username=username),
        outcome=ActivityLog.Outcome.REFUSED,
        details={"through": "api"},
    )
