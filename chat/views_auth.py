"""Signing in and out of the API."""

from django.conf import settings
from django.contrib.auth import authenticate, user_logged_in
from django.contrib.auth.models import AbstractBaseUser, User
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
from chat.services import activity, second_factor
from chat.services.activity import Actor
from chat.services.client_address import client_address
from chat.sign_in import record_failure

Action = ActivityLog.Action


class TokenView(ApiView):
    """Exchange name and password for a token; it is stored hashed and expires."""

    authentication_classes = []
    permission_classes = [AllowAny]
    throttle_scope = "sign_in"

    def post(self, request: Request) -> Response:
        form = SignInSerializer(data=request.data)
        form.is_valid(raise_exception=True)
        code = form.validated_data.pop("code", "")
        user = authenticate(request._request, **form.validated_data)
        if user is None:
            record_failure(request._request, form.validated_data["username"], "api")
            raise ChatError("authentication_failed")
        details = {"through": "api", **proved(user, code, request)}
        with transaction.atomic():
            end_oldest_tokens(user, keep=settings.TOKENS_PER_USER - 1)
            record, token = get_token_model().objects.create(user=user)
            user_logged_in.send(type(user), request=request._request, user=user)
            actor = Actor(user=user, ip_address=client_address(request._request))
            activity.record(Action.SIGNED_IN, actor, user, details=details)
        return Response({"token": token, "expiry": record.expiry})


class LogoutView(ApiView):
    """Delete the token that the request was made with."""

    authentication_classes = [TokenAuthentication]

    def post(self, request: Request) -> Response:
        token, actor = request.auth, self.actor
        with transaction.atomic():
            activity.record(Action.SIGNED_OUT, actor, token.user, details={"through": "api"})
            token.delete()
        return Response(status=204)


class LogoutAllView(ApiView):
    """Delete all tokens of the account, on whatever device they are."""

    authentication_classes = [TokenAuthentication]

    def post(self, request: Request) -> Response:
        user, actor = request.auth.user, self.actor
        with transaction.atomic():
            tokens, _ = user.auth_token_set.all().delete()
            details = {"through": "api", "tokens": tokens}
            activity.record(Action.SIGNED_OUT, actor, user, details=details)
        return Response(status=204)


def proved(user: User, code: str, request: Request) -> dict[str, str]:
    """What the log is told of the second factor: nothing where the account has none.

    Raises ChatError ``second_factor_required``; a wrong code is an entry, none at all is not.
    """
    if second_factor.device_of(user) is None:
        return {}
    try:
        if code:
            return {"second_factor": second_factor.check(user, code).kind}
    except second_factor.WrongCodeError:
        actor = Actor(user=user, ip_address=client_address(request._request))
        refused = ActivityLog.Outcome.REFUSED
        details = {"through": "api"}
        activity.record(Action.SECOND_FACTOR_FAILED, actor, user, outcome=refused, details=details)
    raise ChatError("second_factor_required")


def end_oldest_tokens(user: AbstractBaseUser, keep: int) -> None:
    """Whoever signs in once more is let in: what gives way is the token that is oldest."""
    tokens = get_token_model().objects.filter(user=user)
    newest = tokens.order_by("-created", "-digest").values_list("digest", flat=True)[:keep]
    tokens.exclude(digest__in=list(newest)).delete()
