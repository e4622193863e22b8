"""Runs media tools and tasks over untrusted files, each in a sandboxed child of the media helper.

Every call ends within its ``wall_seconds``, and nothing it started outlives the call or this
process.
"""

import json
import os
import shutil
import signal
import stat
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from chat.errors import VideoError
from chat.services.media_helper import MediaHelper, media_helper
from chat.services.sandbox.child import RESULT, SANDBOX_FAILED, STDERR, STDOUT
from chat.services.sandbox.layers import Limits

ProcessLimits = Limits
STDERR_TAIL_BYTES = 4096


@dataclass(frozen=True, slots=True)
class Finished:
    """An ended child: exit status, all of stdout, the end of stderr, and what it used."""

    returncode: int
    stdout: bytes
    stderr: str
    wall_seconds: float = 0.0
    cpu_seconds: float = 0.0
    max_rss_bytes: int = 0


def run(
    arguments: Sequence[str],
    limits: Limits,
    directory: Path,
    source: Path | None = None,
    *,
    slow: bool = False,
    helper: MediaHelper | None = None,
) -> Finished:
    """Run a media tool to its end in ``directory``, which is all that it may write to; besides
    it and the system's libraries it may read ``source`` only.

    A non-zero exit status is not an error here: what it means depends on the tool.

    Raises:
        VideoError: ``time_limit``, ``output_limit``, ``decoder_crashed``,
            ``media_tools_missing``, ``media_helper_lost`` or ``media_sandbox_missing``.
    """
    tool = shutil.which(arguments[0])
    if tool is None:
        raise VideoError("media_tools_missing", f"{arguments[0]} is not on this machine")
    reply = (helper or media_helper()).ask(
        "tool",
        arguments=[tool, *arguments[1:]],
        directory=directory,
        source=source,
        limits=limits,
        slow=slow,
    )
    return finished(reply, directory, limits)


def run_task(
    task: str,
    parameters: Mapping[str, Any],
    limits: Limits,
    directory: Path,
    source: Path,
    helper: MediaHelper | None = None,
    *,
    slow: bool = False,
) -> Any:
    """Run a Python task of the helper in a sandboxed child; returns its JSON result.

    Raises:
        VideoError: as ``run``; ``decoder_crashed`` also when the task itself raised.
    """
    reply = (helper or media_helper()).ask(
        task, parameters=parameters, directory=directory, source=source, limits=limits, slow=slow
    )
    ended = finished(reply, directory, limits)
    result = output(directory / RESULT) if not ended.returncode else b""
    if not result:
        code = "memory_limit" if "MemoryError" in ended.stderr else "decoder_crashed"
        raise VideoError(code, ended.stderr[-500:])
    return json.loads(result)


def output(path: Path) -> bytes:
    """A file that a child wrote, empty when it did not.  Never another file through a link, and
    no pipe that would be waited for: the child may not have been itself any more."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return b""
    with open(descriptor, "rb") as file:
        return file.read() if stat.S_ISREG(os.fstat(descriptor).st_mode) else b""


def finished(reply: Mapping[str, Any], directory: Path, limits: Limits) -> Finished:
    """The answer and the output files of an ended child; an end by signal becomes its code."""
    out, err = directory / STDOUT, directory / STDERR
    stdout = output(out)
    stderr = output(err)[-STDERR_TAIL_BYTES:].decode("utf-8", "replace")
    out.unlink(missing_ok=True)
    err.unlink(missing_ok=True)
    code = int(reply["exit"])
    if reply["timed_out"]:
        seconds = f"{limits.wall_seconds:.3g} s"
        raise VideoError("time_limit", f"{limits.work}_WALL_SECONDS: {seconds} were used up")
    if code in (-signal.SIGXCPU, -signal.SIGKILL):
        seconds = f"{limits.cpu_seconds} s"
        raise VideoError("time_limit", f"{limits.work}_CPU_SECONDS: {seconds} used up, or killed")
    if code == -signal.SIGXFSZ or len(stdout) >= limits.output_bytes:
        size = f"{limits.output_bytes} bytes"
        raise VideoError("output_limit", f"{limits.work}_OUTPUT_BYTES: an output passed {size}")
    if code == SANDBOX_FAILED:
        raise VideoError("media_sandbox_missing", stderr[-500:])
    if code < 0:
        name = signal.Signals(-code).name
        raise VideoError("decoder_crashed", f"ended by {name}: {stderr[-500:]}")
    return Finished(
        code,
        stdout,
        stderr,
        float(reply["wall_seconds"]),
        float(reply["cpu_seconds"]),
        int(reply["max_rss_bytes"]),
    )


def remaining(deadline: float) -> float:
    """Seconds left until ``deadline`` (of ``time.monotonic``).

    Raises:
        VideoError: ``time_limit`` when there are none.
    """
    seconds = deadline - time.monotonic()
    if seconds <= 0:
        raise VideoError("time_limit", "the wall-clock limit was reached")
    return seconds
