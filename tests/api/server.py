"""The API on a real server with people, a conversation and a video, for those who only know its
address: fuzzers, generated clients, examples, browsers."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests

from tests.clips import clip
from tests.moderation.installation import Installation, installation
from tests.running import ROOT, eventually, free_port

PASSWORD = "for the tests alone"
NAMES = ("anna", "ben", "carl", "dora")
PEOPLE = f"""
from django.contrib.auth.models import User
for name in {NAMES}:
    User.objects.create_user(name, f"{{name}}@example.org", {PASSWORD!r})
"""


@dataclass(frozen=True)
class ApiServer:
    """``anna`` owns a conversation with ``ben`` and a video in it; the others are outsiders."""

    installation: Installation
    url: str
    tokens: dict[str, str]  # by name
    conversation: int
    video: dict[str, Any]


def sign_in(url: str, name: str) -> str:
    fields = {"username": name, "password": PASSWORD}
    answer = requests.post(f"{url}/api/auth/token/", json=fields, timeout=60)
    answer.raise_for_status()
    return str(answer.json()["token"])


@contextmanager
def api_server(folder: Path, **settings: str) -> Iterator[ApiServer]:
    port = free_port()
    with installation(
        folder, PORT=str(port), HOST="127.0.0.1", WEB_WORKERS="1", THROTTLE="0", **settings
    ) as made:
        made.manage("shell", "--no-imports", "-c", PEOPLE)
        made.manage("collectstatic", "--no-input", "--verbosity", "0")
        start_web_server(made, folder / "web.log")
        url = f"http://127.0.0.1:{port}"
        eventually("the web server answers", lambda: answers(url), 90)
        yield seeded(made, url)


def start_web_server(made: Installation, log: Path) -> None:
    with log.open("wb") as output:
        made.started.append(
            subprocess.Popen(
                [sys.executable, "-m", "gunicorn", "-c", "config/gunicorn.py", "config.wsgi"],
                cwd=ROOT,
                env=made.environment,
                stdout=output,
                stderr=subprocess.STDOUT,
                text=True,
                start_new_session=True,
            )
        )


def answers(url: str) -> bool:
    try:
        return requests.get(f"{url}/api/schema/", timeout=30).ok
    except requests.RequestException:
        return False


def seeded(made: Installation, url: str) -> ApiServer:
    tokens = {name: sign_in(url, name) for name in NAMES}
    session = requests.Session()
    session.headers["Authorization"] = f"Token {tokens['anna']}"

    def post(path: str, **body: Any) -> dict[str, Any]:
        answer = session.post(f"{url}/api/chat/{path}", timeout=60, **body)
        answer.raise_for_status()
        found: dict[str, Any] = answer.json()
        return found

    opened = post("conversations/", json={"title": "Holiday", "participants": ["ben"]})
    with clip().open("rb") as file:
        form = {"conversation": opened["id"], "content": "Look at this"}
        video = post("videos/upload/", data=form, files={"file": file})
    return ApiServer(made, url, tokens, opened["id"], video)
