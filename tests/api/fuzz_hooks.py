"""What schemathesis is told beside the schema."""

from typing import Any

import schemathesis
from schemathesis.core import NotSet

# The part of a file that a PATCH of tus carries.
schemathesis.serializer.alias("application/offset+octet-stream", "application/octet-stream")


@schemathesis.hook
def before_call(
    _context: schemathesis.HookContext, case: schemathesis.Case, _kwargs: dict[str, Any]
) -> None:
    """Where a sequence has put a value into a body, schemathesis asks anew whether the schema
    allows it, and takes one with a file in it, or none where none is needed, for wrong (its issue
    2983).  What it can judge is left to it: it was right about our schema."""
    can_judge = case.media_type == "application/json" and not isinstance(case.body, NotSet)
    if not case.meta or not case.operation.body or can_judge:
        return
    if case.meta.phase.data.description == "Positive test case":
        case.meta.generation.mode = schemathesis.GenerationMode.POSITIVE


@schemathesis.check
def documented_code(
    _context: schemathesis.CheckContext, response: schemathesis.Response, case: schemathesis.Case
) -> None:
    """An error's code is one of those that the schema lists for this status of this operation."""
    if response.status_code < 400 or not response.content:
        return
    code = response.json().get("code", "invalid")
    answers: dict[str, Any] = case.operation.definition.raw["responses"]
    described = answers.get(str(response.status_code), {}).get("content", {})
    codes = {
        example["value"].get("code", "invalid")
        for example in described.get("application/json", {}).get("examples", {}).values()
    }
    if str(response.status_code) in answers and isinstance(code, str):
        assert code in codes, f"{response.status_code} {code} is not among {sorted(codes)}"
