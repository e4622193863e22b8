"""What every view of the API shares: the base class, the pages of lists, ids in paths."""

import hashlib
import io
import re
from collections.abc import Iterable
from functools import partial
from typing import IO, Any

from django.conf import settings
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.utils.cache import patch_cache_control, patch_vary_headers
from rest_framework import serializers
from rest_framework.exceptions import NotFound, ParseError, ValidationError
from rest_framework.negotiation import DefaultContentNegotiation
from rest_framework.pagination import Cursor, CursorPagination
from rest_framework.parsers import FormParser, JSONParser
from rest_framework.permissions import SAFE_METHODS
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from chat.http_range import conditional
from chat.services import uploads
from chat.services.activity import Actor
from chat.throttling import Throttle, count_address

PAGE_PARAMETERS = ("cursor", "page_size")
MAX_ID = 2**63 - 1  # of a 64-bit key; a larger number names nothing


class RowId:
    """A path converter for ids: more than 64 bits is an unknown address, not an error."""

    regex = "[0-9]{1,19}"

    def to_python(self, text: str) -> int:
        number = int(text)
        if number > MAX_ID:
            raise ValueError("beyond 64 bits")
        return number

    def to_url(self, number: int) -> str:
        return str(number)


class IdField(serializers.IntegerField):
    def __init__(self, **kwargs: Any) -> None:
        super().__init__(min_value=1, max_value=MAX_ID, **kwargs)


class TextField(serializers.CharField):
    """DRF's, which takes numbers too."""

    def to_internal_value(self, data: Any) -> str:
        if not isinstance(data, str):
            self.fail("invalid")
        text: str = super().to_internal_value(data)
        return text


class SecondsField(serializers.FloatField):
    """DRF's, which takes true and false for numbers too."""

    def to_internal_value(self, data: Any) -> float:
        if isinstance(data, bool):
            self.fail("invalid")
        return super().to_internal_value(data)


class BoundedJSONParser(JSONParser):
    """DRF's, which lets brackets nested by the thousand end as a server error."""

    def parse(
        self, stream: IO[Any], media_type: str | None = None, parser_context: Any = None
    ) -> Any:
        try:
            parsed = super().parse(stream, media_type, parser_context)
        except RecursionError as error:
            raise ParseError("JSON parse error - nested too deep") from error
        if not isinstance(parsed, dict):
            raise ParseError("The body must be a JSON object.")
        return parsed


class ApiRenderer(JSONRenderer):
    """DRF's, which fails over half a surrogate pair that an error repeats."""

    def render(self, *args: Any, **kwargs: Any) -> bytes:
        try:
            rendered: bytes = super().render(*args, **kwargs)
        except UnicodeEncodeError:
            self.ensure_ascii = True  # type: ignore[misc]
            rendered = super().render(*args, **kwargs)
        return rendered


class ApiRequest(Request):
    """DRF's, which takes a body without Content-Length for an empty one."""

    _stream: Any

    def _load_stream(self) -> None:
        super()._load_stream()  # type: ignore[misc]  # the stubs do not have it
        if self._stream is None and uploads.is_chunked(self._request):
            whole = uploads.whole_body(self._request, settings.DATA_UPLOAD_MAX_MEMORY_SIZE)
            self._request._body = whole  # where Django keeps it, and DRF takes it
            self._stream = io.BytesIO(whole) if whole else None


class ApiView(APIView):
    """JSON or form fields in, JSON out; answers belong to one user and are not kept."""

    parser_classes = [BoundedJSONParser, FormParser]
    renderer_classes = [ApiRenderer]
    throttle_classes = [Throttle]
    throttle_scope: str | None = None  # of REQUESTS_PER_MINUTE; by the method when None

    def scope_of(self, request: Request) -> str:
        return self.throttle_scope or ("read" if request.method in SAFE_METHODS else "write")

    def initialize_request(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Request:
        return ApiRequest(
            request,
            parsers=self.get_parsers(),
            authenticators=self.get_authenticators(),
            negotiator=self.get_content_negotiator(),
            parser_context=self.get_parser_context(request),
        )

    def perform_authentication(self, request: Request) -> None:
        count_address(request)
        super().perform_authentication(request)

    @property
    def actor(self) -> Actor:
        return Actor.from_request(self.request)

    def finalize_response(
        self, request: Request, response: Response, *args: Any, **kwargs: Any
    ) -> Response:
        answer = super().finalize_response(request, response, *args, **kwargs)
        patch_vary_headers(answer, ["Authorization", "Cookie"])
        if "Cache-Control" not in answer:
            if isinstance(answer, Response) and is_representation(request, answer):
                patch_cache_control(answer, private=True, no_cache=True)
                answer.add_post_render_callback(partial(tagged, request._request))
            else:
                patch_cache_control(answer, private=True, no_store=True)
        return answer


def is_representation(request: Request, answer: Response) -> bool:
    """Whether a client may keep it to ask later whether it has changed."""
    return request.method in ("GET", "HEAD") and answer.status_code == 200


def tagged(request: HttpRequest, answer: Response) -> HttpResponseBase:
    """The rendered answer with its ETag, or 304 when the client has it already.  Weak: the same
    content, whatever compresses it on the way."""
    if "ETag" not in answer.headers:
        answer.headers["ETag"] = f'W/"{hashlib.sha256(answer.content).hexdigest()[:32]}"'
    return conditional(request, answer.headers["ETag"], None, answer)


class AnyType(DefaultContentNegotiation):
    """For answers that are files: what they are does not depend on Accept, and errors are JSON."""

    def select_renderer(
        self, request: Request, renderers: Iterable[Any], format_suffix: str | None = None
    ) -> tuple[Any, str]:
        (renderer,) = renderers
        return renderer, renderer.media_type


class NewestFirst(CursorPagination):
    """``{"results", "next", "previous"}`` by descending id: stable while rows are added.

    A cursor or size that is not understood is a field error.
    """

    ordering = "-id"
    page_size = 50
    page_size_query_param = "page_size"
    max_page_size = 200

    def get_page_size(self, request: Request) -> int:
        text = request.query_params.get("page_size", str(self.page_size))
        if not re.fullmatch("[0-9]{1,3}", text) or not 1 <= int(text) <= self.max_page_size:
            sentence = f"Give a number from 1 to {self.max_page_size}."
            raise ValidationError({"page_size": [sentence]})
        return int(text)

    def get_schema_operation_parameters(self, view: Any) -> list[dict[str, Any]]:
        cursor, size = super().get_schema_operation_parameters(view)
        limits = {"minimum": 1, "maximum": self.max_page_size, "default": self.page_size}
        return [cursor, {**size, "schema": {**size["schema"], **limits}}]

    def get_paginated_response_schema(self, schema: dict[str, Any]) -> dict[str, Any]:
        page = super().get_paginated_response_schema(schema)
        return {**page, "required": ["next", "previous", "results"]}

    def decode_cursor(self, request: Request) -> Cursor | None:
        try:
            cursor = super().decode_cursor(request)
        except NotFound:
            raise unknown_cursor() from None
        if cursor is None or cursor.position is None:
            return cursor
        position = str(cursor.position)
        # DRF hands the position to the database as it came.
        if not re.fullmatch("[0-9]{1,19}", position) or int(position) > MAX_ID:
            raise unknown_cursor()
        return cursor


def unknown_cursor() -> ValidationError:
    return ValidationError({"cursor": ["Take it from “next” or “previous” of a page."]})
