"""The one place where processes start: runs a media tool over an untrusted file, under limits.

Every call ends within ``wall_seconds``; nothing the tool started outlives the call, and nothing
outlives this process (session of its own, killed whole; on Linux also a death signal).
"""

import contextlib
import logging
import os
import selectors
import shutil
import signal
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import IO

from chat.errors import VideoError

logger = logging.getLogger(__name__)

STDERR_TAIL_BYTES = 4096
# POSIX sh sets the limits, then becomes the tool: 1 ms, and no Python runs between fork and exec
# (which is not safe in a threaded web worker).  macOS refuses -v: the tool then runs without.
LIMITING_SHELL = (
    'ulimit -c 0; ulimit -t "$1"; ulimit -f "$2"; ulimit -n 64; ulimit -v "$3" 2>/dev/null; '
    'shift 3; exec "$@"'
)


@dataclass(frozen=True, slots=True)
class ProcessLimits:
    """What one process may use.  ``output_bytes`` bounds its stdout and each file it writes."""

    wall_seconds: float
    cpu_seconds: int
    memory_bytes: int
    output_bytes: int


@dataclass(frozen=True, slots=True)
class Finished:
    """An ended process: exit status, all of stdout, and the end of stderr as text."""

    returncode: int
    stdout: bytes
    stderr: str


@cache
def death_signal_prefix() -> tuple[str, ...]:
    """util-linux's ``setpriv``: the child dies with the thread that started it, and gains no
    privileges.  Empty where there is none (macOS)."""
    setpriv = shutil.which("setpriv")
    return (setpriv, "--pdeathsig", "KILL", "--no-new-privs", "--") if setpriv else ()


def run(arguments: Sequence[str], limits: ProcessLimits, directory: Path) -> Finished:
    """Run a media tool to its end in ``directory`` (its working and home directory).

    A non-zero exit status is not an error here: what it means depends on the tool.

    Raises:
        VideoError: ``time_limit``, ``output_limit``, ``decoder_crashed`` or
            ``media_tools_missing``.
    """
    if shutil.which(arguments[0]) is None:
        raise VideoError("media_tools_missing", f"{arguments[0]} is not on this machine")
    deadline = time.monotonic() + limits.wall_seconds
    process = start(arguments, limits, directory)
    try:
        stdout, stderr = read_bounded(process, deadline, limits.output_bytes)
        wait_unreaped(process, deadline)
    finally:
        # Still a zombie at most, so its process group cannot have become someone else's.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        for pipe in (process.stdout, process.stderr):
            if pipe:
                pipe.close()
    finished = Finished(process.returncode, stdout, stderr.decode("utf-8", "replace"))
    raise_if_killed(finished, limits)
    return finished


def start(
    arguments: Sequence[str], limits: ProcessLimits, directory: Path
) -> "subprocess.Popen[bytes]":
    shell = ["/bin/sh", "-c", LIMITING_SHELL, "sh"]
    amounts = [
        str(limits.cpu_seconds),
        str(limits.output_bytes // 512 + 1),  # ulimit -f counts blocks of 512 bytes
        str(limits.memory_bytes // 1024),
    ]
    return subprocess.Popen(  # noqa: S603  (an argument list; no shell reads the file's name)
        [*death_signal_prefix(), *shell, *amounts, *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=directory,
        env={
            "PATH": os.environ.get("PATH", os.defpath),
            "HOME": str(directory),
            "LC_ALL": "C.UTF-8",
            "AV_LOG_FORCE_NOCOLOR": "1",
            "MALLOC_ARENA_MAX": "2",
        },
        start_new_session=True,
        bufsize=0,
    )


def read_bounded(
    process: "subprocess.Popen[bytes]", deadline: float, output_bytes: int
) -> tuple[bytes, bytes]:
    """All of stdout (at most ``output_bytes``) and the tail of stderr, until both are closed."""
    stdout, stderr = bytearray(), bytearray()
    with selectors.DefaultSelector() as selector:
        for pipe, buffer in ((process.stdout, stdout), (process.stderr, stderr)):
            assert pipe is not None  # noqa: S101
            selector.register(pipe, selectors.EVENT_READ, buffer)
        while selector.get_map():
            events = selector.select(remaining(deadline))
            for key, _ in events:
                pipe_: IO[bytes] = key.fileobj  # type: ignore[assignment]
                chunk = os.read(pipe_.fileno(), 65536)
                if not chunk:
                    selector.unregister(pipe_)
                key.data.extend(chunk)
            if len(stdout) > output_bytes:
                raise VideoError("output_limit", f"stdout passed {output_bytes} bytes")
            del stderr[:-STDERR_TAIL_BYTES]
    return bytes(stdout), bytes(stderr)


def wait_unreaped(process: "subprocess.Popen[bytes]", deadline: float) -> None:
    """Wait for the end without reaping: a tool may close its pipes and go on."""
    while os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT | os.WNOHANG) is None:
        time.sleep(min(0.002, remaining(deadline)))


def remaining(deadline: float) -> float:
    """Seconds left until ``deadline``; raises ``time_limit`` when there are none."""
    seconds = deadline - time.monotonic()
    if seconds <= 0:
        raise VideoError("time_limit", "the wall-clock limit was reached")
    return seconds


def raise_if_killed(finished: Finished, limits: ProcessLimits) -> None:
    """Turn an end by signal into its outcome code."""
    code = finished.returncode
    if code == -signal.SIGXCPU or (code == -signal.SIGKILL):
        raise VideoError("time_limit", f"used up {limits.cpu_seconds} s of CPU, or was killed")
    if code == -signal.SIGXFSZ:
        raise VideoError("output_limit", f"a file passed {limits.output_bytes} bytes")
    if code < 0:
        name = signal.Signals(-code).name
        raise VideoError("decoder_crashed", f"ended by {name}: {finished.stderr[-500:]}")
