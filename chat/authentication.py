"""Who is asking: a token in the header, a browser session, or a signed address."""

import copy
import time
from typing import Any

from django.contrib.auth import get_user_model
from django.contrib.auth.models import AbstractBaseUser
from django.core import signing
from django.http import QueryDict
from django.utils import timezone
from django.utils.crypto import constant_time_compare
from django.utils.datastructures import MultiValueDict
from knox.auth import TokenAuthentication as KnoxTokenAuthentication
from rest_framework.authentication import BaseAuthentication, SessionAuthentication
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.request import Request

# A signed address is valid for an hour after the quarter of an hour in which it was made.  All
# addresses made within one are the same, so that a page that polls does not restart its player.
SIGNED_SECONDS = 3600
STEADY_SECONDS = 900
SALT = "chat.signed-address"


class TokenAuthentication(KnoxTokenAuthentication):
    def authenticate_credentials(self, token: bytes) -> Any:
        # Tokens are ASCII; knox decodes anything else as UTF-8 and fails on what is not.
        if not token.isalnum():
            raise AuthenticationFailed
        return super().authenticate_credentials(token)

    def _cleanup_token(self, auth_token: Any) -> bool:
        """Whether it has expired.  Knox would look for others that have, and delete them, at each
        request; here the housekeeping does."""
        return auth_token.expiry is not None and auth_token.expiry < timezone.now()


class HeaderCsrfSessionAuthentication(SessionAuthentication):
    """Session login that proves its CSRF token by the ``X-CSRFToken`` header alone.

    Django's check would look for a form field first, and for that receive the whole body.
    """

    def enforce_csrf(self, request: Request) -> None:
        bodiless = copy.copy(request._request)
        bodiless._post, bodiless._files = QueryDict(), MultiValueDict()  # type: ignore[attr-defined]
        super().enforce_csrf(bodiless)  # type: ignore[arg-type]


class SteadySigner(signing.TimestampSigner):
    def timestamp(self) -> str:
        return signing.b62_encode(int(time.time()) // STEADY_SECONDS * STEADY_SECONDS)


def address_token(user: AbstractBaseUser, attachment_id: int) -> str:
    """Lets ``user``, and no one else's rights, see the bytes of one attachment for a while; no
    longer when the password changes."""
    return SteadySigner(salt=SALT).sign(f"{user.pk}.{attachment_id}.{password_mark(user)}")


def password_mark(user: AbstractBaseUser) -> str:
    """Tells one password of the user from the next, and nothing else about it."""
    return user.get_session_auth_hash()[:16]


class SignedAddressAuthentication(BaseAuthentication):
    """``?token=`` of an attachment's ``stream_url``.

    It stands for the user only: what the user may see is looked up as for any other request.
    """

    def authenticate(self, request: Request) -> tuple[AbstractBaseUser, None] | None:
        token = request.query_params.get("token")
        if token is None:
            return None
        try:
            signed = SteadySigner(salt=SALT).unsign(token, max_age=SIGNED_SECONDS)
            user_id, attachment_id, mark = signed.split(".")
        except (signing.BadSignature, ValueError) as error:
            raise AuthenticationFailed from error
        if attachment_id != str(request.parser_context["kwargs"]["attachment_id"]):
            raise AuthenticationFailed
        user = get_user_model().objects.filter(pk=user_id, is_active=True).first()
        if user is None or not constant_time_compare(mark, password_mark(user)):
            raise AuthenticationFailed
        return user, None

    def authenticate_header(self, request: Request) -> str:
        return "Token"
