"""Behind a real nginx, with the shipped configuration: who sends what, and what is logged."""

import http.client
import json
import os
import re
import shutil
import socket
import ssl
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from http.client import HTTPConnection, HTTPResponse, HTTPSConnection
from pathlib import Path
from typing import Any

import pytest

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
# Set by Django, dropped by nginx with the rest of an answer that it replaces by a file.
RESTORED = (
    "ETag", "Last-Modified", "Vary", "X-Content-Type-Options", "Content-Security-Policy",
    "Cross-Origin-Resource-Policy", "Cross-Origin-Opener-Policy", "Referrer-Policy",
    "X-Frame-Options", "Strict-Transport-Security", "Cache-Control", "Content-Type",
    "Content-Disposition",
)  # fmt: skip


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


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    nginx = nginx_program()
    folder = tmp_path_factory.mktemp("site")
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


@pytest.fixture(scope="module")
def video(site: Site) -> dict[str, Any]:
    return site.upload()


@pytest.fixture(scope="module")
def download(video: dict[str, Any]) -> str:
    return f"/api/chat/videos/{video['id']}/download/"


def test_nginx_sends_the_bytes_with_djangos_headers(site: Site, download: str) -> None:
    response, content = site.ask("GET", download)

    assert (response.status, content) == (200, clip().read_bytes())
    assert response.headers["Server"] == "nginx"
    assert "X-Accel-Redirect" not in response.headers
    django = site.straight(download)
    assert django.headers["X-Accel-Redirect"].startswith("/protected/attachments/")
    assert django.headers["Content-Length"] == "0"
    for name in RESTORED:
        assert django.headers[name], name
        assert response.headers.get_all(name) == django.headers.get_all(name), name
    assert "filename*=utf-8''b%C3%ABach.mp4" in response.headers["Content-Disposition"]
    assert response.headers["Accept-Ranges"] == "bytes"


def test_ranges(site: Site, download: str) -> None:
    """As Django alone answers them, see ``test_http_range``."""
    content = clip().read_bytes()
    size = len(content)
    cases = {
        "bytes=0-0": (206, content[:1], f"bytes 0-0/{size}"),
        "bytes=-1": (206, content[-1:], f"bytes {size - 1}-{size - 1}/{size}"),
        f"bytes={size - 1}-": (206, content[-1:], f"bytes {size - 1}-{size - 1}/{size}"),
        "bytes=100-199": (206, content[100:200], f"bytes 100-199/{size}"),
        f"bytes=5-{size * 9}": (206, content[5:], f"bytes 5-{size - 1}/{size}"),
        f"bytes=-{size * 9}": (206, content, f"bytes 0-{size - 1}/{size}"),
        "bytes=7-2": (200, content, None),
        "bytes=0-1,4-5": (200, content, None),
        "garbage": (200, content, None),
        "bytes=a-b": (200, content, None),
        f"bytes={size}-": (416, None, f"bytes */{size}"),
        "bytes=-0": (416, None, f"bytes */{size}"),
    }
    for asked, (status, expected, content_range) in cases.items():
        response, found = site.ask("GET", download, Range=asked)
        assert (response.status, response.headers["Content-Range"]) == (status, content_range)
        assert response.headers["X-Content-Type-Options"] == "nosniff"
        if expected is None:
            assert json.loads(found)["code"] == "range_not_satisfiable"
        else:
            assert found == expected, asked


def test_conditions(site: Site, download: str) -> None:
    content = clip().read_bytes()
    headers = site.ask("GET", download)[0].headers
    etag, modified = headers["ETag"], headers["Last-Modified"]
    asked: list[tuple[dict[str, str], int]] = [
        ({"If_None_Match": etag}, 304),
        ({"If_None_Match": f"W/{etag}"}, 304),
        ({"If_None_Match": '"other"'}, 200),
        ({"If_Modified_Since": modified}, 304),
        ({"If_Modified_Since": "Mon, 01 Jan 2001 00:00:00 GMT"}, 200),
        ({"If_Match": etag}, 200),
        ({"If_Match": '"other"'}, 412),
        ({"If_Unmodified_Since": modified}, 200),
        ({"If_Unmodified_Since": "Mon, 01 Jan 2001 00:00:00 GMT"}, 412),
        ({"Range": "bytes=0-4", "If_Range": etag}, 206),
        ({"Range": "bytes=0-4", "If_Range": modified}, 206),
        ({"Range": "bytes=0-4", "If_Range": f"W/{etag}"}, 200),
        ({"Range": "bytes=0-4", "If_Range": '"other"'}, 200),
        ({"Range": "bytes=0-4", "If_Range": "Mon, 01 Jan 2001 00:00:00 GMT"}, 200),
    ]
    for conditions, status in asked:
        response, found = site.ask("GET", download, **conditions)
        assert response.status == status, conditions
        if status in (200, 206):
            assert found == (content if status == 200 else content[:5]), conditions
        elif status == 304:
            assert found == b""
            assert response.headers["ETag"] == etag
    for conditions, status in (({}, 200), ({"Range": "bytes=0-4"}, 200), asked[0]):
        response, found = site.ask("HEAD", download, **conditions)
        assert (response.status, found) == (status, b"")
        if status == 200:
            assert response.headers["Content-Length"] == str(len(content))


def test_nobody_gets_at_the_files_past_django(site: Site, video: dict[str, Any]) -> None:
    name = site.database(f"print(Attachment.objects.get(pk={video['id']}).file.name)").strip()
    for path in (
        f"/protected/{name}",
        f"//protected/{name}",
        f"/static/../protected/{name}",
        f"/%70rotected/{name}",
        f"/api/../protected/{name}",
        "/protected/",
    ):
        response, found = site.ask("GET", path)
        assert response.status in (400, 404), path
        assert clip().read_bytes()[:100] not in found


def test_django_still_decides(site: Site) -> None:
    video = site.upload()
    download = f"/api/chat/videos/{video['id']}/download/"
    stream = re.sub(r"^https://[^/]+", "", video["stream_url"])
    assert site.ask("GET", download, token="")[0].status == 401
    assert site.ask("GET", download, token=site.outsider)[0].status == 404
    assert site.ask("GET", stream, token="")[1] == clip().read_bytes()

    change = f"Attachment.objects.filter(pk={video['id']}).update(visibility='{{}}')"
    site.database(change.format("quarantined"))
    for path in (download, stream, f"/api/chat/attachments/{video['id']}/thumbnail/"):
        response, found = site.ask("GET", path, token="" if path == stream else None)
        assert (response.status, json.loads(found)["code"]) == (451, "quarantined")
    site.database(change.format("visible"))
    assert site.ask("GET", stream, token="")[0].status == 200

    people = f"/api/chat/conversations/{site.conversation}/participants/"
    guest = json.dumps({"participants": ["outsider"]})
    _, found = site.ask("POST", people, guest, Content_Type="application/json")
    (guest_id,) = (one["id"] for one in json.loads(found) if one["username"] == "outsider")
    _, found = site.ask("GET", f"/api/chat/attachments/{video['id']}/", token=site.outsider)
    theirs = re.sub(r"^https://[^/]+", "", json.loads(found)["stream_url"])
    assert site.ask("GET", theirs, token="")[1] == clip().read_bytes()
    assert site.ask("DELETE", f"{people}{guest_id}/", token=site.outsider)[0].status == 204
    assert site.ask("GET", theirs, token="")[0].status == 404  # who left, at once

    name = site.database(f"print(Attachment.objects.get(pk={video['id']}).file.name)").strip()
    (site.folder / "data" / "media" / name).unlink()
    response, found = site.ask("GET", download)
    assert (response.status, json.loads(found)["code"]) == (410, "missing_file")


def test_no_log_has_a_token_in_it(site: Site, video: dict[str, Any]) -> None:
    address = re.sub(r"^https://[^/]+", "", video["stream_url"])
    path, _, token = address.partition("?token=")
    for asked in (address, f"{address}x", f"{address}&conversation=%ff"):
        site.ask("GET", asked, token="", Range="bytes=0-1", Referer=f"https://x/{address}")
    rename = "from django.db import connection; connection.cursor().execute('ALTER TABLE {}')"
    site.database(rename.format("chat_participant RENAME TO elsewhere"))
    assert site.ask("GET", address, token="")[0].status == 500
    site.database(rename.format("elsewhere RENAME TO chat_participant"))
    assert site.ask("GET", address, token="")[0].status == 200
    activity = site.database("print(list(ActivityLog.objects.values()))")

    eventually(  # as gunicorn does when the answer has gone
        "nginx and gunicorn have written all of them down",
        lambda: site.logs().count(f"GET {path} ") >= 10,
        10,
    )
    lines = site.logs()
    assert "Traceback" in lines  # of the error of ours: what it says of the request is here too
    secret = token.rpartition(":")[2]
    assert len(secret) > 20
    assert secret not in lines
    assert site.token not in lines
    assert "attachment_viewed" in activity
    assert secret not in activity


@pytest.mark.skipif(sys.platform != "linux", reason="all of 127.0.0.0/8 is ours on Linux alone")
def test_the_address_that_is_logged_cannot_be_feigned(site: Site, video: dict[str, Any]) -> None:
    path = f"/api/chat/videos/{video['id']}/stream/"
    visitor = replace(site, source=("127.0.0.2", 0))  # not the proxy's own
    visitor.ask("GET", path, X_Forwarded_For="203.0.113.9", X_Forwarded_Proto="http")

    seen = "print(*ActivityLog.objects.values_list('ip_address', flat=True).distinct())"
    addresses = site.database(seen).split()
    assert "127.0.0.2" in addresses
    assert "203.0.113.9" not in addresses


@pytest.mark.parametrize("through", ["nginx", "gunicorn"])
def test_a_wrong_csrf_token_is_refused_before_the_upload(site: Site, through: str) -> None:
    """50 MB are announced and none of them is sent."""
    connection: HTTPConnection = HTTPConnection("127.0.0.1", site.behind, timeout=20)
    if through == "nginx":
        context = ssl._create_unverified_context()
        connection = HTTPSConnection("127.0.0.1", site.port, timeout=20, context=context)
    connection.putrequest("POST", f"/api/chat/upload/?conversation={site.conversation}")
    for name, value in {
        "Cookie": f"sessionid={site.session}; csrftoken={'a' * 32}",
        "X-CSRFToken": "b" * 32,
        "X-Forwarded-Proto": "https",
        "Referer": f"https://127.0.0.1:{site.port}/",
        "Content-Type": "multipart/form-data; boundary=x",
        "Content-Length": str(50 * 1024**2),
    }.items():
        connection.putheader(name, value)
    connection.endheaders()

    response = connection.getresponse()

    assert response.status == 403
    assert "CSRF" in json.loads(response.read())["detail"]
    connection.close()
    assert not list((site.folder / "data" / "incoming").iterdir())


@pytest.mark.parametrize(
    "line",
    [
        b"GET /api/chat/videos/\xff\xfe HTTP/1.1",
        b"GET /api/chat/videos/?conversation=\xff HTTP/1.1",
        b"GET /api/chat/%00/ HTTP/1.1",
        b"POST /api/auth/token/ HTTP/1.1\r\nContent-Type: text/plain; charset=\x00",
        b"GET /api/chat/videos/ HTTP/1.1\r\nAuthorization: Token \xff\x01",
        b"GET /api/chat/videos/ HTTP/1.1\r\nContent-Length: -5",
        b"TRACE /api/chat/videos/ HTTP/1.1",
        b"\x00\x01 / HTTP/1.1",
    ],
)
def test_raw_bytes_are_refused_by_the_server_itself(site: Site, line: bytes) -> None:
    with socket.create_connection(("127.0.0.1", site.behind), timeout=20) as connection:
        proto = b"\r\nHost: localhost\r\nX-Forwarded-Proto: https\r\nConnection: close\r\n\r\n"
        connection.sendall(line + proto)
        answer = http.client.HTTPResponse(connection)
        answer.begin()

    assert 400 <= answer.status < 500
