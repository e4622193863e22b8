"""What schemathesis is told beside the schema."""

from typing import Any

import schemathesis

# The part of a file that a PATCH of tus carries.
schemathesis.serializer.alias("application/offset+octet-stream", "application/octet-stream")


@schemathesis.hook
def before_call(
    _context: schemathesis.HookContext, case: schemathesis.Case, _kwargs: dict[str, Any]
) -> None:
    """In a sequence, a request that nothing was made wrong with is now and then still counted as
    an invalid one, which ought to be refused (schemathesis issues 2983, 4332)."""
    if case.meta and case.meta.phase.data.description == "Positive test case":
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
