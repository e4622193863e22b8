"""The commands of the guide and of the quick reference, run as they are printed."""

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.api.server import PASSWORD, ApiServer
from tests.clips import clip
from tests.machine import need_curl
from tests.running import ROOT

GUIDES = ("docs/VIDEO_ATTACHMENT_GUIDE.md", "VIDEO_QUICK_REFERENCE.md")
BLOCK = re.compile(r"```sh\n(?P<commands>.*?)```(?:\n```json\n(?P<answer>.*?)```)?", re.DOTALL)


def printed(text: str) -> Iterator[tuple[list[str], str]]:
    """The commands of each block, and the JSON behind it."""
    for block in BLOCK.finditer(text):
        lines = block["commands"].replace("\\\n", " ").splitlines()
        yield [line for line in lines if line.startswith("curl ")], block["answer"] or ""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The files that the commands name."""
    # Of 25 seconds and more than two megabytes: a moment and the second of these are asked for.
    video = clip("long.mp4", source="testsrc=size=64x48:rate=1:duration=25", audio=False)
    padding = (3_000_000).to_bytes(4, "big") + b"free" + bytes(2_999_992)
    (tmp_path / "beach.mp4").write_bytes(video.read_bytes() + padding)
    (tmp_path / "map.pdf").write_bytes(b"%PDF-1.7\n")
    return tmp_path


def uploaded(server: ApiServer, file: Path) -> int:
    answer = requests.post(
        f"{server.url}/api/chat/upload/?conversation={server.conversation}",
        headers={"Authorization": f"Token {server.tokens['anna']}"},
        files={"file": file.read_bytes()},
        timeout=60,
    )
    assert answer.status_code == 201, answer.text
    return int(answer.json()["id"])


def run(command: str, server: ApiServer, folder: Path) -> str:
    """What it prints; an answer that is an error ends it."""
    prelude = (
        'curl() { command curl --fail-with-body -sS "$@"; }\nAUTH="Authorization: Token $TOKEN"'
    )
    done = subprocess.run(
        ["sh", "-euc", f"{prelude}\n{command}"],
        cwd=folder,
        env={"PATH": "/usr/bin:/bin", "N": server.url, "TOKEN": server.tokens["anna"]},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.mark.parametrize("guide", GUIDES)
def test_every_command_does_what_the_guide_says(
    guide: str, server: ApiServer, folder: Path
) -> None:
    need_curl()
    video, other = (uploaded(server, folder / name) for name in ("beach.mp4", "map.pdf"))
    size = (folder / "beach.mp4").stat().st_size
    names = {r"\b7\b": server.conversation, r"\b12\b": video, r"\b13\b": other}
    blocks = list(printed((ROOT / guide).read_text()))
    assert len(blocks) >= (10 if guide.startswith("docs/") else 1)
    compared = 0
    for commands, answer in blocks:
        told = ""
        for command in commands:
            for name, number in names.items():
                command = re.sub(rf"(?<=[/=\[ ]){name}(?=[/&,\]\s\"'])", str(number), command)
            if "-C -" in command:  # as after a download that broke off
                with (folder / "beach.mp4").open("rb+") as file:
                    file.truncate(1000)
            command = command.replace("password=…", f"'password={PASSWORD}'")
            told = run(command.replace("…", PASSWORD), server, folder)
        if answer and (keys := keys_of(answer)):
            assert keys_of(told) == keys, commands
            compared += 1
    assert (folder / "beach.mp4").stat().st_size == size
    assert (folder / "beach.jpg").read_bytes().startswith(b"\xff\xd8")
    if guide.startswith("docs/"):
        assert (folder / "second-megabyte").stat().st_size == 1024 * 1024
        assert compared >= 3


def keys_of(text: str) -> Any:
    """The names in a JSON object; None where it is none, as where the guide leaves things out."""
    try:
        found = json.loads(text.replace("[ … ]", "[]"))
    except ValueError:
        return None
    return list(found) if isinstance(found, dict) else None
