"""The examples of docs/examples, run as they are against a real server."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.api.server import PASSWORD, ApiServer
from tests.clips import clip
from tests.machine import need_curl
from tests.running import ROOT

EXAMPLES = ROOT / "docs" / "examples"
COMMANDS = {
    "upload_and_download.sh": ["sh", "-u"],
    "upload_and_download.py": [sys.executable, "-W", "error"],
}


def run(
    name: str, server: ApiServer, folder: Path, file: Path, user: str = "anna"
) -> subprocess.CompletedProcess[str]:
    need_curl()
    return subprocess.run(
        [*COMMANDS[name], EXAMPLES / name, server.url, str(server.conversation), file],
        cwd=folder,
        env={"PATH": "/usr/bin:/bin", "USERNAME": user, "PASSWORD": PASSWORD},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.mark.parametrize("name", COMMANDS)
def test_the_video_comes_back(name: str, server: ApiServer, tmp_path: Path) -> None:
    ran = run(name, server, tmp_path, clip())

    assert ran.returncode == 0, ran.stderr
    assert "00:01" in ran.stdout
    (video,) = tmp_path.glob("video-*.mp4")
    assert video.read_bytes() == clip().read_bytes()


@pytest.mark.parametrize("name", COMMANDS)
def test_a_refusal_is_said(name: str, server: ApiServer, tmp_path: Path) -> None:
    text = tmp_path / "notes.mp4"
    text.write_text("This is no video.")

    ran = run(name, server, tmp_path, text)

    assert ran.returncode != 0
    assert "not_a_video" in ran.stdout + ran.stderr
    assert not list(tmp_path.glob("video-*"))
