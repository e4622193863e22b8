"""The runner's contract, on fake executables that sleep, spin, flood, fork, hoard and crash."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from chat.errors import VideoError
from chat.services.media_helper import MediaHelper
from chat.services.media_runner import ProcessLimits, run

LIMITS = ProcessLimits(
    wall_seconds=5, cpu_seconds=5, memory_bytes=512 * 1024**2, output_bytes=100_000
)


def limits(**changes: float) -> ProcessLimits:
    values = {name: getattr(LIMITS, name) for name in LIMITS.__slots__}
    return ProcessLimits(**{**values, **changes})


@pytest.fixture(scope="module", autouse=True)
def _helper():
    """One with no more than limits and a death signal: the fakes below may fork and signal."""
    global helper
    helper = MediaHelper(2, frozenset({"limits", "death_signal"}))
    yield
    helper.stop()


def shell(script: str, directory: Path, **changes: float):
    return run(["/bin/sh", "-c", script], limits(**changes), directory, helper=helper)


def outcome(script: str, directory: Path, **changes: float) -> str:
    with pytest.raises(VideoError) as caught:
        shell(script, directory, **changes)
    return caught.value.code


def is_running(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def wait_until_gone(pid: int) -> None:
    """Within a second."""
    deadline = time.monotonic() + 1
    while is_running(pid):
        if time.monotonic() > deadline:
            pytest.fail(f"process {pid} is still running")
        time.sleep(0.01)


def test_returns_status_and_both_outputs(tmp_path):
    finished = shell("echo out; echo err >&2; exit 3", tmp_path)
    assert (finished.returncode, finished.stdout, finished.stderr) == (3, b"out\n", "err\n")


def test_runs_in_the_given_directory_with_a_clean_environment(tmp_path, monkeypatch):
    monkeypatch.setenv("SECRET_KEY", "do not show")
    finished = shell("pwd; env; cat", tmp_path)  # `cat` ends: stdin is empty
    assert finished.stdout.startswith(str(tmp_path.resolve()).encode())
    assert b"do not show" not in finished.stdout


def test_a_sleeper_is_killed_at_the_wall_clock_limit(tmp_path):
    assert outcome("sleep 60", tmp_path, wall_seconds=0.2) == "time_limit"


def test_a_spinner_that_ignores_signals_is_killed_at_the_cpu_limit(tmp_path):
    script = "trap '' TERM INT XCPU; while :; do :; done"
    assert outcome(script, tmp_path, cpu_seconds=1, wall_seconds=20) == "time_limit"


def test_closing_the_pipes_does_not_escape_the_wall_clock(tmp_path):
    assert outcome("exec >&- 2>&-; sleep 60", tmp_path, wall_seconds=0.2) == "time_limit"


def test_a_child_left_behind_is_killed_with_its_parent(tmp_path):
    finished = shell("sleep 60 >/dev/null 2>&1 & echo $!", tmp_path)
    wait_until_gone(int(finished.stdout))


def test_a_flood_on_stdout_is_cut(tmp_path):
    assert outcome("exec cat /dev/zero", tmp_path) == "output_limit"


def test_a_flood_on_stderr_is_cut_too(tmp_path):
    assert outcome("exec cat /dev/zero >&2", tmp_path) == "output_limit"


def test_only_the_tail_of_stderr_is_kept(tmp_path):
    finished = shell("head -c 50000 /dev/zero | tr '\\0' x >&2; echo end >&2", tmp_path)
    assert len(finished.stderr) <= 4096
    assert finished.stderr.endswith("end\n")


def test_a_file_that_grows_past_the_limit_ends_the_tool(tmp_path):
    assert outcome("exec head -c 10000000 /dev/zero > big", tmp_path) == "output_limit"
    assert (tmp_path / "big").stat().st_size <= LIMITS.output_bytes + 512


def test_memory_is_bounded(tmp_path):
    finished = shell("exec dd if=/dev/zero of=/dev/null bs=900M count=1", tmp_path)
    assert finished.returncode
    assert "memory exhausted" in finished.stderr


def test_a_crash_is_named(tmp_path):
    assert outcome("kill -SEGV $$", tmp_path) == "decoder_crashed"


def test_a_missing_tool_is_retryable(tmp_path):
    with pytest.raises(VideoError) as caught:
        run(["no-such-tool-here"], LIMITS, tmp_path)
    assert caught.value.code == "media_tools_missing"
    assert not caught.value.permanent


@pytest.mark.skipif(sys.platform != "linux", reason="a death signal exists on Linux only")
def test_killing_the_caller_takes_the_tool_with_it(tmp_path):
    program = (
        "import django; django.setup(); from pathlib import Path;"
        "from chat.services.media_runner import ProcessLimits, run;"
        "run(['/bin/sh', '-c', 'echo $$ > pid; exec sleep 60'],"
        f" ProcessLimits(60, 60, 512 * 1024**2, 10**6), Path({str(tmp_path)!r}))"
    )
    environment = {**os.environ, "DATA_DIR": str(tmp_path / "data")}
    environment["DJANGO_SETTINGS_MODULE"] = "config.settings"
    caller = subprocess.Popen(
        [sys.executable, "-c", program], cwd=Path(__file__).parents[2], env=environment
    )
    try:
        pid_file = tmp_path / "pid"
        for _ in range(2000):
            if pid_file.exists() and pid_file.read_text().strip():
                break
            time.sleep(0.01)
        pid = int(pid_file.read_text())
        assert is_running(pid)
    finally:
        os.kill(caller.pid, signal.SIGKILL)
        caller.wait()
    wait_until_gone(pid)
