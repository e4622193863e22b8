"""Every API path, every method, everybody: see ``access_matrix``."""

from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.files.uploadedfile import SimpleUploadedFile
from django.urls import URLPattern, URLResolver, get_resolver
from django.utils import timezone
from rest_framework.test import APIClient

from chat.models import Conversation, Participant
from tests.chat.access_matrix import BODIES, CAST, MATRIX, PART, TUS_HEADERS, path_of
from tests.chat.conftest import signed_in, undone
from tests.clips import clip
from tests.conftest import person

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE")
PUBLIC = {"api/auth/token/", "api/schema/", "api/docs/"}


def routes(resolver: URLResolver, prefix: str = "") -> Iterator[str]:
    for pattern in resolver.url_patterns:
        route = prefix + str(pattern.pattern)
        if isinstance(pattern, URLPattern):
            yield route
        elif isinstance(pattern, URLResolver):
            yield from routes(pattern, route)


def expected(route: str, method: str) -> list[int]:
    row = MATRIX[route]
    wanted = row.get(method) or (row.get("GET") if method == "HEAD" else None)
    if wanted is None:
        refused = 200 if method == "OPTIONS" else 405
        anonymous = refused if route in PUBLIC else 401
        return [anonymous, *[refused] * (len(CAST) - 1)]
    return [int(status) for status in wanted.split()]


def test_every_path_has_a_row() -> None:
    there = {route for route in routes(get_resolver()) if route.startswith("api/")}

    assert set(MATRIX) == there
    for route, row in MATRIX.items():
        assert all(len(statuses.split()) == len(CAST) for statuses in row.values()), route
    assert {tuple(key.split(" ", 1)) for key in BODIES} <= {
        (method, route) for route, row in MATRIX.items() for method in row
    }


@pytest.fixture
def cast(conversation: Conversation, owner: User, member: User, outsider: User) -> dict[str, Any]:
    former = person("former")
    Participant.objects.create(conversation=conversation, user=former, left_at=timezone.now())
    return {
        "owner": owner,
        "member": member,
        "outsider": outsider,
        "former": former,
        "staff": person("staff", is_staff=True, is_superuser=True),
    }


def test_who_may_do_what(
    cast: dict[str, User], moderator: User, ids: dict[str, Any], as_nobody: APIClient
) -> None:
    """Each request is undone, so that the next one finds everything as it was."""
    clients = {name: signed_in(user) for name, user in {**cast, "moderator": moderator}.items()}
    clients["anonymous"] = as_nobody
    wrong = []
    for route in MATRIX:
        path = path_of(route, ids)
        for method in METHODS:
            statuses = expected(route, method)
            for name, status in zip(CAST, statuses, strict=True):
                found = undone(partial(ask, clients[name], method, route, path, ids))
                if found != status:
                    wrong.append(f"{method} {route} {name}: {found}, not {status}")
    assert not wrong, "\n".join(wrong)


def ask(client: APIClient, method: str, route: str, path: str, ids: dict[str, Any]) -> int:
    body = dict(BODIES.get(f"{method} {route}", {}))
    path += f"?conversation={ids['conversation_id']}" if "upload" in route else ""
    if "file" in body:
        file = SimpleUploadedFile("a.mp4", clip().read_bytes())
        response = client.post(path, {"file": file}, format="multipart")
    elif route.startswith("api/chat/uploads/"):
        part, content_type = PART if method == "PATCH" else (b"", "")
        response = client.generic(method, path, part, content_type, headers=TUS_HEADERS)
    elif method in ("GET", "HEAD"):
        response = client.generic(method, path)
    else:
        response = getattr(client, method.lower())(path, body)
    response.close()
    return int(response.status_code)
