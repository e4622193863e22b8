"""`manage.py backfill_video_metadata` as real processes: a terminal, signals, workers, steering
from elsewhere."""

import json
import os
import pty
import shutil
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.clips import clip
from tests.moderation.installation import Installation, Process, installation
from tests.running import ROOT, eventually

VIDEOS = 8
READY = "SELECT count(*) FROM chat_attachment WHERE processing_state = 'ready'"
STATUS = "SELECT status FROM moderation_job"
HELD = "SELECT count(*) FROM moderation_chunk WHERE owner != ''"
PROCESSED = "SELECT count(*) FROM chat_activitylog WHERE action = 'attachment_processed'"


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data folder of an installation with eight videos that nothing was done to."""
    folder = tmp_path_factory.mktemp("archive")
    for number in range(VIDEOS):
        (folder / f"{number}.mp4").write_bytes(clip().read_bytes() + bytes([number]))
    data_dir = tmp_path_factory.mktemp("made") / "data"
    with installation(data_dir) as site:
        site.manage(
            "import_videos", str(folder), "--conversation", "A", "--user", "admin", "--create"
        )
    return data_dir


@pytest.fixture
def slow_site(archive: Path, tmp_path: Path) -> Iterator[Installation]:
    """A copy of it in which each video takes a second: an ffprobe that waits before it works."""
    slow = tmp_path / "ffprobe"
    slow.write_text('#!/bin/sh\nsleep 1\nexec ffprobe "$@"\n')
    slow.chmod(0o755)
    tools = {"MEDIA_ENGINE": "ffmpeg", "MEDIA_SANDBOX": "off", "FFPROBE_BINARY": str(slow)}
    shutil.copytree(archive, tmp_path / "data")
    site = Installation(tmp_path / "data", **tools)
    yield site
    site.clear_away()


def begun(site: Installation, *arguments: str) -> Process:
    """The command, once its first video is ready."""
    process = site.start("backfill_video_metadata", *arguments)
    eventually("the first is ready", lambda: site.value(READY) > 0, 40)
    return process


def ended(process: Process, status: int) -> str:
    output, _ = process.communicate(timeout=30)
    assert process.returncode == status, output
    assert "Traceback" not in output
    return output


def nothing_is_left_running(site: Installation) -> None:
    eventually("no process of it is left", lambda: not site.processes(), 10)


def all_were_done_once(site: Installation, *, killed: bool = False) -> None:
    assert site.query(STATUS) == ["done"]
    assert site.value(READY) == VIDEOS
    assert site.value(PROCESSED) == VIDEOS
    media = site.data_dir / "media"
    if killed:  # what was stored and not yet recorded is swept, a day later, and nothing else
        for path in media.rglob("*"):
            os.utime(path, (0, 0))
        site.manage("sweep_files", "--delete")
    stored = {str(path.relative_to(media)) for path in media.rglob("posters/**/*.jpg")}
    named = set(site.query("SELECT thumbnail FROM chat_attachment"))
    assert len(named) == VIDEOS
    assert named == stored


def fast(site: Installation) -> None:
    site.environment.pop("FFPROBE_BINARY", None)


@pytest.mark.parametrize(
    ("signum", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)]
)
def test_told_to_stop_it_leaves_a_job_that_resumes(
    signum: signal.Signals, status: int, slow_site: Installation
) -> None:
    process = begun(slow_site)
    os.kill(process.pid, signum)
    output = ended(process, status)
    assert "Job 1 is paused with " in output
    assert "manage.py backfill_video_metadata --resume 1" in output
    assert "manage.py jobs resume 1" in output
    assert slow_site.query(STATUS) == ["paused"]
    assert slow_site.value(HELD) == 0
    assert not slow_site.processes()
    ready = slow_site.value(READY)
    assert 0 < ready < VIDEOS
    assert len(list((slow_site.data_dir / "media/posters").rglob("*.jpg"))) == ready
    fast(slow_site)
    result = slow_site.manage_json("backfill_video_metadata", "--resume", "1")
    assert (result["job"], result["ready"]) == (1, VIDEOS)
    all_were_done_once(slow_site)


def test_interrupted_with_json_it_says_one_object_still(slow_site: Installation) -> None:
    process = begun(slow_site, "--json")
    process.send_signal(signal.SIGINT)
    result = json.loads(ended(process, 130))
    assert (result["job"], result["status"], result["total"]) == (1, "paused", VIDEOS)
    assert 0 < result["ready"] == slow_site.value(READY) < VIDEOS


def test_killed_it_is_resumed_at_once(slow_site: Installation) -> None:
    slow_site.environment["JOB_LEASE_SECONDS"] = "300"
    process = begun(slow_site, "--workers", "2")
    eventually("both work", lambda: slow_site.value(HELD) == 2, 20)
    process.kill()
    process.wait()
    nothing_is_left_running(slow_site)
    assert slow_site.query(STATUS) == ["running"]
    fast(slow_site)
    started = time.monotonic()
    result = slow_site.manage_json("backfill_video_metadata", "--resume", "1")
    assert time.monotonic() - started < 30  # it waited for no lease
    assert result["ready"] == VIDEOS
    all_were_done_once(slow_site, killed=True)


def test_two_workers_share_the_chunks(slow_site: Installation) -> None:
    process = slow_site.start("backfill_video_metadata", "--workers", "2")
    owners: set[str] = set()
    while process.poll() is None:
        owners |= set(slow_site.query("SELECT owner FROM moderation_chunk WHERE owner != ''"))
        time.sleep(0.05)
    output = ended(process, 0)
    assert "Job 1: videos without metadata; 2 workers." in output
    assert len(owners) == 2
    pids = {int(owner.rpartition(":")[2]) for owner in owners}
    assert process.pid in pids
    all_were_done_once(slow_site)
    nothing_is_left_running(slow_site)


def test_a_worker_that_dies_is_replaced(slow_site: Installation) -> None:
    process = begun(slow_site, "--workers", "2")
    eventually("both work", lambda: slow_site.value(HELD) == 2, 20)
    (worker,) = workers_of(slow_site)
    os.kill(worker, signal.SIGKILL)
    eventually("another one works", lambda: workers_of(slow_site) - {worker}, 20)
    fast(slow_site)
    output = ended(process, 0)
    assert f"{VIDEOS} ready, 0 skipped, 0 failed" in output
    all_were_done_once(slow_site, killed=True)


def workers_of(site: Installation) -> set[int]:
    return {pid for pid, line in site.processes().items() if " job_worker " in line}


def test_workers_can_be_added_while_it_runs(slow_site: Installation) -> None:
    process = begun(slow_site)
    slow_site.manage("jobs", "set", "1", "--workers", "3")
    eventually("two more", lambda: len(workers_of(slow_site)) == 2, 20)
    process.send_signal(signal.SIGINT)
    ended(process, 130)
    nothing_is_left_running(slow_site)


@pytest.mark.parametrize("workers", ["1", "2"])
def test_paused_from_elsewhere(workers: str, slow_site: Installation) -> None:
    process = begun(slow_site, "--workers", workers)
    assert "Job 1: paused." in slow_site.manage("jobs", "pause", "1")
    output = ended(process, 3)
    assert "Job 1 is paused with " in output
    assert "by jobs pause (" in output
    assert slow_site.value(HELD) == 0
    nothing_is_left_running(slow_site)


def test_cancelled_from_elsewhere(slow_site: Installation) -> None:
    process = begun(slow_site)
    slow_site.manage("jobs", "cancel", "1")
    output = ended(process, 3)
    assert "Job 1 was cancelled with " in output
    assert slow_site.query(STATUS) == ["cancelled"]
    slow_site.manage("backfill_video_metadata", "--resume", "1", status=2)


def test_outside_its_hours_it_waits(slow_site: Installation) -> None:
    """Twelve hours away from now, whatever the time."""
    fast(slow_site)
    hour = (time.gmtime().tm_hour + 12) % 24
    window = f"{hour:02}:00-{(hour + 2) % 24:02}:00"
    process = slow_site.start("backfill_video_metadata", "--window", window)
    assert process.stdout is not None
    assert next(line for line in process.stdout if "waits" in line).endswith(
        f"; waits for {hour:02}:00\n"
    )
    assert slow_site.query(STATUS) == ["planning"]
    slow_site.manage("jobs", "set", "1", "--window", "none")
    ended(process, 0)
    all_were_done_once(slow_site)


def test_followed_while_a_consumer_works(slow_site: Installation) -> None:
    fast(slow_site)
    follower = slow_site.start("backfill_video_metadata", "--follow")
    slow_site.wait_for("SELECT count(*) FROM moderation_job", 1)
    assert slow_site.value(READY) == 0
    consumer = slow_site.start("run_huey", "--workers", "1")
    output = ended(follower, 0)
    assert "Consumer of jobs: None has ever been seen. Jobs wait until one runs" in output
    assert f"{VIDEOS} ready, 0 skipped, 0 failed" in output
    consumer.send_signal(signal.SIGINT)
    consumer.communicate(timeout=20)
    all_were_done_once(slow_site)


def test_no_longer_followed_the_job_goes_on(slow_site: Installation) -> None:
    follower = slow_site.start("backfill_video_metadata", "--follow")
    slow_site.wait_for("SELECT count(*) FROM moderation_job", 1)
    follower.send_signal(signal.SIGINT)
    output = ended(follower, 130)
    assert "Job 1 goes on without this command" in output
    assert slow_site.query(STATUS) == ["planning"]


def test_ids_on_standard_input(slow_site: Installation) -> None:
    fast(slow_site)
    slow_site.manage("backfill_video_metadata", "--limit", "3")
    exported = slow_site.manage("jobs", "export", "1")
    assert exported.splitlines() == ["id,outcome,detail", "1,ready,", "2,ready,", "3,ready,"]
    source = slow_site.data_dir / "ids.csv"
    source.write_text(exported)
    with source.open() as stdin:
        done = slow_site.manage(
            "backfill_video_metadata", "--only", "all", "--ids", "-", stdin=stdin
        )
    assert "Job 2: 3 selected videos." in done
    assert "3 ready, 0 skipped, 0 failed" in done


class AtTerminal:
    """The command at a terminal of its own; ``output`` is what came out so far."""

    def __init__(self, site: Installation, *arguments: str) -> None:
        environment = {**site.environment, "TERM": "xterm", "COLUMNS": "120"}
        self.output = ""
        self.pid, self.terminal = pty.fork()
        if self.pid == 0:
            os.chdir(ROOT)
            program = [sys.executable, "manage.py", "backfill_video_metadata", *arguments]
            os.execve(sys.executable, program, environment)

    def read(self, until: str = "") -> str:
        """Up to ``until``, or all."""
        while not until or until not in self.output:
            try:
                piece = os.read(self.terminal, 65536)
            except OSError:  # Linux's way to say that the other end is closed
                break
            if not piece:
                break
            self.output += piece.decode(errors="replace")
        return self.output

    def press(self, key: bytes) -> None:
        os.write(self.terminal, key)

    def exit_status(self) -> int:
        os.close(self.terminal)
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


def test_on_a_terminal_there_is_a_bar(slow_site: Installation) -> None:
    bad = slow_site.data_dir.parent / "bad"
    bad.mkdir()
    (bad / "bad.mp4").write_bytes(b"not a video")
    slow_site.manage("import_videos", str(bad), "--conversation", "A")
    terminal = AtTerminal(slow_site)
    text = terminal.read()
    assert terminal.exit_status() == 1
    assert "━" in text
    assert "9/9" in text
    assert "100%" in text
    assert "a second" in text
    assert " left" in text
    assert "8 ready, 1 failed (1 not_a_video), 0 skipped" in text
    assert "8 ready, 0 skipped, 1 failed (1 not_a_video) in" in text


def test_ctrl_c_at_a_terminal_stops_the_workers_too(slow_site: Installation) -> None:
    terminal = AtTerminal(slow_site, "--workers", "2")
    eventually("both work", lambda: slow_site.value(HELD) == 2, 40)
    terminal.press(b"\x03")
    text = terminal.read()
    assert terminal.exit_status() == 130
    assert "Job 1 is paused with " in text
    assert "Traceback" not in text
    assert slow_site.value(HELD) == 0
    nothing_is_left_running(slow_site)


def test_a_closed_terminal_pauses_the_job(slow_site: Installation) -> None:
    terminal = AtTerminal(slow_site, "--workers", "2")
    eventually("the first is ready", lambda: slow_site.value(READY) > 0, 40)
    os.close(terminal.terminal)
    assert os.waitstatus_to_exitcode(os.waitpid(terminal.pid, 0)[1]) == 129
    assert slow_site.query(STATUS) == ["paused"]
    assert slow_site.value(HELD) == 0
    nothing_is_left_running(slow_site)
