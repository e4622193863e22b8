"""gunicorn on an installation of its own, with people who upload to it over the wire."""

import base64
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

from tests.moderation.installation import Installation
from tests.processes import children
from tests.running import ROOT, eventually, free_port

MIB = 1024 * 1024
QUOTA = 400 * MIB  # of one person, and of one file
PENDING = 350 * MIB
STALL_SECONDS = 4
BOUNDARY = "frontier"
PART = "application/offset+octet-stream"
SIGN_UP = """
from django.contrib.auth.models import User
from chat.models import Attachment
from chat.services import conversations
from chat.services.activity import Actor
from knox.models import AuthToken
for number, stored in enumerate(STORED):
    user = User.objects.create_user(f"{NAME}-{number}")
    conversation = conversations.create(Actor(user=user), "Holiday", [])
    if stored:
        Attachment.objects.create(conversation=conversation, uploaded_by=user, size=stored)
    print(AuthToken.objects.create(user=user)[1], conversation.pk)
"""


class Server:
    """Can be stopped and started again: it is at the same address then."""

    def __init__(self, site: Installation, prefix: tuple[str, ...] = (), **settings: str) -> None:
        self.site = site
        self.prefix = prefix
        self.environment = {**site.environment, **settings}
        self.port = free_port()
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        gunicorn = str(Path(sys.executable).with_name("gunicorn"))
        options = [f"--bind=127.0.0.1:{self.port}", "--workers=2", "--threads=12"]
        options.append("--no-control-socket")
        self.process = subprocess.Popen(
            [*self.prefix, sys.executable, gunicorn, "config.wsgi", *options],
            cwd=ROOT,
            env=self.environment,
            start_new_session=True,
        )
        eventually("the server listens", self.listens, 60)

    def listens(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, "the server ended"
        return self.is_connected()

    def is_connected(self) -> bool:
        with closing(socket.socket()) as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def stop(self, how: int = signal.SIGKILL) -> None:
        if self.process is not None:
            os.killpg(self.process.pid, how)
            self.process.wait(20)
            self.process = None
            eventually("its workers are gone too", lambda: not self.is_connected(), 20)

    def restart(self) -> None:
        self.stop()
        self.start()

    def workers(self) -> list[int]:
        assert self.process is not None
        return children(self.process.pid)

    def kill_workers(self) -> None:
        """As the kernel does when memory runs out; others take their place."""
        for pid in self.workers():
            os.kill(pid, signal.SIGKILL)

    def people(self, *stored: int) -> "list[Person]":
        """New ones, each in a conversation of their own, who have stored so many bytes."""
        given = f"NAME, STORED = {f'person-{uuid4().hex[:8]}'!r}, {stored!r}\n"
        lines = self.site.python(given + SIGN_UP).splitlines()
        found = (line.split() for line in lines)
        return [Person(self, token, int(conversation)) for token, conversation in found]


@contextmanager
def serving(server: Server) -> Iterator[Server]:
    try:
        server.start()
        yield server
    finally:
        server.stop()


class Person:
    def __init__(self, server: Server, token: str, conversation: int) -> None:
        self.server = server
        self.token = token
        self.conversation = conversation

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Token {self.token}"}

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.server.port}/api/chat/uploads/"

    def connect(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=60)

    def ask(
        self, method: str, path: str, body: Any = None, **headers: str
    ) -> tuple[int, Any, http.client.HTTPMessage]:
        """Status, JSON and headers of the answer; ``_`` in names of headers stands for ``-``."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        with closing(self.connect()) as connection:
            connection.request(method, path, body, {**self.headers, **named})
            response = connection.getresponse()
            content = response.read()
        return response.status, json.loads(content) if content else None, response.headers

    def send_form(self, content: bytes, path: str = "", field: str = "file") -> tuple[int, Any]:
        path = path or f"/api/chat/upload/?conversation={self.conversation}"
        status, answer, _headers = self.ask(
            "POST", path, multipart(content, field), Content_Type=FORM
        )
        return status, answer

    @property
    def messages(self) -> str:
        return f"/api/chat/conversations/{self.conversation}/messages/"

    def create(self, size: int, **metadata: str) -> tuple[int, str]:
        """Status and the path of a resumable upload."""
        status, _answer, headers = self.ask(
            "POST",
            f"/api/chat/uploads/?conversation={self.conversation}",
            Tus_Resumable="1.0.0",
            Upload_Length=str(size),
            Upload_Metadata=encoded(metadata),
        )
        return status, headers.get("Location", "").partition(f":{self.server.port}")[2]

    def patch(
        self, path: str, offset: int, body: bytes | Iterable[bytes], **headers: str
    ) -> tuple[int, Any, http.client.HTTPMessage]:
        headers = {"Tus_Resumable": "1.0.0", "Upload_Offset": str(offset), **headers}
        return self.ask("PATCH", path, body, Content_Type=PART, **headers)

    def begin_patch(self, path: str, offset: int, length: int) -> http.client.HTTPConnection:
        """A connection on which ``length`` bytes are to be sent."""
        connection = self.connect()
        connection.putrequest("PATCH", path)
        headers = {"Tus-Resumable": "1.0.0", "Upload-Offset": str(offset), "Content-Type": PART}
        for name, value in {**self.headers, **headers, "Content-Length": str(length)}.items():
            connection.putheader(name, value)
        connection.endheaders()
        return connection

    def offset(self, path: str) -> int:
        status, _answer, headers = self.ask("HEAD", path, Tus_Resumable="1.0.0")
        assert status == 200, status
        return int(headers["Upload-Offset"])

    def attachment(self, attachment_id: str | int) -> Any:
        status, answer, _headers = self.ask("GET", f"/api/chat/attachments/{attachment_id}/")
        assert status == 200, answer
        return answer


FORM = f"multipart/form-data; boundary={BOUNDARY}"


def multipart(content: bytes, field: str = "file") -> bytes:
    head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{field}"; filename="a"\r\n\r\n'
    return head.encode() + content + f"\r\n--{BOUNDARY}--\r\n".encode()


def encoded(metadata: dict[str, str]) -> str:
    return ",".join(
        f"{key} {base64.b64encode(value.encode()).decode()}" for key, value in metadata.items()
    )
