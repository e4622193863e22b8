"""Behind nginx: what is logged and of whom, and what is refused before its body is sent."""

import http.client
import json
import re
import socket
import ssl
import sys
from dataclasses import replace
from http.client import HTTPConnection, HTTPSConnection
from typing import Any

import pytest

from tests.chat.nginx_site import Site
from tests.running import eventually

pytestmark = pytest.mark.xdist_group("nginx")


@pytest.fixture(scope="module")
def video(nginx: Site) -> dict[str, Any]:
    return nginx.upload()


def test_no_log_has_a_token_in_it(nginx: Site, video: dict[str, Any]) -> None:
    address = re.sub(r"^https://[^/]+", "", video["stream_url"])
    path, _, token = address.partition("?token=")
    for asked in (address, f"{address}x", f"{address}&conversation=%ff"):
        nginx.ask("GET", asked, token="", Range="bytes=0-1", Referer=f"https://x/{address}")
    rename = "from django.db import connection; connection.cursor().execute('ALTER TABLE {}')"
    nginx.database(rename.format("chat_participant RENAME TO elsewhere"))
    assert nginx.ask("GET", address, token="")[0].status == 500
    nginx.database(rename.format("elsewhere RENAME TO chat_participant"))
    assert nginx.ask("GET", address, token="")[0].status == 200
    activity = nginx.database("print(list(ActivityLog.objects.values()))")

    eventually(  # as gunicorn does when the answer has gone
        "nginx and gunicorn have written all of them down",
        lambda: nginx.logs().count(f"GET {path} ") >= 10,
        10,
    )
    lines = nginx.logs()
    assert "Traceback" in lines  # of the error of ours: what it says of the request is here too
    secret = token.rpartition(":")[2]
    assert len(secret) > 20
    assert secret not in lines
    assert nginx.token not in lines
    assert "attachment_viewed" in activity
    assert secret not in activity


@pytest.mark.skipif(sys.platform != "linux", reason="all of 127.0.0.0/8 is ours on Linux alone")
def test_the_address_that_is_logged_cannot_be_feigned(nginx: Site, video: dict[str, Any]) -> None:
    path = f"/api/chat/videos/{video['id']}/stream/"
    visitor = replace(nginx, source=("127.0.0.2", 0))  # not the proxy's own
    visitor.ask("GET", path, X_Forwarded_For="203.0.113.9", X_Forwarded_Proto="http")

    seen = "print(*ActivityLog.objects.values_list('ip_address', flat=True).distinct())"
    addresses = nginx.database(seen).split()
    assert "127.0.0.2" in addresses
    assert "203.0.113.9" not in addresses


@pytest.mark.parametrize("through", ["nginx", "gunicorn"])
def test_a_wrong_csrf_token_is_refused_before_the_upload(nginx: Site, through: str) -> None:
    """50 MB are announced and none of them is sent."""
    connection: HTTPConnection = HTTPConnection("127.0.0.1", nginx.behind, timeout=20)
    if through == "nginx":
        context = ssl._create_unverified_context()
        connection = HTTPSConnection("127.0.0.1", nginx.port, timeout=20, context=context)
    connection.putrequest("POST", f"/api/chat/upload/?conversation={nginx.conversation}")
    for name, value in {
        "Cookie": f"sessionid={nginx.session}; csrftoken={'a' * 32}",
        "X-CSRFToken": "b" * 32,
        "X-Forwarded-Proto": "https",
        "Referer": f"https://127.0.0.1:{nginx.port}/",
        "Content-Type": "multipart/form-data; boundary=x",
        "Content-Length": str(50 * 1024**2),
    }.items():
        connection.putheader(name, value)
    connection.endheaders()

    response = connection.getresponse()

    assert response.status == 403
    assert "CSRF" in json.loads(response.read())["detail"]
    connection.close()
    assert not list((nginx.folder / "data" / "incoming").iterdir())


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
def test_raw_bytes_are_refused_by_the_server_itself(nginx: Site, line: bytes) -> None:
    with socket.create_connection(("127.0.0.1", nginx.behind), timeout=20) as connection:
        proto = b"\r\nHost: localhost\r\nX-Forwarded-Proto: https\r\nConnection: close\r\n\r\n"
        connection.sendall(line + proto)
        answer = http.client.HTTPResponse(connection)
        answer.begin()

    assert 400 <= answer.status < 500
