"""The one way in which errors leave the API: ``{"detail", "code"}``; field errors as in DRF."""

import logging
from collections.abc import Callable
from typing import Any

from django.core.exceptions import (
    ObjectDoesNotExist,
    RequestDataTooBig,
    SuspiciousOperation,
)
from django.http import HttpRequest, JsonResponse, UnreadablePostError
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.views import defaults
from rest_framework.exceptions import APIException, ValidationError
from rest_framework.response import Response
from rest_framework.views import exception_handler as rest_exception_handler
from rest_framework.views import set_rollback

from chat.errors import API_ERRORS, ChatError, VideoError

logger = logging.getLogger(__name__)

API_PREFIX = "/api/"
# Codes whose own words tell more than the table: where the JSON breaks off, which CSRF check.
SPECIFIC = {"parse_error", "permission_denied"}
# The client should come back: how long a passing failure usually lasts, by code; else by status.
RETRY_AFTER_SECONDS = {"request_in_progress": 1, "upload_locked": 1, "too_many_uploads": 30}
RETRY_AFTER_SECONDS_BY_STATUS = {503: 30}


def exception_handler(error: Exception, context: dict[str, Any]) -> Response | None:
    """Answer any expected exception of a view; None (a logged 500) for the others."""
    error = as_chat_error(error)
    if isinstance(error, ChatError):
        set_rollback()
        return chat_error_response(error)
    response = rest_exception_handler(error, context)
    if response is None or not isinstance(error, APIException):
        return in_our_words(response, "not_found") if response else None
    if isinstance(error, ValidationError) and isinstance(error.detail, dict):
        return response
    code = error.get_codes()
    return in_our_words(response, code if isinstance(code, str) else "invalid")


def as_chat_error(error: Exception) -> Exception:
    """Django's own refusals of a request, which DRF does not know, as errors of ours."""
    if isinstance(error, RequestDataTooBig):
        return VideoError("too_large", str(error))
    if isinstance(error, SuspiciousOperation | UnreadablePostError):
        return ChatError("parse_error")
    if isinstance(error, ObjectDoesNotExist):  # deleted since it was looked up, or just changed
        return ChatError("not_found")
    return error


def chat_error_response(error: ChatError) -> Response:
    detail = getattr(error, "detail", "")
    level = logging.WARNING if error.status >= 500 else logging.INFO
    logger.log(level, "answered %s %s (%s)", error.status, error.code, detail)
    body = {"detail": error.message, "code": error.code, **error.facts}
    response = Response(body, status=error.status)
    if error.status == 401:
        response.headers["WWW-Authenticate"] = "Token"
    by_status = RETRY_AFTER_SECONDS_BY_STATUS.get(error.status)
    if seconds := RETRY_AFTER_SECONDS.get(error.code, by_status):
        response.headers["Retry-After"] = str(seconds)
    return response


def in_our_words(response: Response, code: str) -> Response:
    """The response with the table's sentence; Django's own 403 and 404 count by status."""
    if code not in API_ERRORS:
        code = {403: "permission_denied", 404: "not_found"}.get(response.status_code, "invalid")
    sentence = API_ERRORS[code][1]
    if code in SPECIFIC and isinstance(response.data, dict):
        sentence = str(response.data.get("detail", sentence))
    response.data = {"detail": sentence, "code": code}
    return response


def page_of_bad_request(request: HttpRequest, exception: Exception) -> HttpResponseBase:
    """Django's page; a form larger than the server takes has one of its own, and its status."""
    if isinstance(exception, RequestDataTooBig):
        return render(request, "413.html", status=413)
    return defaults.bad_request(request, exception)


def error_page(
    code: str, page: Callable[..., HttpResponseBase]
) -> Callable[..., HttpResponseBase]:
    """A Django error handler that answers JSON below ``/api/`` and ``page`` elsewhere."""

    def answer(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if not request.path.startswith(API_PREFIX):
            return page(request, *args, **kwargs)
        status, sentence = API_ERRORS[code]
        return JsonResponse({"detail": sentence, "code": code}, status=status)

    return answer


bad_request = error_page("parse_error", page_of_bad_request)
permission_denied = error_page("permission_denied", defaults.permission_denied)
page_not_found = error_page("not_found", defaults.page_not_found)
server_error = error_page("server_error", defaults.server_error)
