"""Folders that a worker leaves when it is killed are swept; those of the living are not."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from chat.services.media_helper import MediaHelper
from chat.services.scratch import PREFIX, YOUNG_SECONDS, scratch_folder, sweep_scratch

WORKER = """
import django; django.setup()
from chat.services.media_runner import run
from chat.services.sandbox.layers import Limits
from chat.services.scratch import scratch_folder
with scratch_folder() as folder:
    script = 'echo begun > begun; exec sleep 60'
    run(['/bin/sh', '-c', script], Limits(60, 60, 512 * 1024**2, 10**6), folder)
"""


@pytest.fixture
def place(tmp_path, monkeypatch) -> Path:
    folder = tmp_path / "place"
    folder.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    return folder


def aged(path: Path) -> Path:
    """As if it had been made long ago."""
    long_ago = time.time() - 10 * YOUNG_SECONDS
    os.utime(path, (long_ago, long_ago), follow_symlinks=False)
    return path


def begin(place: Path, tmp_path: Path) -> "subprocess.Popen[bytes]":
    """A worker whose child has begun."""
    environment = {
        **os.environ,
        "TMPDIR": str(place),
        "DATA_DIR": str(tmp_path / "data"),
        "DJANGO_SETTINGS_MODULE": "config.settings",
    }
    project = Path(__file__).parents[2]
    worker = subprocess.Popen([sys.executable, "-c", WORKER], cwd=project, env=environment)
    deadline = time.monotonic() + 30
    while not list(place.glob(f"{PREFIX}*/begun")):
        assert worker.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return worker


def test_a_killed_worker_s_folder_is_swept_and_a_living_one_s_is_not(place, tmp_path):
    worker = begin(place, tmp_path)
    try:
        (folder,) = place.glob(f"{PREFIX}*")
        aged(folder)
        assert sweep_scratch() == 0  # it lives
        assert folder.is_dir()
        os.kill(worker.pid, signal.SIGKILL)
    finally:
        worker.kill()
        worker.wait()
    assert folder.is_dir()  # kill -9 left it
    deadline = time.monotonic() + 5
    while not sweep_scratch():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert list(place.iterdir()) == []


def test_a_new_media_helper_sweeps(place):
    left = place / f"{PREFIX}left"
    left.mkdir()
    (left / "preview.mp4").write_bytes(b"x")
    aged(left)
    helper = MediaHelper(1, frozenset())
    helper.known_tasks()
    helper.stop()
    assert list(place.iterdir()) == []


def test_a_folder_is_deleted_by_who_made_it(place):
    with scratch_folder() as folder:
        (folder / "file").touch()
        aged(folder)
        assert sweep_scratch() == 0
    assert list(place.iterdir()) == []


def test_what_is_young_or_not_ours_or_no_folder_stays(place, tmp_path):
    target = tmp_path / "target"
    target.mkdir()
    (target / "file").touch()
    (place / f"{PREFIX}young").mkdir()
    (place / f"{PREFIX}link").symlink_to(target)
    (place / f"{PREFIX}file").touch()
    os.mkfifo(place / f"{PREFIX}pipe")
    (place / "offchat-other").mkdir()
    for name in ("link", "file", "pipe"):
        aged(place / f"{PREFIX}{name}")
    aged(place / "offchat-other")
    there = set(place.iterdir())
    assert sweep_scratch() == 0
    assert set(place.iterdir()) == there
    assert (target / "file").exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder away")
def test_another_user_s_folder_stays(place):
    theirs = place / f"{PREFIX}theirs"
    theirs.mkdir()
    os.chown(theirs, 65534, 65534)
    aged(theirs)
    assert sweep_scratch() == 0
    assert theirs.is_dir()
