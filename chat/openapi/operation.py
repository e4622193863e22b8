"""The row that describes one method of one path, and the parts that rows share."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, OpenApiResponse
from rest_framework.serializers import Serializer

# Keys are statuses, or (status, media type, …) where the body is not JSON.
Answers = Mapping[Any, OpenApiResponse | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One method of one path.

    ``name`` is the operation id, and so the name of a function in generated clients.  ``errors``
    are codes of ``chat.errors`` beside those that every view of its kind can answer.
    """

    name: str
    summary: str
    description: str
    answers: Answers
    request: Any = None
    errors: tuple[str, ...] = ()
    parameters: tuple[OpenApiParameter | type[Serializer], ...] = ()
    examples: tuple[OpenApiExample, ...] = field(default=())


Table = Mapping[str, Operation]  # by "METHOD /path/"


def answer(body: Any, description: str, example: Any = None) -> OpenApiResponse:
    """A JSON answer of serializer ``body`` with an example."""
    examples = [] if example is None else [OpenApiExample(description, example)]
    return OpenApiResponse(body, description, examples)


def empty(description: str) -> OpenApiResponse:
    return OpenApiResponse(None, description)


def sent(name: str, value: Any, media_type: str = "application/json") -> OpenApiExample:
    """An example of a request's body."""
    return OpenApiExample(name, value, request_only=True, media_type=media_type)


def binary(description: str) -> OpenApiResponse:
    return OpenApiResponse(OpenApiTypes.BINARY, description)


def header(name: str, statuses: list[int], description: str, kind: Any = str) -> OpenApiParameter:
    """A header of the answers with these statuses."""
    return OpenApiParameter(
        name, kind, OpenApiParameter.HEADER, response=statuses, description=description
    )


def request_header(name: str, description: str, **options: Any) -> OpenApiParameter:
    return OpenApiParameter(name, str, OpenApiParameter.HEADER, description=description, **options)


def head_of(get: Operation) -> Operation:
    """What HEAD answers where GET answers ``get``: its status and headers, never a range."""
    described = {
        status: empty(str(found.description))
        for key, found in get.answers.items()
        if (status := key[0] if isinstance(key, tuple) else key) != 206 and found is not None
    }
    return replace(
        get,
        name=f"{get.name}_headers",
        summary=f"{get.summary}: the headers alone",
        description="What GET would answer, without the bytes; `Range` is not looked at.",
        answers=described,
        errors=tuple(code for code in get.errors if code != "range_not_satisfiable"),
        parameters=tuple(p for p in get.parameters if getattr(p, "name", "") != "Range"),
    )


IDEMPOTENCY_KEY = request_header(
    "Idempotency-Key", "Yours for this request: sent again with it, it is not done again."
)
IDEMPOTENCY_ERRORS = ("request_in_progress", "idempotency_mismatch")
ROOM_ERRORS = ("quota_exceeded", "too_many_uploads")
IF_NONE_MATCH = request_header("If-None-Match", "The `ETag` of the copy one has.")
SAME = empty("Nothing has changed since the answer whose `ETag` is in `If-None-Match`.")
# Of answers in JSON.
TAGGED = (IF_NONE_MATCH, header("ETag", [200, 304], "A weak validator of the answer."))
