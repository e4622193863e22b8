"""Who sends the bytes of files behind nginx, with which headers, and who decides about it."""

import json
import re
from typing import Any

import pytest

from tests.chat.nginx_site import Site
from tests.clips import clip

pytestmark = pytest.mark.xdist_group("nginx")
# Set by Django, dropped by nginx with the rest of an answer that it replaces by a file.
RESTORED = (
    "ETag", "Last-Modified", "Vary", "X-Content-Type-Options", "Content-Security-Policy",
    "Cross-Origin-Resource-Policy", "Cross-Origin-Opener-Policy", "Referrer-Policy",
    "X-Frame-Options", "Strict-Transport-Security", "Cache-Control", "Content-Type",
    "Content-Disposition",
)  # fmt: skip


@pytest.fixture(scope="module")
def video(nginx: Site) -> dict[str, Any]:
    return nginx.upload()


@pytest.fixture(scope="module")
def download(video: dict[str, Any]) -> str:
    return f"/api/chat/videos/{video['id']}/download/"


def test_nginx_sends_the_bytes_with_djangos_headers(nginx: Site, download: str) -> None:
    response, content = nginx.ask("GET", download)

    assert (response.status, content) == (200, clip().read_bytes())
    assert response.headers["Server"] == "nginx"
    assert "X-Accel-Redirect" not in response.headers
    django = nginx.straight(download)
    assert django.headers["X-Accel-Redirect"].startswith("/protected/attachments/")
    assert django.headers["Content-Length"] == "0"
    for name in RESTORED:
        assert django.headers[name], name
        assert response.headers.get_all(name) == django.headers.get_all(name), name
    assert "filename*=utf-8''b%C3%ABach.mp4" in response.headers["Content-Disposition"]
    assert response.headers["Accept-Ranges"] == "bytes"


def test_ranges(nginx: Site, download: str) -> None:
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
        response, found = nginx.ask("GET", download, Range=asked)
        assert (response.status, response.headers["Content-Range"]) == (status, content_range)
        assert response.headers["X-Content-Type-Options"] == "nosniff"
        if expected is None:
            assert json.loads(found)["code"] == "range_not_satisfiable"
        else:
            assert found == expected, asked


def test_conditions(nginx: Site, download: str) -> None:
    content = clip().read_bytes()
    headers = nginx.ask("GET", download)[0].headers
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
        response, found = nginx.ask("GET", download, **conditions)
        assert response.status == status, conditions
        if status in (200, 206):
            assert found == (content if status == 200 else content[:5]), conditions
        elif status == 304:
            assert found == b""
            assert response.headers["ETag"] == etag
    for conditions, status in (({}, 200), ({"Range": "bytes=0-4"}, 200), asked[0]):
        response, found = nginx.ask("HEAD", download, **conditions)
        assert (response.status, found) == (status, b"")
        if status == 200:
            assert response.headers["Content-Length"] == str(len(content))


def test_nobody_gets_at_the_files_past_django(nginx: Site, video: dict[str, Any]) -> None:
    name = nginx.database(f"print(Attachment.objects.get(pk={video['id']}).file.name)").strip()
    for path in (
        f"/protected/{name}",
        f"//protected/{name}",
        f"/static/../protected/{name}",
        f"/%70rotected/{name}",
        f"/api/../protected/{name}",
        "/protected/",
    ):
        response, found = nginx.ask("GET", path)
        assert response.status in (400, 404), path
        assert clip().read_bytes()[:100] not in found


def test_django_still_decides(nginx: Site) -> None:
    video = nginx.upload()
    download = f"/api/chat/videos/{video['id']}/download/"
    stream = re.sub(r"^https://[^/]+", "", video["stream_url"])
    assert nginx.ask("GET", download, token="")[0].status == 401
    assert nginx.ask("GET", download, token=nginx.outsider)[0].status == 404
    assert nginx.ask("GET", stream, token="")[1] == clip().read_bytes()

    change = f"Attachment.objects.filter(pk={video['id']}).update(visibility='{{}}')"
    nginx.database(change.format("quarantined"))
    for path in (download, stream, f"/api/chat/attachments/{video['id']}/thumbnail/"):
        response, found = nginx.ask("GET", path, token="" if path == stream else None)
        assert (response.status, json.loads(found)["code"]) == (451, "quarantined")
    nginx.database(change.format("visible"))
    assert nginx.ask("GET", stream, token="")[0].status == 200

    people = f"/api/chat/conversations/{nginx.conversation}/participants/"
    guest = json.dumps({"participants": ["outsider"]})
    _, found = nginx.ask("POST", people, guest, Content_Type="application/json")
    (guest_id,) = (one["id"] for one in json.loads(found) if one["username"] == "outsider")
    _, found = nginx.ask("GET", f"/api/chat/attachments/{video['id']}/", token=nginx.outsider)
    theirs = re.sub(r"^https://[^/]+", "", json.loads(found)["stream_url"])
    assert nginx.ask("GET", theirs, token="")[1] == clip().read_bytes()
    assert nginx.ask("DELETE", f"{people}{guest_id}/", token=nginx.outsider)[0].status == 204
    assert nginx.ask("GET", theirs, token="")[0].status == 404  # who left, at once

    name = nginx.database(f"print(Attachment.objects.get(pk={video['id']}).file.name)").strip()
    (nginx.folder / "data" / "media" / name).unlink()
    response, found = nginx.ask("GET", download)
    assert (response.status, json.loads(found)["code"]) == (410, "missing_file")
