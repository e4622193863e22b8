"""Uploads and downloads through the real server: cut, endless, chunked and ranged bodies."""

import http.client
import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.clips import clip
from tests.running import eventually, free_port

ROOT = Path(__file__).parents[2]
BOUNDARY = "frontier"
LIMIT = 3_000_000
SETUP = """
from django.contrib.auth.models import User
from chat.services import conversations
from chat.services.activity import Actor
from knox.models import AuthToken
user = User.objects.create_user("owner")
conversation = conversations.create(Actor(user=user), "Holiday", [])
print(AuthToken.objects.create(user=user)[1], conversation.pk)
"""


@dataclass
class Server:
    port: int
    token: str
    conversation: int
    data_dir: Path

    def connection(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)

    @property
    def upload_path(self) -> str:
        return f"/api/chat/upload/?conversation={self.conversation}"

    @property
    def headers(self) -> dict[str, str]:
        return {
            "Authorization": f"Token {self.token}",
            "Content-Type": f"multipart/form-data; boundary={BOUNDARY}",
        }

    def begin_upload(self, **headers: str) -> http.client.HTTPConnection:
        connection = self.connection()
        connection.putrequest("POST", self.upload_path)
        for name, value in {**self.headers, **headers}.items():
            connection.putheader(name, value)
        connection.endheaders()
        return connection

    def stored(self) -> list[str]:
        return [
            path.name
            for folder in ("media", "incoming")
            for path in (self.data_dir / folder).rglob("*")
            if path.is_file()
        ]

    def is_receiving(self) -> bool:
        return any(name.startswith("upload-") for name in self.stored())


def multipart(content: bytes) -> bytes:
    head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="a.mp4"\r\n\r\n'
    return head.encode() + content + f"\r\n--{BOUNDARY}--\r\n".encode()


def answer(connection: http.client.HTTPConnection) -> tuple[int, dict[str, object]]:
    response = connection.getresponse()
    return response.status, json.loads(response.read())


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """gunicorn with threads, on a database and media of its own."""
    data_dir = tmp_path_factory.mktemp("server")
    port = free_port()
    env = {
        "PATH": os.environ["PATH"],
        "DATA_DIR": str(data_dir),
        "DJANGO_SETTINGS_MODULE": "config.settings",
        "UPLOAD_MAX_BYTES": str(LIMIT),
    }

    def manage(*arguments: str) -> str:
        command = [sys.executable, "manage.py", *arguments]
        return subprocess.run(
            command, cwd=ROOT, env=env, check=True, capture_output=True, text=True
        ).stdout

    manage("migrate", "--verbosity", "0")
    token, conversation = manage("shell", "--no-imports", "-c", SETUP).split()
    process = subprocess.Popen(
        ["gunicorn", "config.wsgi", f"--bind=127.0.0.1:{port}", "--threads=4"],
        executable=Path(sys.executable).with_name("gunicorn"),
        cwd=ROOT,
        env=env,
    )

    def listening() -> bool:
        with closing(socket.socket()) as probe:
            return probe.connect_ex(("127.0.0.1", port)) == 0

    try:
        eventually("the server listens", listening, 30)
        yield Server(port, token, int(conversation), data_dir)
    finally:
        process.terminate()
        process.wait(timeout=20)


@pytest.fixture(autouse=True)
def _nothing_left(server: Server) -> Iterator[None]:
    """Every test here leaves what it found on the disk."""
    before = server.stored()
    yield
    eventually("all is as before", lambda: sorted(server.stored()) == sorted(before), 15)


@pytest.mark.parametrize("sent", [100, 1_500_000])
def test_an_upload_cut_in_the_middle(server: Server, sent: int) -> None:
    body = multipart(b"a" * 2_500_000)
    connection = server.begin_upload(**{"Content-Length": str(len(body))})
    connection.send(body[:sent])
    if sent > 1_048_576:
        eventually("the file is begun", server.is_receiving, 15)
    connection.close()


def test_an_upload_announced_above_the_limit(server: Server) -> None:
    connection = server.begin_upload(**{"Content-Length": str(LIMIT * 10)})

    status, body = answer(connection)  # before a byte of it was sent

    assert (status, body["code"]) == (413, "too_large")
    connection.close()


def test_a_chunked_upload(server: Server) -> None:
    """Without Content-Length, in chunks as they come."""
    body = multipart(clip().read_bytes())
    connection = server.connection()
    pieces = (body[start : start + 4000] for start in range(0, len(body), 4000))
    connection.request("POST", server.upload_path, pieces, server.headers, encode_chunked=True)

    status, found = answer(connection)

    assert (status, found["processing_state"]) == (201, "ready")
    assert found["size"] == clip().stat().st_size
    connection.request("DELETE", f"/api/chat/attachments/{found['id']}/", headers=server.headers)
    assert connection.getresponse().status == 204
    connection.close()


def test_an_endless_chunked_upload(server: Server) -> None:
    connection = server.begin_upload(**{"Transfer-Encoding": "chunked"})
    piece = b"a" * 100_000
    head = multipart(b"").partition(b"\r\n\r\n")[0] + b"\r\n\r\n"
    connection.send(b"%x\r\n%s\r\n" % (len(head), head))
    for _ in range(LIMIT // len(piece) + 12):  # past the limit, and no end
        connection.send(b"%x\r\n%s\r\n" % (len(piece), piece))

    status, body = answer(connection)

    assert (status, body["code"]) == (413, "too_large")
    connection.close()


def test_a_chunked_upload_cut_in_the_middle(server: Server) -> None:
    connection = server.begin_upload(**{"Transfer-Encoding": "chunked"})
    head = multipart(b"").partition(b"\r\n\r\n")[0] + b"\r\n\r\n"
    connection.send(b"%x\r\n%s\r\n" % (len(head), head))
    connection.send(b"%x\r\n%s" % (2_000_000, b"a" * 1_500_000))
    eventually("the file is begun", server.is_receiving, 15)
    connection.close()


def test_a_refused_upload_leaves_the_connection_usable(server: Server) -> None:
    connection = server.connection()
    body = multipart(clip().read_bytes())
    headers = {**server.headers, "Authorization": "Token " + "0" * 64}
    connection.request("POST", server.upload_path, body, headers)
    assert answer(connection)[0] == 401

    connection.request("GET", "/api/chat/videos/", headers=server.headers)

    assert answer(connection)[0] == 200
    connection.close()


def test_ranges_over_the_wire(server: Server) -> None:
    content = clip().read_bytes()
    connection = server.connection()
    connection.request("POST", server.upload_path, multipart(content), server.headers)
    status, found = answer(connection)
    assert status == 201
    path = f"/api/chat/videos/{found['id']}/download/"
    cases = {
        "": (200, content),
        "bytes=0-0": (206, content[:1]),
        "bytes=-1": (206, content[-1:]),
        "bytes=100-199": (206, content[100:200]),
    }
    for header, expected in cases.items():
        extra = {"Range": header} if header else {}
        connection.request("GET", path, headers={**server.headers, **extra})
        response = connection.getresponse()
        assert (response.status, response.read()) == expected
    connection.request("HEAD", path, headers=server.headers)
    response = connection.getresponse()
    assert (response.status, response.read()) == (200, b"")
    assert response.headers["Content-Length"] == str(len(content))
    connection.request("GET", str(found["stream_url"]), headers={"Range": "bytes=5-6"})
    assert connection.getresponse().read() == content[5:7]
    connection.request("DELETE", f"/api/chat/attachments/{found['id']}/", headers=server.headers)
    assert connection.getresponse().status == 204
    connection.close()
