"""`make run` as a person meets it: at a terminal, with Ctrl-C, twice, and when something dies."""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.moderation.installation import NEW, migrated_file
from tests.running import ROOT, RunningCopy, eventually, free_port, supported

pytestmark = [
    pytest.mark.skipif(not supported(), reason="reads /proc to see what is left"),
    pytest.mark.xdist_group("make"),
]

ADMIN = {"ADMIN_USERNAME": "keeper", "ADMIN_PASSWORD": "a long way to go 42"}


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Callable[..., RunningCopy]]:
    """Starts copies; the same DATA_DIR unless told otherwise, so a second call starts again.  Most
    find a database there, which spares them the migrations of a first start."""
    copies: list[RunningCopy] = []

    def start(data_dir: Path | None = None, *, first: bool = False, **options: str) -> RunningCopy:
        folder = data_dir or tmp_path / "data"
        if not first and not folder.exists():
            folder.mkdir()
            shutil.copyfile(migrated_file(), folder / "db.sqlite3")
        copies.append(RunningCopy(folder, **options))
        return copies[-1]

    yield start
    for copy in copies:
        copy.clear_away()


def token(copy: RunningCopy) -> str:
    body = {"username": "admin", "password": NEW["ADMIN_PASSWORD"]}
    request = urllib.request.Request(
        copy.url + "/api/auth/token/",
        json.dumps(body).encode(),
        {"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=30) as answer:
        return str(json.load(answer)["token"])


def conversations(copy: RunningCopy, key: str) -> list[str]:
    with copy.get("/api/chat/conversations/", Authorization=f"Token {key}") as answer:
        return [conversation["title"] for conversation in json.load(answer)["results"]]


def test_it_serves_and_ctrl_c_stops_it_without_a_trace(run: Callable[..., RunningCopy]) -> None:
    copy = run(first=True, **ADMIN).wait_until_serving()
    page = copy.get("/moderation/sign-in/").read().decode()
    assert copy.url in copy.output

    # Static files: named after their content, so that browsers may keep them for good.
    name = re.search(r'href="(/static/[^"]+\.[0-9a-f]{12}\.css)"', page)
    assert name, page
    assert "immutable" in copy.get(name[1]).headers["Cache-Control"]

    copy.press_ctrl_c()
    assert copy.wait_for_exit(12) == 0
    assert "***" not in copy.output
    copy.assert_nothing_left(1)
    assert (copy.data_dir / "secret_key").stat().st_mode & 0o077 == 0


def test_starting_again_is_quick_and_keeps_the_data(run: Callable[..., RunningCopy]) -> None:
    copy = run().wait_until_serving()
    key = token(copy)
    request = urllib.request.Request(
        copy.url + "/api/chat/conversations/",
        b'{"title": "Kept", "participants": []}',
        {"Content-Type": "application/json", "Authorization": f"Token {key}"},
    )
    urllib.request.urlopen(request, timeout=30).close()
    copy.press_ctrl_c()
    copy.wait_for_exit(12)

    began = time.monotonic()
    again = run().wait_until_serving()
    assert time.monotonic() - began < 30
    assert conversations(again, key) == ["Kept"]
    assert "Installing" not in again.output


def test_what_is_killed_comes_back(run: Callable[..., RunningCopy]) -> None:
    copy = run().wait_until_serving()
    for find in (copy.web_server, copy.consumer, lambda: copy.consumer("uploads")):
        killed = find()
        family = set(copy.processes())
        os.kill(killed, signal.SIGKILL)
        eventually(
            "another one takes its place", lambda k=killed, f=find: f() not in (None, k), 30
        )
        # Nothing that the dead one had started goes on beside the new one.
        eventually(
            f"its children are gone, {copy.processes()}",
            lambda f=family: len(set(copy.processes()) & f) <= len(f) - 3,
            10,
        )
    eventually("the site answers again", copy.answers, 30)
    copy.press_ctrl_c()
    assert copy.wait_for_exit(12) == 0
    copy.assert_nothing_left(1)


def test_ctrl_c_while_it_starts_leaves_no_trace_either(run: Callable[..., RunningCopy]) -> None:
    copy = run()
    eventually("supervisor runs", copy.supervisor, 60)
    eventually("so does what it starts", copy.consumer, 30)
    copy.press_ctrl_c()
    assert copy.wait_for_exit(12) == 0
    copy.assert_nothing_left(1)
    assert "Traceback" not in copy.output


def test_closing_the_window_stops_it(run: Callable[..., RunningCopy]) -> None:
    copy = run().wait_until_serving()
    copy.close_window()
    copy.assert_nothing_left()


def test_nothing_outlives_a_killed_supervisor(run: Callable[..., RunningCopy]) -> None:
    copy = run().wait_until_serving()
    os.kill(copy.supervisor() or 0, signal.SIGKILL)
    copy.assert_nothing_left()


def test_terminating_make_stops_it(run: Callable[..., RunningCopy]) -> None:
    copy = run().wait_until_serving()
    os.kill(copy.pid, signal.SIGTERM)
    copy.wait_for_exit(12)
    copy.assert_nothing_left(1)


def test_the_logs_come_out_where_standard_output_cannot_be_opened(tmp_path: Path) -> None:
    """As after `su`, or with a parent that talks through sockets."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        environment = {**os.environ, "DATA_DIR": str(tmp_path), "PORT": str(free_port())}
        (tmp_path / "static").mkdir()
        serving = subprocess.Popen(
            [sys.executable, "-m", "config.serve"],
            cwd=ROOT,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=theirs,
            stderr=theirs,
        )
        theirs.close()
        ours.settimeout(30)
        output = ""
        while output.count("Huey consumer started") < 2 or "Listening at" not in output:
            output += ours.recv(65536).decode()
        serving.send_signal(signal.SIGTERM)
        assert serving.wait(12) == 0
        while piece := ours.recv(65536):  # to the end: nobody holds the other side any more
            output += piece.decode()
    assert "Shutting down: Master" in output


def test_a_taken_port_is_said_in_one_sentence(run: Callable[..., RunningCopy]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        copy = run(port=port)
        assert copy.wait_for_exit(60) == 2  # make's own status for a failed command
    assert f"Port {port} is taken by another program" in copy.output
    assert "Traceback" not in copy.output


def test_two_copies_run_side_by_side_and_a_long_path_is_no_trouble(
    run: Callable[..., RunningCopy], tmp_path: Path
) -> None:
    long = tmp_path / "a folder with spaces" / ("very-" * 30)
    long.parent.mkdir()
    copies = [run(tmp_path / "first"), run(long)]
    for copy in copies:
        copy.wait_until_serving()
    for copy in copies:
        copy.press_ctrl_c()
        assert copy.wait_for_exit(15) == 0
        copy.assert_nothing_left(1)
