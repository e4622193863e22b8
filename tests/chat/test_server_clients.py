"""Resumable uploads with the clients that other people use, unmodified."""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.chat.upload_server import QUOTA, Person, Server
from tests.clips import clip
from tests.machine import JAVASCRIPT, node
from tests.running import ROOT, eventually

pytestmark = pytest.mark.xdist_group("upload server")


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


def test_tuspy(uploader: Person, upload_server: Server, tmp_path: Path) -> None:
    """Interrupted; after a restart of the server another process goes on, with checksums."""
    whole = clip().stat().st_size
    assert with_tuspy(uploader, tmp_path, stop_at=8000) == [0, 8000, None]
    upload_server.restart()

    began, ended, attachment = with_tuspy(uploader, tmp_path)

    assert (began, ended) == (8000, whole)
    made = uploader.attachment(attachment)
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


def test_tus_js_client(uploader: Person, upload_server: Server, tmp_path: Path) -> None:
    """Ended in the middle; begun again it goes on, over a restart of the upload_server."""
    path = tmp_path / "beach.mp4"
    shutil.copy(clip(), path)
    whole = path.stat().st_size
    with in_node(uploader, path, tmp_path, chunkSize=4000, stopAt=8000) as first:
        lines = [json.loads(line) for line in first.stdout]
    assert lines[-1] == {"sent": 8000}

    with in_node(uploader, path, tmp_path, chunkSize=4000, pauseAt=12_000) as second:
        told = [json.loads(second.stdout.readline()) for _ in range(4)]
        assert told == [{"resumed": True}, {"asked": "HEAD"}, {"asked": "PATCH"}, {"sent": 12_000}]
        upload_server.stop()
        eventually("it tries again", lambda: "HEAD" in second.stdout.readline(), 30)
        upload_server.start()
        lines = [json.loads(line) for line in second.stdout]

    done = lines[-1]
    assert done["offset"] == str(whole)
    made = uploader.attachment(done["attachment"])
    assert (made["processing_state"], made["size"]) == ("ready", whole)


def test_tus_js_client_does_not_repeat_what_is_refused(uploader: Person, tmp_path: Path) -> None:
    path = tmp_path / "notes.mp4"
    path.write_bytes(b"no video " * 2000)
    kind = {"conversation": str(uploader.conversation), "kind": "video"}
    cases = {
        "quota_exceeded": (403, {"size": QUOTA}),
        "not_a_video": (415, {"metadata": kind}),
        "not_found": (404, {"metadata": {"conversation": "4711"}}),
    }
    assert uploader.send_form(b"a")[0] == 201  # no room for a whole quota any more
    for code, (status, options) in cases.items():
        with in_node(uploader, path, tmp_path / code, **options) as running:
            lines = [json.loads(line) for line in running.stdout]
        assert lines[-1]["status"] == status, code
        assert lines[-1]["code"] == code
        asked = [line["asked"] for line in lines if "asked" in line]
        assert asked == (["POST", "PATCH"] if code == "not_a_video" else ["POST"])
