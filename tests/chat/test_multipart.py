"""The parts of a form, however its bytes arrive."""

import io
from collections.abc import Callable

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from rest_framework.test import APIClient

from chat.errors import ChatError
from chat.models import Attachment, Conversation, Message
from chat.services.multipart import MAX_HEADER_BYTES, MAX_PARTS, parts_of

Files = Callable[[], list[str]]
CONTENT_TYPE = "multipart/form-data; boundary=x"


class Stream:
    """Gives so many bytes at a time."""

    def __init__(self, content: bytes, step: int) -> None:
        self.left = io.BytesIO(content)
        self.step = step

    def read(self) -> bytes:
        return self.left.read(self.step)


def parts(body: bytes, step: int = 10_000) -> list[tuple[str, str | None, bytes]]:
    form = parts_of(Stream(body, step), CONTENT_TYPE)
    return [(part.name, part.filename, b"".join(part.content)) for part in form]


def part(disposition: bytes, content: bytes = b"a", *headers: bytes) -> bytes:
    lines = (b"--x", b"Content-Disposition: form-data; " + disposition, *headers, b"", content)
    return b"\r\n".join(lines) + b"\r\n"


def file_named(parameter: bytes) -> bytes:
    return part(b'name="file"; ' + parameter) + b"--x--\r\n"


@pytest.mark.parametrize("step", [*range(1, 40), 10_000])
def test_wherever_the_stream_breaks(step: int) -> None:
    content = b"\r\n--\r\n-- x\r\n\r\n--" * 5
    body = (
        b"before\r\n"
        + part(b'name="content"', "bëach".encode())
        + part(b'name="file"; filename="a \\"b\\".mp4"', content, b"Content-Type: video/mp4")
        + part(b'name="file"; filename=""', b"")
        + part(b'name="note"', b"YWJj\r\nZGU=", b"Content-Transfer-Encoding: base64")
        + b"--x--\r\nafter"
    )

    assert parts(body, step) == [
        ("content", None, "bëach".encode()),
        ("file", 'a "b".mp4', content),
        ("file", "", b""),
        ("note", None, b"abcde"),
    ]


def test_content_that_is_not_read_is_passed_over() -> None:
    body = part(b'name="a"; filename="a"', b"a" * 1000) + part(b'name="b"') + b"--x--"
    form = parts_of(Stream(body, 10), CONTENT_TYPE)

    assert [part.name for part in form] == ["a", "b"]


@pytest.mark.parametrize(
    ("parameter", "name"),
    [
        (b'filename="b\xebach.mp4"', "b\ufffdach.mp4"),
        (b"filename*=UTF-8''b%C3%ABach.mp4", "bëach.mp4"),
        (b"filename*=latin-1''b%EBach.mp4", "bëach.mp4"),
        (b'filename="' + b"a" * 2000 + b'.mp4"', "a" * 2000 + ".mp4"),
    ],
)
def test_names(parameter: bytes, name: str) -> None:
    assert parts(file_named(parameter)) == [("file", name, b"a")]


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "Unexpected end"),
        (b"--x", "Unexpected end"),
        (part(b'name="a"'), "Unexpected end"),
        (part(b'name="a"')[:-2] + b"--x--", "Unexpected end"),
        (b"--x\r\n\r\na\r\n--x--", "Missing Content-Disposition"),
        (part(b"title=a") + b"--x--", "has no name"),
        (file_named(b"filename*=klingon''a"), "has no name"),
        (part(b'name="' + b"a" * MAX_HEADER_BYTES + b'"') + b"--x--", "header length exceeded"),
        (part(b'name="a"') * (MAX_PARTS + 1) + b"--x--", "segment count exceeded"),
        (part(b'name="a"', b"YWJ", b"Content-Transfer-Encoding: BASE64") + b"--x--", "base64"),
        (part(b'name="a"', b"=YWJ", b"Content-Transfer-Encoding: base64") + b"--x--", "base64"),
    ],
)
def test_what_is_no_form(body: bytes, words: str) -> None:
    with pytest.raises(ChatError, match=words) as raised:
        parts(body)

    assert raised.value.code == "parse_error"


@pytest.mark.parametrize(
    ("content_type", "words"),
    [
        ("multipart/form-data", "Empty boundary"),
        ("multipart/form-data; boundary=", "Empty boundary"),
        ("multipart/form-data; boundary=another", "Unexpected end"),
        ("multipart/form-data; boundary=\xff", "Unexpected end"),
    ],
)
def test_without_the_right_boundary(content_type: str, words: str) -> None:
    body = Stream(part(b'name="a"') + b"--x--", 10)
    with pytest.raises(ChatError, match=words) as raised:
        list(parts_of(body, content_type))

    assert raised.value.code == "parse_error"


def send(client: APIClient, address: str, *sent: bytes) -> tuple[int, dict[str, str]]:
    body = b"".join(sent) + b"--x--\r\n"
    response = client.generic("POST", address, body, content_type=CONTENT_TYPE)
    return response.status_code, response.json()


def test_a_file_whose_name_is_not_utf8_is_kept(
    as_member: APIClient, conversation: Conversation
) -> None:
    address = f"/api/chat/upload/?conversation={conversation.pk}"

    status, answer = send(as_member, address, part(b'name="file"; filename="b\xebach.txt"'))

    assert (status, answer["original_name"]) == (201, "b\ufffdach.txt")


@pytest.mark.parametrize("name", [b"..", b"/", b"a/b/..", rb"a\b\\", b" ", b"\x07", b""])
def test_a_file_without_a_name_is_kept(
    name: bytes, as_member: APIClient, conversation: Conversation
) -> None:
    address = f"/api/chat/upload/?conversation={conversation.pk}"

    status, answer = send(as_member, address, part(b'name="file"; filename="%b"' % name))

    assert (status, answer["original_name"]) == (201, "file")


class TestMessage:
    @pytest.fixture
    def address(self, conversation: Conversation) -> str:
        return f"/api/chat/conversations/{conversation.pk}/messages/"

    def test_it_is_not_sent_without_a_file_that_came_with_it(
        self, address: str, as_member: APIClient, stored_files: Files
    ) -> None:
        text = part(b'name="content"')
        unreadable = part(b"name=\"files\"; filename*=klingon''a")

        status, answer = send(
            as_member, address, text, part(b'name="files"; filename="a"'), unreadable
        )

        assert (status, answer["code"]) == (400, "parse_error")
        assert "no name that can be read" in answer["detail"]
        assert not Message.objects.exists()
        assert stored_files() == []

    def test_it_is_sent_with_one_whose_name_is_not_utf8(
        self, address: str, as_member: APIClient
    ) -> None:
        status, _ = send(as_member, address, part(b'name="files"; filename="\xeb"'))

        assert status == 201
        assert Attachment.objects.get().original_name == "\ufffd"

    def test_a_file_input_in_which_nothing_was_chosen(
        self, address: str, as_member: APIClient
    ) -> None:
        """As a page's form sends it."""
        nothing = part(
            b'name="files"; filename=""', b"", b"Content-Type: application/octet-stream"
        )

        status, answer = send(as_member, address, part(b'name="content"', b"Hello"), nothing)

        assert (status, answer["content"], answer["attachments"]) == (201, "Hello", [])


def test_a_name_is_only_a_name(as_member: APIClient, conversation: Conversation) -> None:
    """The file of a page's form from a path, with a sign that its encoding does not have."""
    address = f"/api/chat/upload/?conversation={conversation.pk}"
    file = SimpleUploadedFile("a.txt", b"a")
    file.name = r"C:\holiday\b&#235;ach.txt"

    answer = as_member.post(address, {"file": file}, format="multipart").json()

    assert answer["original_name"] == "bëach.txt"
