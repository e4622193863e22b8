"""Uploads through a real server that is killed, whose clients vanish and whose disk fills up."""

import hashlib
import json
import os
import random
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.chat.upload_server import FORM, MIB, PART, Person, Server, multipart, serving
from tests.moderation.installation import Installation
from tests.running import eventually

pytestmark = pytest.mark.xdist_group("upload server")


def size(path: Path) -> int:
    return path.stat().st_size


def incoming(site: Installation) -> list[Path]:
    return [path for path in (site.data_dir / "incoming").iterdir() if path.is_file()]


def test_a_killed_worker_loses_no_more_than_was_never_told(
    uploader: Person, upload_server: Server, upload_site: Installation
) -> None:
    content = random.Random(1).randbytes(40 * MIB)
    _status, path = uploader.create(len(content))
    connection = uploader.begin_patch(path, 0, len(content))
    connection.send(content[: 20 * MIB])
    eventually("a part is on record", lambda: uploader.offset(path), 30)

    upload_server.kill_workers()
    connection.close()

    eventually("the server answers", lambda: answers(uploader, path), 30)
    offset = uploader.offset(path)
    assert 0 < offset <= 20 * MIB
    status, _answer, headers = uploader.patch(path, offset, content[offset:])
    assert status == 204
    sha256 = upload_site.value(
        f"SELECT sha256 FROM chat_attachment WHERE id = {headers['Attachment-Id']}"
    )
    assert sha256 == hashlib.sha256(content).hexdigest()
    assert incoming(upload_site) == []


def answers(person: Person, path: str) -> bool:
    try:
        return person.ask("HEAD", path, Tus_Resumable="1.0.0")[0] == 200
    except OSError:  # of a worker that was killed
        return False


@pytest.mark.parametrize(("way", "seconds"), [("form", 61), ("creation", 301)])
def test_what_a_worker_leaves_that_is_killed_before_it_could_answer(
    way: str, seconds: int, uploader: Person, upload_server: Server, upload_site: Installation
) -> None:
    """Its client cannot go on with it, so that its room is soon free again."""
    body = multipart(os.urandom(5 * MIB)) if way == "form" else os.urandom(20 * MIB)
    headers = {
        "form": {"Content-Type": FORM},
        "creation": {
            "Content-Type": PART, "Tus-Resumable": "1.0.0", "Upload-Length": str(len(body))
        },
    }[way]  # fmt: skip
    connection = uploader.connect()
    folder = "upload" if way == "form" else "uploads"
    connection.putrequest("POST", f"/api/chat/{folder}/?conversation={uploader.conversation}")
    for name, value in {
        **uploader.headers, **headers, "Content-Length": str(len(body))
    }.items():  # fmt: skip
        connection.putheader(name, value)
    connection.endheaders(body[: len(body) - MIB])
    written = (len(body) - 3 * MIB) // MIB * MIB
    eventually(
        "it is received", lambda: [size(p) >= written for p in incoming(upload_site)] == [True], 30
    )

    upload_server.kill_workers()
    connection.close()

    (left,) = incoming(upload_site)
    os.utime(left, (0, 0))
    held = (
        "SELECT id FROM chat_uploadreservation WHERE owner_id = "
        f"(SELECT created_by_id FROM chat_conversation WHERE id = {uploader.conversation})"
    )
    assert len(upload_site.query(held)) == 1
    upload_site.python(
        "from datetime import timedelta; from unittest.mock import patch;"
        "from django.utils import timezone; from moderation import housekeeping;"
        f"soon = timezone.now() + timedelta(seconds={seconds});"
        "patch('django.utils.timezone.now', lambda: soon).start();"
        "housekeeping.sweep_uploads()"
    )
    assert incoming(upload_site) == []
    assert upload_site.query(held) == []
    eventually("the server answers", lambda: answers(uploader, uploader.messages), 30)


def test_a_client_that_is_gone_without_a_word(uploader: Person, upload_site: Installation) -> None:
    """The connection stays open and nothing comes any more: the lock is free after a while."""
    content = os.urandom(2 * MIB)
    _status, path = uploader.create(len(content))
    with closing(uploader.begin_patch(path, 0, len(content))) as connection:
        connection.send(content[:MIB])
        eventually(
            "it is written to", lambda: [size(p) for p in incoming(upload_site)] == [MIB], 20
        )
        assert uploader.patch(path, 0, content)[0] == 423

        response = connection.getresponse()

        assert (response.status, json.load(response)["code"]) == (400, "incomplete_body")
    assert uploader.offset(path) == MIB
    assert uploader.patch(path, MIB, content[MIB:])[0] == 204


def test_memory_stays_flat(uploader: Person, upload_server: Server) -> None:
    """300 MB once as a form, once resumable."""
    before = peak_memory(upload_server)
    block = bytes(MIB)
    head, _, tail = multipart(b"|").partition(b"|")
    path = f"/api/chat/upload/?conversation={uploader.conversation}"

    status, made, _ = uploader.ask("POST", path, chain(head, block, 300, tail), Content_Type=FORM)
    assert (status, made["size"]) == (201, 300 * MIB)
    assert uploader.ask("DELETE", f"/api/chat/attachments/{made['id']}/")[0] == 204
    _status, upload = uploader.create(300 * MIB)
    length = str(300 * MIB)
    status, _, headers = uploader.patch(
        upload, 0, chain(b"", block, 300, b""), Content_Length=length
    )
    assert status == 204
    uploader.ask("DELETE", f"/api/chat/attachments/{headers['Attachment-Id']}/")

    assert peak_memory(upload_server) - before < 64 * MIB


def chain(head: bytes, block: bytes, number: int, tail: bytes) -> Iterator[bytes]:
    yield from filter(None, (head, *[block] * number, tail))


def peak_memory(server: Server) -> int:
    """Bytes that the largest worker had resident."""
    statuses = [Path(f"/proc/{pid}/status").read_text() for pid in server.workers()]
    return max(int(status.partition("VmHWM:")[2].split()[0]) * 1024 for status in statuses)


def test_a_disk_that_fills_up(upload_site: Installation) -> None:
    """A real one of 6 MB, in a mount namespace of the server's own."""
    if subprocess.run(["unshare", "-rm", "true"], capture_output=True, check=False).returncode:
        pytest.skip("this machine gives no mount namespace: a full disk cannot be made")
    disk = upload_site.data_dir / "disk"
    disk.mkdir()
    mount = f'mount -t tmpfs -o size=6m none {disk} && mkdir {disk}/incoming && exec "$@"'
    prefix = ("unshare", "-rm", "sh", "-c", mount, "sh")
    folders = {"MEDIA_ROOT": f"{disk}/media", "UPLOAD_TEMP_DIR": f"{disk}/incoming"}
    with serving(Server(upload_site, prefix, **folders)) as server:
        (person,) = server.people(0)
        assert server.process is not None
        inside = Path(f"/proc/{server.process.pid}/root{disk}")

        def files() -> list[str]:
            return [path.name for path in inside.rglob("*") if path.is_file()]

        status, answer = person.send_form(os.urandom(8 * MIB))
        assert (status, answer["code"]) == (507, "no_room")
        assert files() == []
        assert person.create(8 * MIB)[0] == 507

        content = os.urandom(4 * MIB)
        uploads = [person.create(len(content))[1] for _ in range(2)]
        assert person.patch(uploads[0], 0, content[: 3 * MIB])[0] == 204
        assert person.patch(uploads[1], 0, content[:MIB])[0] == 204
        status, answer, _ = person.patch(uploads[1], MIB, content[MIB:])
        assert (status, answer["code"]) == (507, "no_room")
        assert person.offset(uploads[1]) == MIB
        assert person.ask("DELETE", uploads[0], Tus_Resumable="1.0.0")[0] == 204

        status, _, headers = person.patch(uploads[1], MIB, content[MIB:])
        assert status == 204
        made = headers["Attachment-Id"]
        downloaded = next((inside / "media").rglob("attachments/*/*/*")).read_bytes()
        assert downloaded == content
        assert person.ask("DELETE", f"/api/chat/attachments/{made}/")[0] == 204
        assert files() == []
