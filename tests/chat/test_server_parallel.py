"""Ten at once on a real server: nobody gets more than there is, and nothing is made twice."""

import json
import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.chat.upload_server import FORM, MIB, QUOTA, Person, Server, multipart
from tests.moderation.installation import Installation

pytestmark = [pytest.mark.xdist_group("upload server"), pytest.mark.every_database]

SMALL = 150_000
JSON = "application/json"


@pytest.fixture(scope="module")
def nearly_full(upload_server: Server) -> list[Person]:
    """People with room for five small files."""
    return upload_server.people(*[QUOTA - 5 * SMALL] * 4)


def at_once(number: int, do: Callable[[int], Any]) -> list[Any]:
    """What so many calls return that begin together."""
    barrier = threading.Barrier(number)

    def begin(index: int) -> Any:
        barrier.wait()
        return do(index)

    with ThreadPoolExecutor(number) as pool:
        return list(pool.map(begin, range(number)))


@pytest.mark.parametrize("way", ["form", "message", "resumable", "all"])
def test_ten_at_once_fill_the_quota_to_the_byte(way: str, nearly_full: list[Person]) -> None:
    person = nearly_full.pop()
    content = os.urandom(SMALL)
    send: dict[str, Callable[[int], int]] = {
        "form": lambda _: person.send_form(content)[0],
        "message": lambda _: person.send_form(content, person.messages, "files")[0],
        "resumable": lambda _: person.create(SMALL)[0],
    }
    ways = [*send.values()] if way == "all" else [send[way]]

    statuses = at_once(10, lambda index: ways[index % len(ways)](index))

    assert sorted(statuses) == [201] * 5 + [403] * 5
    assert person.send_form(b"a")[0] == 403


@pytest.mark.parametrize(("number", "length", "taken"), [(20, 10, 15), (10, 50 * MIB, 7)])
def test_so_many_and_so_much_on_its_way(
    number: int, length: int, taken: int, uploader: Person
) -> None:
    statuses = at_once(number, lambda _: uploader.create(length)[0])

    assert sorted(statuses) == [201] * taken + [429] * (number - taken)


def test_ten_requests_with_one_key_make_one_attachment(uploader: Person) -> None:
    path = f"/api/chat/upload/?conversation={uploader.conversation}"
    body = multipart(os.urandom(100_000))

    answers = at_once(
        10, lambda _: uploader.ask("POST", path, body, Content_Type=FORM, Idempotency_Key="k")
    )

    made = {answer["id"] for status, answer, _ in answers if status == 201}
    assert len(made) == 1
    assert {status for status, _, _ in answers} <= {201, 409}
    status, again, _ = uploader.ask("POST", path, body, Content_Type=FORM, Idempotency_Key="k")
    assert (status, again["id"]) == (201, *made)


def test_ten_messages_that_name_one_upload(uploader: Person) -> None:
    _status, upload = uploader.send_form(b"a")
    body = json.dumps({"content": "mine", "attachments": [upload["id"]]})

    answers = at_once(
        10,
        lambda _: uploader.ask("POST", uploader.messages, body, Content_Type=JSON),
    )

    assert sorted(status for status, _, _ in answers) == [201] + [400] * 9
    (sent,) = uploader.ask("GET", uploader.messages)[1]["results"]
    assert [attachment["id"] for attachment in sent["attachments"]] == [upload["id"]]


def test_ten_writers_of_one_upload(uploader: Person) -> None:
    content = os.urandom(3 * MIB)
    _status, path = uploader.create(len(content))

    answers = at_once(10, lambda _: uploader.patch(path, 0, content))

    statuses = sorted(status for status, _, _ in answers)
    assert statuses[0] == 204
    assert set(statuses[1:]) <= {409, 423}
    (made,) = (headers["Attachment-Id"] for status, _, headers in answers if status == 204)
    assert uploader.attachment(made)["size"] == len(content)
    listed = uploader.ask("GET", uploader.messages)[1]
    assert listed["results"] == []


@pytest.mark.parametrize("_again", range(3))
def test_a_conversation_that_is_deleted_while_it_is_used(
    _again: int, uploader: Person, upload_site: Installation
) -> None:
    """Everybody is told that it is gone, or was in time; and nothing stays."""
    media = upload_site.data_dir / "media"

    def stored() -> set[Path]:
        return {path for path in media.rglob("*") if path.is_file()}

    before = stored()
    for _ in range(3):
        assert uploader.send_form(b"a", uploader.messages, "files")[0] == 201
    sent = uploader.ask("GET", uploader.messages)[1]["results"]
    messages = [f"/api/chat/messages/{message['id']}/" for message in sent]
    files = [f"/api/chat/attachments/{message['attachments'][0]['id']}/" for message in sent]
    gone = uploader.messages.removesuffix("messages/")
    text, form = json.dumps({"content": "Hello"}), multipart(b"a", "files")
    asked: list[tuple[str, str, str | bytes, str]] = [
        ("DELETE", gone, b"", JSON),
        ("DELETE", messages[0], b"", JSON),
        ("DELETE", files[1], b"", JSON),
        ("PATCH", messages[2], text, JSON),
        ("POST", uploader.messages, text, JSON),
        ("POST", uploader.messages, form, FORM),
        ("POST", f"{gone}read/", "{}", JSON),
        ("PATCH", gone, json.dumps({"title": "New"}), JSON),
        ("POST", f"/api/chat/upload/?conversation={uploader.conversation}", multipart(b"a"), FORM),
    ]

    def ask(index: int) -> int:
        if index == len(asked):
            return uploader.create(100)[0]
        method, path, body, content_type = asked[index]
        return uploader.ask(method, path, body, Content_Type=content_type)[0]

    statuses = at_once(len(asked) + 1, ask)

    assert statuses[0] == 204
    assert {*statuses} <= {200, 201, 204, 404}
    assert uploader.ask("GET", gone)[0] == 404
    left = f"SELECT id FROM chat_attachment WHERE conversation_id = {uploader.conversation}"
    assert upload_site.query(left) == []
    assert stored() == before
