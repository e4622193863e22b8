"""What /proc says of other processes."""

import os
import time
from collections.abc import Callable
from pathlib import Path


def children(pid: int) -> list[int]:
    """Of a process with one thread, those not yet reaped included."""
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def is_running(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state not in "ZX"


def works_in(pid: int) -> str:
    """Its working directory; empty when it has ended."""
    try:
        return os.readlink(f"/proc/{pid}/cwd")
    except OSError:
        return ""


def at_work(helper: int) -> list[int]:
    """The children of a media helper that have a request, and with it a directory to work in."""
    return [pid for pid in children(helper) if works_in(pid) not in ("/", "")]


def left_at_work(helper: int, seconds: float = 1.0) -> list[int]:
    """Those still there after so long: a child that was answered for is killed, not waited for."""
    deadline = time.monotonic() + seconds
    while (left := at_work(helper)) and time.monotonic() < deadline:
        time.sleep(0.005)
    return left


def wait_until(condition: Callable[[], object], message: str, seconds: float = 10.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, message
        time.sleep(0.01)
