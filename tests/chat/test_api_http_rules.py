"""HTTP's rules at every address of the API: what is allowed, what may be kept, by whom, and as
what.  The addresses are those of the access matrix, which has all of them."""

import re
from collections.abc import Iterator
from functools import partial
from typing import Any

from rest_framework.test import APIClient

from tests.chat.access_matrix import BODIES, MATRIX, path_of
from tests.chat.conftest import undone

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "TRACE")
PAGE = "api/docs/"
FILES = re.compile("/(download|stream|thumbnail|storyboard|preview)(/|.vtt)$")
# In every answer, so that nothing of it is shown to somebody else or taken for another type.
PRIVATE = {"Authorization", "Cookie"}


def gets() -> Iterator[str]:
    return (route for route, row in MATRIX.items() if "GET" in row and route != PAGE)


def listed(response: Any, header: str) -> set[str]:
    return {word.strip() for word in response.headers.get(header, "").split(",")}


def body_of(response: Any) -> bytes:
    return b"".join(response) if response.streaming else bytes(response.content)


def test_what_is_not_allowed_is_told_what_is(ids: dict[str, Any], as_owner: APIClient) -> None:
    for route, row in MATRIX.items():
        allowed = set(row) | ({"HEAD"} if "GET" in row else set())
        refused = [method for method in METHODS if method not in allowed]
        assert "PUT" in refused
        for method in refused:
            response = as_owner.generic(method, path_of(route, ids))
            assert response.status_code == 405, (route, method)
            told = listed(response, "Allow") - {"OPTIONS"}
            assert told == allowed - {"OPTIONS"}, (route, method)
            if method != "HEAD" and route != PAGE:
                assert response.json()["code"] == "method_not_allowed", (route, method)


def test_every_get_can_be_asked_again_and_belongs_to_one_person(
    ids: dict[str, Any], as_owner: APIClient
) -> None:
    for route in gets():
        path = path_of(route, ids)
        first = as_owner.get(path)
        assert first.status_code == 200, route
        body = body_of(first)
        tag = first.headers["ETag"]
        head = as_owner.head(path)
        same = as_owner.get(path, headers={"if-none-match": tag})
        any_tag = as_owner.get(path, headers={"if-none-match": f'"other", {tag}'})
        changed = as_owner.get(path, headers={"if-none-match": '"other"'})
        other = as_owner.get(path, headers={"if-match": '"other"'})

        assert (head.status_code, head.content) == (200, b""), route
        for name in ("ETag", "Content-Type", "Vary", "Cache-Control", "Content-Disposition"):
            assert head.headers.get(name) == first.headers.get(name), (route, name)
        if "Content-Length" in head.headers:
            assert int(head.headers["Content-Length"]) == len(body), route
        for again in (same, any_tag):
            assert (again.status_code, body_of(again)) == (304, b""), route
            for name in ("ETag", "Vary", "Cache-Control"):
                assert again.headers[name] == first.headers[name], (route, name)
        assert changed.status_code == 200, route
        assert body_of(changed) == body, route
        assert (other.status_code, other.json()["code"]) == (412, "precondition_failed"), route
        for answer in (first, head, same, other):
            assert listed(answer, "Vary") >= PRIVATE, route
            assert "private" in listed(answer, "Cache-Control"), route
        for answer in (first, head, other):
            assert answer.headers["X-Content-Type-Options"] == "nosniff", route


def test_refusals_are_nobody_elses_either(
    ids: dict[str, Any], as_outsider: APIClient, as_nobody: APIClient
) -> None:
    for route, row in MATRIX.items():
        if route == PAGE:
            continue
        for client in (as_outsider, as_nobody):
            for method in row:
                response = undone(partial(client.generic, method, path_of(route, ids)))
                if response.status_code < 400:
                    continue
                assert {"private", "no-store"} <= listed(response, "Cache-Control"), route
                assert listed(response, "Vary") >= PRIVATE, route
                assert response.headers["X-Content-Type-Options"] == "nosniff", route
                if response.status_code == 401:
                    assert response.headers["WWW-Authenticate"] == "Token", route


def test_answers_are_json_or_a_file(ids: dict[str, Any], as_owner: APIClient) -> None:
    for route in gets():
        response = as_owner.get(path_of(route, ids), headers={"accept": "text/html"})
        if FILES.search(route):
            assert response.status_code == 200, route
            response.close()
        else:
            assert (response.status_code, response.json()["code"]) == (406, "not_acceptable")


def test_bodies_of_another_type_are_refused(ids: dict[str, Any], as_member: APIClient) -> None:
    taking = [key.split(" ") for key in BODIES]
    taking += [("PATCH", "api/chat/uploads/<uuid:upload_id>/")]
    headers = {"tus-resumable": "1.0.0", "upload-offset": "0"}
    for method, route in taking:
        path = path_of(route, ids) + f"?conversation={ids['conversation_id']}"
        for content_type in ("text/plain", "application/xml", "video/mp4"):
            response = as_member.generic(
                method, path, b"x", content_type=content_type, headers=headers
            )
            found = (response.status_code, response.json()["code"])
            owners = found == (403, "permission_denied")
            assert owners or found == (415, "unsupported_media_type"), (method, route)


def test_every_file_can_be_had_in_parts(ids: dict[str, Any], as_owner: APIClient) -> None:
    routes = [route for route in gets() if FILES.search(route) and not route.endswith(".vtt")]
    assert len(routes) == 5
    for route in routes:
        path = path_of(route, ids)
        whole = as_owner.get(path)
        body, tag = body_of(whole), whole.headers["ETag"]
        assert not tag.startswith("W/"), route
        assert whole.headers["Accept-Ranges"] == "bytes", route
        assert whole.headers["Content-Disposition"].partition(";")[0] in ("inline", "attachment")
        assert "sandbox" in whole.headers["Content-Security-Policy"], route
        date = whole.headers["Last-Modified"]
        for condition, holds in {
            "": True,
            tag: True,
            date: True,
            '"other"': False,
            f"W/{tag}": False,
            "Sun, 06 Nov 1994 08:49:37 GMT": False,
        }.items():
            asked = {"range": "bytes=1-2", **({"if-range": condition} if condition else {})}
            part = as_owner.get(path, headers=asked)
            assert part.status_code == (206 if holds else 200), (route, condition)
            assert body_of(part) == (body[1:3] if holds else body), (route, condition)
            if holds:
                assert part.headers["Content-Range"] == f"bytes 1-2/{len(body)}", route
        outside = as_owner.get(path, headers={"range": f"bytes={len(body)}-"})
        assert outside.status_code == 416, route
        assert outside.headers["Content-Range"] == f"bytes */{len(body)}", route
