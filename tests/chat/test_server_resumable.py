"""Uploads through a real server: in parallel, killed, stalled, on a full disk, and with the
clients that other people use."""

import hashlib
import json
import os
import random
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.chat.upload_server import FORM, PART, Person, Server, multipart, serving
from tests.clips import clip
from tests.machine import JAVASCRIPT, node
from tests.moderation.installation import Installation, installation
from tests.running import ROOT, eventually

pytestmark = pytest.mark.xdist_group("upload server")

MIB = 1024 * 1024
QUOTA = 400 * MIB
SMALL = 150_000
STALL_SECONDS = 4
every_database = pytest.mark.every_database


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    with installation(
        tmp_path_factory.mktemp("uploads") / "data",
        UPLOAD_MAX_BYTES=str(QUOTA),
        USER_QUOTA_BYTES=str(QUOTA),
        UPLOAD_PENDING_MAX_COUNT="15",
        UPLOAD_PENDING_MAX_BYTES=str(350 * MIB),
        UPLOAD_STALL_SECONDS=str(STALL_SECONDS),
        THROTTLE="0",
    ) as made:
        yield made


@pytest.fixture(scope="module")
def server(site: Installation) -> Iterator[Server]:
    with serving(Server(site)) as running:
        yield running


@pytest.fixture(scope="module")
def newcomers(server: Server) -> list[Person]:
    return server.people(*[0] * 13)


@pytest.fixture
def person(newcomers: list[Person]) -> Person:
    """Someone new in a conversation of their own."""
    return newcomers.pop()


@pytest.fixture(scope="module")
def nearly_full(server: Server) -> list[Person]:
    """People with room for five small files."""
    return server.people(*[QUOTA - 5 * SMALL] * 3)


def at_once(number: int, do: Callable[[int], Any]) -> list[Any]:
    """What so many calls return that begin together."""
    barrier = threading.Barrier(number)

    def begin(index: int) -> Any:
        barrier.wait()
        return do(index)

    with ThreadPoolExecutor(number) as pool:
        return list(pool.map(begin, range(number)))


def size(path: Path) -> int:
    return path.stat().st_size


def incoming(site: Installation) -> list[Path]:
    return [path for path in (site.data_dir / "incoming").iterdir() if path.is_file()]


@every_database
@pytest.mark.parametrize("way", ["form", "message", "resumable"])
def test_ten_at_once_fill_the_quota_to_the_byte(way: str, nearly_full: list[Person]) -> None:
    person = nearly_full.pop()
    content = os.urandom(SMALL)
    send: dict[str, Callable[[int], int]] = {
        "form": lambda _: person.send_form(content)[0],
        "message": lambda _: person.send_form(content, person.messages, "files")[0],
        "resumable": lambda _: person.create(SMALL)[0],
    }

    statuses = at_once(10, send[way])

    assert sorted(statuses) == [201] * 5 + [403] * 5
    assert person.send_form(b"a")[0] == 403


@every_database
@pytest.mark.parametrize(("number", "length", "taken"), [(20, 10, 15), (10, 50 * MIB, 7)])
def test_so_many_and_so_much_on_its_way(
    number: int, length: int, taken: int, person: Person
) -> None:
    statuses = at_once(number, lambda _: person.create(length)[0])

    assert sorted(statuses) == [201] * taken + [429] * (number - taken)


@every_database
def test_ten_requests_with_one_key_make_one_attachment(person: Person) -> None:
    path = f"/api/chat/upload/?conversation={person.conversation}"
    body = multipart(os.urandom(100_000))

    answers = at_once(
        10, lambda _: person.ask("POST", path, body, Content_Type=FORM, Idempotency_Key="k")
    )

    made = {answer["id"] for status, answer, _ in answers if status == 201}
    assert len(made) == 1
    assert {status for status, _, _ in answers} <= {201, 409}
    status, again, _ = person.ask("POST", path, body, Content_Type=FORM, Idempotency_Key="k")
    assert (status, again["id"]) == (201, *made)


@every_database
def test_ten_writers_of_one_upload(person: Person) -> None:
    content = os.urandom(3 * MIB)
    _status, path = person.create(len(content))

    answers = at_once(10, lambda _: person.patch(path, 0, content))

    statuses = sorted(status for status, _, _ in answers)
    assert statuses[0] == 204
    assert set(statuses[1:]) <= {409, 423}
    (made,) = (headers["Attachment-Id"] for status, _, headers in answers if status == 204)
    assert person.attachment(made)["size"] == len(content)
    listed = person.ask("GET", person.messages)[1]
    assert listed["results"] == []


def test_a_killed_worker_loses_no_more_than_was_never_told(
    person: Person, server: Server, site: Installation
) -> None:
    content = random.Random(1).randbytes(40 * MIB)
    _status, path = person.create(len(content))
    connection = person.begin_patch(path, 0, len(content))
    connection.send(content[: 20 * MIB])
    eventually("a part is on record", lambda: person.offset(path), 30)

    server.kill_workers()
    connection.close()

    eventually("the server answers", lambda: answers(person, path), 30)
    offset = person.offset(path)
    assert 0 < offset <= 20 * MIB
    status, _answer, headers = person.patch(path, offset, content[offset:])
    assert status == 204
    sha256 = site.value(
        f"SELECT sha256 FROM chat_attachment WHERE id = {headers['Attachment-Id']}"
    )
    assert sha256 == hashlib.sha256(content).hexdigest()
    assert incoming(site) == []


def answers(person: Person, path: str) -> bool:
    try:
        return person.ask("HEAD", path, Tus_Resumable="1.0.0")[0] == 200
    except OSError:  # of a worker that was killed
        return False


@pytest.mark.parametrize(("way", "seconds"), [("form", 61), ("creation", 301)])
def test_what_a_worker_leaves_that_is_killed_before_it_could_answer(
    way: str, seconds: int, person: Person, server: Server, site: Installation
) -> None:
    """Its client cannot go on with it, so that its room is soon free again."""
    body = multipart(os.urandom(5 * MIB)) if way == "form" else os.urandom(20 * MIB)
    headers = {
        "form": {"Content-Type": FORM},
        "creation": {
            "Content-Type": PART, "Tus-Resumable": "1.0.0", "Upload-Length": str(len(body))
        },
    }[way]  # fmt: skip
    connection = person.connect()
    folder = "upload" if way == "form" else "uploads"
    connection.putrequest("POST", f"/api/chat/{folder}/?conversation={person.conversation}")
    for name, value in {
        **person.headers, **headers, "Content-Length": str(len(body))
    }.items():  # fmt: skip
        connection.putheader(name, value)
    connection.endheaders(body[: len(body) - MIB])
    written = (len(body) - 3 * MIB) // MIB * MIB
    eventually(
        "it is received", lambda: [size(p) >= written for p in incoming(site)] == [True], 30
    )

    server.kill_workers()
    connection.close()

    (left,) = incoming(site)
    os.utime(left, (0, 0))
    held = (
        "SELECT id FROM chat_uploadreservation WHERE owner_id = "
        f"(SELECT created_by_id FROM chat_conversation WHERE id = {person.conversation})"
    )
    assert len(site.query(held)) == 1
    site.python(
        "from datetime import timedelta; from unittest.mock import patch;"
        "from django.utils import timezone; from moderation import housekeeping;"
        f"soon = timezone.now() + timedelta(seconds={seconds});"
        "patch('django.utils.timezone.now', lambda: soon).start();"
        "housekeeping.sweep_uploads()"
    )
    assert incoming(site) == []
    assert site.query(held) == []
    eventually("the server answers", lambda: answers(person, person.messages), 30)


def test_a_client_that_is_gone_without_a_word(person: Person, site: Installation) -> None:
    """The connection stays open and nothing comes any more: the lock is free after a while."""
    content = os.urandom(2 * MIB)
    _status, path = person.create(len(content))
    with closing(person.begin_patch(path, 0, len(content))) as connection:
        connection.send(content[:MIB])
        eventually("it is written to", lambda: [size(p) for p in incoming(site)] == [MIB], 20)
        assert person.patch(path, 0, content)[0] == 423

        response = connection.getresponse()

        assert (response.status, json.load(response)["code"]) == (400, "incomplete_body")
    assert person.offset(path) == MIB
    assert person.patch(path, MIB, content[MIB:])[0] == 204


def test_memory_stays_flat(person: Person, server: Server) -> None:
    """300 MB once as a form, once resumable."""
    before = peak_memory(server)
    block = bytes(MIB)
    head, _, tail = multipart(b"|").partition(b"|")
    path = f"/api/chat/upload/?conversation={person.conversation}"

    status, made, _ = person.ask("POST", path, chain(head, block, 300, tail), Content_Type=FORM)
    assert (status, made["size"]) == (201, 300 * MIB)
    assert person.ask("DELETE", f"/api/chat/attachments/{made['id']}/")[0] == 204
    _status, upload = person.create(300 * MIB)
    length = str(300 * MIB)
    status, _, headers = person.patch(
        upload, 0, chain(b"", block, 300, b""), Content_Length=length
    )
    assert status == 204
    person.ask("DELETE", f"/api/chat/attachments/{headers['Attachment-Id']}/")

    assert peak_memory(server) - before < 64 * MIB


def chain(head: bytes, block: bytes, number: int, tail: bytes) -> Iterator[bytes]:
    yield from filter(None, (head, *[block] * number, tail))


def peak_memory(server: Server) -> int:
    """Bytes that the largest worker had resident."""
    statuses = [Path(f"/proc/{pid}/status").read_text() for pid in server.workers()]
    return max(int(status.partition("VmHWM:")[2].split()[0]) * 1024 for status in statuses)


def test_a_disk_that_fills_up(site: Installation) -> None:
    """A real one of 6 MB, in a mount namespace of the server's own."""
    if subprocess.run(["unshare", "-rm", "true"], capture_output=True, check=False).returncode:
        pytest.skip("this machine gives no mount namespace: a full disk cannot be made")
    disk = site.data_dir / "disk"
    disk.mkdir()
    mount = f'mount -t tmpfs -o size=6m none {disk} && mkdir {disk}/incoming && exec "$@"'
    prefix = ("unshare", "-rm", "sh", "-c", mount, "sh")
    folders = {"MEDIA_ROOT": f"{disk}/media", "UPLOAD_TEMP_DIR": f"{disk}/incoming"}
    with serving(Server(site, prefix, **folders)) as server:
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


# --- Other people's clients ---------------------------------------------------------------------


def with_tuspy(person: Person, tmp_path: Path, **options: Any) -> Any:
    given = {
        "endpoint": person.endpoint,
        "headers": person.headers,
        "path": str(clip()),
        "urls": str(tmp_path / "urls.json"),
        "metadata": {"conversation": str(person.conversation), "filename": "beach.mp4"},
        "chunk_size": 4000,
        **options,
    }
    command = [sys.executable, "-m", "tests.chat.upload_with_tuspy", json.dumps(given)]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, check=True, text=True, timeout=60)
    return json.loads(ran.stdout)


def test_tuspy(person: Person, server: Server, tmp_path: Path) -> None:
    """Interrupted; after a restart of the server another process goes on, with checksums."""
    whole = size(clip())
    assert with_tuspy(person, tmp_path, stop_at=8000) == [0, 8000, None]
    server.restart()

    began, ended, attachment = with_tuspy(person, tmp_path)

    assert (began, ended) == (8000, whole)
    made = person.attachment(attachment)
    assert (made["original_name"], made["processing_state"]) == ("beach.mp4", "ready")
    assert made["size"] == whole


def in_node(person: Person, path: Path, tmp_path: Path, **options: Any) -> Any:
    """Runs upload.mjs there; it prints a line of JSON for each thing that happens."""
    given = {
        "endpoint": person.endpoint,
        "token": person.token,
        "path": str(path),
        "urls": str(tmp_path / "urls.json"),
        "metadata": {"conversation": str(person.conversation), "filename": path.name},
        **options,
    }
    return subprocess.Popen(
        [node(), "upload.mjs", json.dumps(given)],
        cwd=JAVASCRIPT,
        stdout=subprocess.PIPE,
        text=True,
    )


def test_tus_js_client(person: Person, server: Server, tmp_path: Path) -> None:
    """Ended in the middle; begun again it goes on, over a restart of the server."""
    path = tmp_path / "beach.mp4"
    shutil.copy(clip(), path)
    whole = size(path)
    with in_node(person, path, tmp_path, chunkSize=4000, stopAt=8000) as first:
        lines = [json.loads(line) for line in first.stdout]
    assert lines[-1] == {"sent": 8000}

    with in_node(person, path, tmp_path, chunkSize=4000, pauseAt=12_000) as second:
        told = [json.loads(second.stdout.readline()) for _ in range(4)]
        assert told == [{"resumed": True}, {"asked": "HEAD"}, {"asked": "PATCH"}, {"sent": 12_000}]
        server.stop()
        eventually("it tries again", lambda: "HEAD" in second.stdout.readline(), 30)
        server.start()
        lines = [json.loads(line) for line in second.stdout]

    done = lines[-1]
    assert done["offset"] == str(whole)
    made = person.attachment(done["attachment"])
    assert (made["processing_state"], made["size"]) == ("ready", whole)


def test_tus_js_client_does_not_repeat_what_is_refused(person: Person, tmp_path: Path) -> None:
    path = tmp_path / "notes.mp4"
    path.write_bytes(b"no video " * 2000)
    kind = {"conversation": str(person.conversation), "kind": "video"}
    cases = {
        "quota_exceeded": (403, {"size": QUOTA}),
        "not_a_video": (415, {"metadata": kind}),
        "not_found": (404, {"metadata": {"conversation": "4711"}}),
    }
    assert person.send_form(b"a")[0] == 201  # no room for a whole quota any more
    for code, (status, options) in cases.items():
        with in_node(person, path, tmp_path / code, **options) as running:
            lines = [json.loads(line) for line in running.stdout]
        assert lines[-1]["status"] == status, code
        assert lines[-1]["code"] == code
        asked = [line["asked"] for line in lines if "asked" in line]
        assert asked == (["POST", "PATCH"] if code == "not_a_video" else ["POST"])
