"""How many requests a minute, and what other origins may do."""

import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.cache import cache
from rest_framework.test import APIClient

from chat import throttling
from chat.models import Attachment, Conversation
from config import settings as configured
from tests.chat.conftest import signed_in
from tests.test_project import ROOT

LIST = "/api/chat/videos/"


@pytest.fixture(autouse=True)
def _throttled(settings: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Few requests, in a minute that does not end."""
    settings.THROTTLE = True
    settings.REQUESTS_PER_MINUTE = {
        **dict.fromkeys(("read", "write", "upload", "transfer", "sign_in"), 2),
        "address": 20,
    }
    monkeypatch.setattr(throttling, "time", lambda: 1_800_000_015.5)
    cache.clear()
    yield
    cache.clear()


def assert_throttled(response: Any) -> None:
    assert response.status_code == 429
    assert response.data["code"] == "throttled"
    assert response.headers["Retry-After"] == "45"  # to the end of the minute


def test_too_many_in_a_minute(
    as_owner: APIClient, as_member: APIClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert [as_owner.get(LIST).status_code for _ in range(2)] == [200, 200]

    assert_throttled(as_owner.get(LIST))

    assert as_member.get(LIST).status_code == 200
    monkeypatch.setattr(throttling, "time", lambda: 1_800_000_060)
    assert as_owner.get(LIST).status_code == 200


def test_all_tokens_of_a_person_count_together(owner: User, as_owner: APIClient) -> None:
    as_owner.get(LIST)
    signed_in(owner).get(LIST)

    assert_throttled(signed_in(owner).get(LIST))


def test_kinds_are_counted_apart(
    as_member: APIClient,
    video: Attachment,
    conversation: Conversation,
    send_video: Callable[..., Any],
) -> None:
    """``video`` was the first upload."""
    messages = f"/api/chat/conversations/{conversation.pk}/messages/"
    download = f"/api/chat/videos/{video.pk}/download/"
    wanted: dict[str, Callable[[], Any]] = {
        "read": lambda: as_member.get(messages),
        "write": lambda: as_member.post(messages, {"content": "a"}),
        "transfer": lambda: as_member.head(download),
    }
    for request in wanted.values():
        assert [request().status_code < 400 for _ in range(2)] == [True, True]
        assert_throttled(request())
    assert send_video(as_member).status_code == 201
    assert_throttled(send_video(as_member))


def test_an_address_counts_whoever_asks(db: None) -> None:
    """Also who sends a wrong token, or none."""
    guesser = APIClient(headers={"authorization": "Token " + "a" * 64})
    for client in (guesser, APIClient()):
        assert [client.get(LIST).status_code for _ in range(10)] == [401] * 10

    assert_throttled(guesser.get(LIST))
    assert APIClient(REMOTE_ADDR="192.0.2.9").get(LIST).status_code == 401


def test_signing_in_is_counted_by_address(owner: User) -> None:
    for name in ("a", "b"):
        data = {"username": name, "password": "x"}
        assert APIClient().post("/api/auth/token/", data).status_code == 401

    assert_throttled(APIClient().post("/api/auth/token/", data))


def test_an_upload_is_refused_before_its_bytes(
    as_member: APIClient, send_video: Callable[..., Any], stored_files: Callable[[], Any]
) -> None:
    cache.set(f"requests:upload:user-{User.objects.get(username='member').pk}:30000000", 2)

    response = send_video(as_member)

    assert_throttled(response)
    assert not response.wsgi_request._read_started
    assert stored_files() == []


def test_the_guide_tells_the_rates() -> None:
    text = (ROOT / "docs" / "VIDEO_ATTACHMENT_GUIDE.md").read_text()
    rows = re.findall(r"^\| (\w+(?: \w+)?) \| ([0-9,]+) \|", text, re.MULTILINE)
    told = {name.replace(" ", "_"): int(rate.replace(",", "")) for name, rate in rows}
    (address,) = re.findall(r"all requests of one address together[^:]*: ([0-9,]+)\.", text)

    expected = dict(configured.REQUESTS_PER_MINUTE)
    assert int(address.replace(",", "")) == expected.pop("address")
    assert told == expected


COUNT = """
import django, sys
django.setup()
from chat.throttling import count
from rest_framework.exceptions import Throttled
taken = 0
for _ in range(50):
    try:
        count("write", "user-1")
        taken += 1
    except Throttled:
        pass
print(taken)
"""


@pytest.mark.parametrize("shared", ["a folder", "redis"])
def test_processes_count_together_and_exactly(
    shared: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """Those of one machine by default; those of several where they share a Redis."""
    environment = {
        "PATH": os.environ["PATH"],
        "DATA_DIR": str(tmp_path),
        "DJANGO_SETTINGS_MODULE": "config.settings",
        "WRITES_PER_MINUTE": "120",
    }
    if shared == "redis":
        environment["CACHE_URL"] = request.getfixturevalue("redis_url")
    if time.time() % 60 > 40:  # none of them may see the next minute begin
        time.sleep(61 - time.time() % 60)
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", COUNT],
            cwd=ROOT,
            env={**environment, "DATA_DIR": str(tmp_path / host)},
            stdout=subprocess.PIPE,
        )
        for host in (("a", "b", "c") if shared == "redis" else ("a", "a", "a"))
    ]

    taken = [int(process.communicate(timeout=60)[0]) for process in processes]

    assert sum(taken) == 120
    assert not list(tmp_path.rglob("db.sqlite3"))  # it is not the database that is written to


class TestOtherOrigins:
    ORIGIN = "https://chat.example.org"

    @pytest.fixture
    def allowed(self, settings: Any) -> None:
        settings.THROTTLE = False
        settings.CORS_ALLOWED_ORIGINS = [self.ORIGIN]
        settings.MIDDLEWARE = ["corsheaders.middleware.CorsMiddleware", *settings.MIDDLEWARE]

    def test_none_by_default(self, as_owner: APIClient) -> None:
        response = as_owner.get(LIST, headers={"origin": self.ORIGIN})

        assert "corsheaders.middleware.CorsMiddleware" not in configured.MIDDLEWARE
        assert not [name for name in response.headers if name.startswith("Access-Control")]

    @pytest.mark.usefixtures("allowed")
    def test_the_listed_ones(self, as_owner: APIClient) -> None:
        response = as_owner.get(LIST, headers={"origin": self.ORIGIN})
        other = as_owner.get(LIST, headers={"origin": "https://evil.example"})

        assert response.headers["Access-Control-Allow-Origin"] == self.ORIGIN
        exposed = response.headers["Access-Control-Expose-Headers"].split(", ")
        assert {"ETag", "Location", "Upload-Offset", "Content-Range", "Retry-After"} <= set(
            exposed
        )
        assert "Access-Control-Allow-Credentials" not in response.headers
        assert "Access-Control-Allow-Origin" not in other.headers
        assert "origin" in other.headers["Vary"]

    @pytest.mark.usefixtures("allowed")
    def test_asking_first_needs_no_token(self, as_nobody: APIClient, db: None) -> None:
        headers = {
            "origin": self.ORIGIN,
            "access-control-request-method": "PATCH",
            "access-control-request-headers": "authorization, upload-offset, tus-resumable",
        }
        response = as_nobody.options(LIST, headers=headers)

        assert response.status_code == 200
        assert "PATCH" in response.headers["Access-Control-Allow-Methods"]
        allowed = response.headers["Access-Control-Allow-Headers"]
        assert {"authorization", "upload-offset", "range"} <= set(allowed.split(", "))

    @pytest.mark.usefixtures("allowed")
    def test_errors_can_be_read_too(self, as_nobody: APIClient, db: None) -> None:
        response = as_nobody.get(LIST, headers={"origin": self.ORIGIN})

        assert response.status_code == 401
        assert response.headers["Access-Control-Allow-Origin"] == self.ORIGIN

    @pytest.mark.usefixtures("allowed")
    def test_pages_outside_the_api_stay_ours(self, as_nobody: APIClient, db: None) -> None:
        response = as_nobody.get("/moderation/sign-in/", headers={"origin": self.ORIGIN})

        assert "Access-Control-Allow-Origin" not in response.headers
