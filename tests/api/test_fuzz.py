"""schemathesis over the whole schema, a little of it: `make fuzz-api` does the same at length."""

from pathlib import Path

import pytest

from tests.api.fuzz import PEOPLE, fuzz
from tests.api.server import api_server
from tests.machine import need_ffmpeg


@pytest.mark.parametrize("role", PEOPLE)
def test_the_api_is_what_its_schema_says(role: str, tmp_path: Path) -> None:
    """All checks pass: no 500, no status, code, header or body that is not described."""
    need_ffmpeg()
    with api_server(tmp_path / "data") as server:
        done = fuzz(server, PEOPLE[role], examples=1, seed=1, seconds=600, capture_output=True)
    assert done.returncode == 0, done.stdout + done.stderr
