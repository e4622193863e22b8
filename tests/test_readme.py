"""The README's five minutes with curl, run line by line against a copy of the product."""

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.machine import need_curl, need_ffmpeg
from tests.running import ROOT, RunningCopy, supported

pytestmark = [
    pytest.mark.skipif(not supported(), reason="starts and clears away through /proc"),
    pytest.mark.xdist_group("make"),
]
PASSWORD = "it's five minutes & more"


@pytest.fixture
def copy(tmp_path: Path) -> Iterator[RunningCopy]:
    need_ffmpeg()
    need_curl()
    copy = RunningCopy(tmp_path / "data", ADMIN_PASSWORD=PASSWORD)
    try:
        yield copy.wait_until_serving()
    finally:
        copy.clear_away()


def test_five_minutes_with_curl(copy: RunningCopy, tmp_path: Path) -> None:
    section = (ROOT / "README.md").read_text().partition("## Five minutes with curl")[2]
    commands = re.search(r"```sh\n(.*?)```", section, re.DOTALL)
    assert commands
    lines = commands[1].splitlines()
    assert lines[0].startswith("N=")
    assert lines[1].startswith("PASSWORD=")
    lines[:2] = [f"N={copy.url}", f'PASSWORD="{PASSWORD}"']

    ran = subprocess.run(
        ["sh", "-eu", "-c", "\n".join(lines)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )

    assert ran.returncode == 0, ran.stderr
    assert '"duration":10.0' in ran.stdout
    assert '"video_dimensions":[1280,720]' in ran.stdout
    assert "206 Partial Content" in ran.stdout
    assert "content-range: bytes 0-1023/" in ran.stdout.lower()
    assert '"code":"not_authenticated"' in ran.stdout
    assert (tmp_path / "thumbnail.jpg").read_bytes()[:2] == b"\xff\xd8"
