"""The API's description: complete, without warnings, and true of its own examples."""

from collections.abc import Iterator
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.test import Client
from jsonschema import Draft202012Validator

from chat.errors import API_ERRORS, OUTCOMES
from chat.openapi.tables import OPERATIONS, TAGS
from chat.views_schema import api_schema

# What no client is answered, or what every address answers and no operation lists.
NOT_OF_AN_OPERATION = {
    "server_error",
    "method_not_allowed",
    "conflict",
    "worker_lost",
    "size_differs",
    "hash_differs",
    "missing_rendition",
    "fingerprints_missing",
}
PUBLIC = {"POST /api/auth/token/"}


def operations() -> dict[str, Any]:
    return {
        f"{method.upper()} {path}": operation
        for path, methods in api_schema()["paths"].items()
        for method, operation in methods.items()
    }


def test_it_validates_without_a_warning(capsys: pytest.CaptureFixture[str]) -> None:
    call_command("spectacular", "--validate", "--fail-on-warn")
    assert "openapi: 3.0" in capsys.readouterr().out


def test_a_path_without_a_row_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(OPERATIONS, "POST /api/auth/logout/")
    with pytest.raises(CommandError, match="warnings"):
        call_command("spectacular", "--validate", "--fail-on-warn", "--file", "/dev/null")


def test_every_row_is_of_a_path() -> None:
    assert set(operations()) == set(OPERATIONS)


def test_every_operation_is_described() -> None:
    found = operations()
    names = [operation["operationId"] for operation in found.values()]
    assert len(set(names)) == len(names)
    for key, operation in found.items():
        assert operation["summary"], key
        assert operation["description"], key
        assert operation["tags"][0] in TAGS, key
        assert ({} in operation["security"]) == (key in PUBLIC), key
        assert "429" in operation["responses"], key


def test_every_code_that_a_client_can_meet_is_in_an_answer() -> None:
    described = {
        example["value"]["code"]
        for operation in operations().values()
        for answer in operation["responses"].values()
        for media in answer.get("content", {}).values()
        for example in media.get("examples", {}).values()
        if "code" in example["value"]
    }
    # Of single fields: its example is not in the form with a code.
    described.add("invalid")
    assert described == {*API_ERRORS, *OUTCOMES} - NOT_OF_AN_OPERATION


def test_every_example_is_of_its_schema() -> None:
    checked = 0
    components = {"components": as_json_schema(api_schema()["components"])}
    for key, schema, value in examples():
        validator = Draft202012Validator({**as_json_schema(schema), **components})
        assert [error.message for error in validator.iter_errors(value)] == [], key
        checked += 1
    assert checked > 100


def examples() -> Iterator[tuple[str, dict[str, Any], Any]]:
    """(where, schema, value) of each, of requests and answers."""
    for key, operation in operations().items():
        bodies = [operation.get("requestBody", {}), *operation["responses"].values()]
        for body in bodies:
            for media in body.get("content", {}).values():
                for name, example in media.get("examples", {}).items():
                    yield f"{key} {name}", media["schema"], example["value"]


def as_json_schema(schema: Any) -> Any:
    """OpenAPI 3.0's ``nullable`` in JSON Schema's words."""
    if isinstance(schema, list):
        return [as_json_schema(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    plain = {name: as_json_schema(each) for name, each in schema.items() if name != "nullable"}
    return {"anyOf": [plain, {"type": "null"}]} if schema.get("nullable") is True else plain


def test_it_is_served_to_anyone(client: Client) -> None:
    response = client.get("/api/schema/")
    assert response.headers["Content-Type"] == "application/json"
    assert response.json()["info"]["title"] == "OffChat Nexus"

    asked = client.get("/api/schema/", headers={"accept": "application/vnd.oai.openapi"})
    assert asked.content.startswith(b"openapi: 3.0")


def test_the_page_is_served_to_anyone(client: Client) -> None:
    response = client.get("/api/docs/")
    assert b'data-schema="/api/schema/"' in response.content
    assert "unsafe" not in response.headers["Content-Security-Policy"]
    assert client.post("/api/docs/").status_code == 405


@pytest.mark.parametrize(
    ("component", "field"),
    [
        ("ConversationCreate", "title"),
        ("ConversationEdit", "title"),
        ("MessageCreate", "content"),
        ("MessageForm", "content"),
        ("UploadForm", "content"),
        ("ReportCreate", "note"),
    ],
)
def test_a_text_that_may_be_empty(component: str, field: str) -> None:
    described = Draft202012Validator(
        api_schema()["components"]["schemas"][component]["properties"][field]
    )

    assert described.is_valid("")
    assert described.is_valid("Hello")
    assert not described.is_valid("a" * 20_001)
    assert not described.is_valid("\0")
