"""Error answers: one shape, the codes of ``chat.errors``, and DRF's form for single fields."""

from itertools import groupby
from typing import Any

from drf_spectacular.utils import OpenApiExample, OpenApiResponse

from chat.errors import API_ERRORS, OUTCOMES

# Code → (status, sentence), of requests and files alike.
ERRORS: dict[str, tuple[int, str]] = {
    **API_ERRORS,
    **{code: (outcome.status, outcome.user) for code, outcome in OUTCOMES.items()},
}

# What happens to a file later, in jobs: never an answer to who sends it.
OF_JOBS = {"worker_lost", "fingerprints_missing"}
SENTENCES = {"type": "array", "items": {"type": "string"}}
COMPONENTS: dict[str, dict[str, Any]] = {
    "ErrorCode": {
        "type": "string",
        "enum": sorted(ERRORS),
        "description": "For your program; the guide lists what each means.",
    },
    "Error": {
        "type": "object",
        "required": ["detail", "code"],
        "properties": {
            "detail": {"type": "string", "description": "A sentence for a person."},
            "code": {"$ref": "#/components/schemas/ErrorCode"},
            "reason": {
                "type": "string",
                "description": "With 451, for who uploaded it: why the moderators decided so.",
            },
            "note": {"type": "string", "description": "With `reason`: the moderator's words."},
        },
    },
    "FieldErrors": {
        "type": "object",
        "description": "Sentences by field; for a field that holds a list, by position in it.",
        "minProperties": 1,
        "additionalProperties": {
            "oneOf": [SENTENCES, {"type": "object", "additionalProperties": SENTENCES}]
        },
    },
}
ONE_ERROR = {"$ref": "#/components/schemas/Error"}
ERROR_OR_FIELDS = {"oneOf": [ONE_ERROR, {"$ref": "#/components/schemas/FieldErrors"}]}


def error_answers(codes: set[str], with_body: bool) -> dict[Any, OpenApiResponse]:
    """The answers with these codes, by status, each code with its sentence and an example.

    ``invalid`` stands for errors of single fields.  Without a body for HEAD.
    """
    by_status = sorted(codes, key=lambda code: (ERRORS[code][0], code))
    return {
        status: error_answer(list(found), with_body)
        for status, found in groupby(by_status, key=lambda code: ERRORS[code][0])
    }


def error_answer(codes: list[str], with_body: bool) -> OpenApiResponse:
    description = "\n".join(f"* `{code}`: {ERRORS[code][1]}" for code in codes)
    if not with_body:
        return OpenApiResponse(None, description)
    return OpenApiResponse(
        ERROR_OR_FIELDS if "invalid" in codes else ONE_ERROR,
        description,
        [error_example(code) for code in codes],
    )


def error_example(code: str) -> OpenApiExample:
    status, sentence = ERRORS[code]
    value: dict[str, Any] = {"detail": sentence, "code": code}
    if code == "invalid":
        value = {"conversation": ["This field is required."]}
    return OpenApiExample(code, value, status_codes=[str(status)], response_only=True)


def codes_with_status(*statuses: int) -> tuple[str, ...]:
    """Those of a file's outcomes that who sends it can be answered with one of these statuses."""
    answered = {code: outcome for code, outcome in OUTCOMES.items() if code not in OF_JOBS}
    return tuple(code for code, outcome in answered.items() if outcome.status in statuses)
