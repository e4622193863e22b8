"""The site behind a real nginx, with the shipped configuration."""

import json
import os
import re
import shutil
import ssl
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPResponse, HTTPSConnection
from pathlib import Path
from typing import Any

from tests.clips import clip
from tests.machine import lacking
from tests.running import ROOT, eventually, free_port
from tests.services import end_with_tests, stop

CONFIGURATION = ROOT / "docs" / "deploy" / "nginx-site.conf"
SETUP = """
from importlib import import_module
from django.conf import settings
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
from django.contrib.auth.models import User
from chat.services import conversations
from chat.services.activity import Actor
from knox.models import AuthToken
owner, outsider = (User.objects.create_user(name) for name in ("owner", "outsider"))
conversation = conversations.create(Actor(user=owner), "Holiday", [])
session = import_module(settings.SESSION_ENGINE).SessionStore()
session[SESSION_KEY] = str(owner.pk)
session[BACKEND_SESSION_KEY] = "django.contrib.auth.backends.ModelBackend"
session[HASH_SESSION_KEY] = owner.get_session_auth_hash()
session.save()
print(*(AuthToken.objects.create(user=u)[1] for u in (owner, outsider)), session.session_key)
print(conversation.pk)
"""


@dataclass
class Site:
    port: int  # of nginx
    behind: int  # of gunicorn
    folder: Path
    environment: dict[str, str]
    token: str = ""
    outsider: str = ""
    session: str = ""
    conversation: str = ""
    source: tuple[str, int] | None = None  # the client's address

    def manage(self, *arguments: str) -> str:
        command = [sys.executable, "manage.py", *arguments]
        return subprocess.run(
            command, cwd=ROOT, env=self.environment, check=True, capture_output=True, text=True
        ).stdout

    def database(self, code: str) -> str:
        names = "from chat.models import ActivityLog, Attachment\n"
        return self.manage("shell", "--no-imports", "-c", names + code)

    def ask(
        self, method: str, path: str, body: Any = None, token: str | None = None, **headers: str
    ) -> tuple[HTTPResponse, bytes]:
        context = ssl._create_unverified_context()
        connection = HTTPSConnection(
            "127.0.0.1", self.port, timeout=30, context=context, source_address=self.source
        )
        token = self.token if token is None else token
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        if token:
            named["Authorization"] = f"Token {token}"
        connection.request(method, path, body, named)
        response = connection.getresponse()
        content = response.read()
        connection.close()
        return response, content

    def straight(self, path: str) -> HTTPResponse:
        """The same from gunicorn, as nginx asks it."""
        connection = HTTPConnection("127.0.0.1", self.behind, timeout=30)
        headers = {"Authorization": f"Token {self.token}", "X-Forwarded-Proto": "https"}
        connection.request("GET", path, headers=headers)
        response = connection.getresponse()
        response.read()
        connection.close()
        return response

    def upload(self) -> dict[str, Any]:
        head = '--x\r\nContent-Disposition: form-data; name="file"; filename="bëach.mp4"\r\n\r\n'
        body = head.encode() + clip().read_bytes() + b"\r\n--x--\r\n"
        path = f"/api/chat/videos/upload/?conversation={self.conversation}"
        response, content = self.ask(
            "POST", path, body, Content_Type="multipart/form-data; boundary=x"
        )
        assert response.status == 201, content
        return dict(json.loads(content))

    def logs(self) -> str:
        return "".join(
            path.read_text(errors="replace") for path in sorted(self.folder.glob("*.log"))
        )


def nginx_program() -> str:
    program = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin")
    if program is None or shutil.which("openssl") is None:
        lacking("nginx with openssl")
    return program


def configured(site: Site) -> str:
    """The shipped file, with the ports, paths and certificate of the test."""
    text = CONFIGURATION.read_text()
    for shipped, ours in {
        "listen 443 ssl": f"listen 127.0.0.1:{site.port} ssl",
        "server 127.0.0.1:8000": f"server 127.0.0.1:{site.behind}",
        "server_name nexus.example.org": "server_name localhost",
        "/etc/ssl/offchat/": f"{site.folder}/",
        "/var/log/nginx/": f"{site.folder}/",
        "/srv/offchat/data/": f"{site.folder}/data/",
    }.items():
        assert shipped in text
        text = text.replace(shipped, ours)
    assert not re.search(r"\s/(etc|var|srv)/", re.sub("#.*", "", text))
    places = "".join(
        f"{kind}_temp_path {site.folder}/{kind};\n"
        for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    account = "user root;\n" if os.geteuid() == 0 else ""
    return (
        f"{account}daemon off;\nworker_processes 1;\npid {site.folder}/pid;\n"
        f"events {{ worker_connections 64; }}\nhttp {{\n{places}{text}}}\n"
    )


@contextmanager
def behind_nginx(folder: Path) -> Iterator[Site]:
    """nginx and gunicorn with data of their own, until the block ends."""
    nginx = nginx_program()
    behind = free_port()
    environment = {
        "PATH": os.environ["PATH"],
        "DATA_DIR": str(folder / "data"),
        "DJANGO_SETTINGS_MODULE": "config.settings",
        "PORT": str(behind),
        "WEB_WORKERS": "1",
        "ACCESS_LOG": "1",
        "LOG_LEVEL": "debug",
        "HTTPS": "1",
        "BEHIND_PROXY": "1",
        "ACCEL_REDIRECT_PREFIX": "/protected/",
    }
    site = Site(free_port(), behind, folder, environment)
    site.manage("migrate", "--verbosity", "0")
    found = site.manage("shell", "--no-imports", "-c", SETUP).split()
    site.token, site.outsider, site.session, site.conversation = found
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"),
            *("-nodes", "-subj", "/CN=localhost", "-days", "2"),
            *("-keyout", str(folder / "key.pem"), "-out", str(folder / "certificate.pem")),
        ],
        check=True,
        capture_output=True,
    )
    (folder / "nginx.conf").write_text(configured(site))
    gunicorn = [sys.executable, "-m", "gunicorn", "--config", "config/gunicorn.py"]
    in_folder = ["-c", f"{folder}/nginx.conf", "-p", str(folder), "-e", f"{folder}/nginx.log"]
    programs = {"gunicorn": [*gunicorn, "config.wsgi"], "nginx": [nginx, *in_folder]}
    running = []
    try:
        for name, command in programs.items():
            with (folder / f"{name}.out.log").open("wb") as log:
                running.append(
                    subprocess.Popen(
                        command,
                        cwd=ROOT,
                        env=environment,
                        stdin=subprocess.DEVNULL,
                        stdout=log,
                        stderr=log,
                        preexec_fn=end_with_tests,
                    )
                )
        eventually("the site answers", lambda: answers(site), 40)
        yield site
    finally:
        for process in running:
            stop(process)


def answers(site: Site) -> bool:
    try:
        return site.ask("GET", "/health/")[0].status == 200
    except OSError:
        return False
