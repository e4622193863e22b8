"""A whole copy of the product, started with `make run` at a terminal as a person does."""

import contextlib
import itertools
import os
import pty
import re
import select
import signal
import socket
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
START_SECONDS = 90
# Ours would tell the copy that it is part of this test run.
INHERITED = re.compile(r"MAKE|MFLAGS|PYTEST|DJANGO_|COV_|DATA_DIR|DATABASE_URL|HUEY_URL|CI$")


REFUSED_BY_BROWSERS = {10080}  # of our range; https://fetch.spec.whatwg.org/#port-blocking

# Below the range from which systems give ports to clients, 1,000 for each process of a parallel
# run: between here and the moment a server listens, nobody else takes one.
PROCESS = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % 20
_ports = itertools.cycle(range(10_000 + 1_000 * PROCESS, 11_000 + 1_000 * PROCESS))
for _ in range(os.getpid() % 1_000):  # other test runs on this machine start elsewhere
    next(_ports)


def free_port() -> int:
    while True:
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("127.0.0.1", port := next(_ports)))
            if port not in REFUSED_BY_BROWSERS:
                return port


def eventually(what: str, condition: Callable[[], Any], seconds: float) -> Any:
    """What ``condition`` returns once it is true; fails with ``what`` after ``seconds``."""
    end = time.monotonic() + seconds
    while not (result := condition()):
        if time.monotonic() > end:
            raise AssertionError(f"not within {seconds} s: {what}")
        time.sleep(0.1)
    return result


class RunningCopy:
    """`make run` with its own DATA_DIR and port; ``output`` is what came out at its terminal."""

    def __init__(self, data_dir: Path, port: int | None = None, **settings: str) -> None:
        self.data_dir = data_dir
        self.port = port or free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.output = ""
        self.status: int | None = None
        self.closing = False
        environment = {k: v for k, v in os.environ.items() if not INHERITED.match(k)}
        environment |= {"DATA_DIR": str(data_dir), "DEMO": "0", **settings}
        self.pid, self.terminal = pty.fork()
        if self.pid == 0:
            os.chdir(ROOT)
            os.execvpe("make", ["make", "run", f"PORT={self.port}"], environment)
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _read(self) -> None:
        with contextlib.suppress(OSError):  # the last process closed the terminal
            while not self.closing:  # a read under way would keep a closed terminal open
                if select.select([self.terminal], [], [], 0.1)[0]:
                    self.output += os.read(self.terminal, 65536).decode(errors="replace")

    def press_ctrl_c(self) -> None:
        os.write(self.terminal, b"\x03")

    def close_window(self) -> None:
        self.closing = True
        self.reader.join()
        os.close(self.terminal)

    def wait_for_exit(self, seconds: float) -> int:
        """The exit status of `make`; negative when a signal ended it."""

        def ended() -> bool:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.status = os.waitstatus_to_exitcode(status)
            return bool(pid)

        if self.status is None:
            eventually(f"make run ends\n{self.output}", ended, seconds)
            self.reader.join(5)
        assert self.status is not None
        return self.status

    def get(self, path: str, **headers: str) -> Any:
        request = urllib.request.Request(self.url + path, headers=headers)
        return urllib.request.urlopen(request, timeout=30)

    def answers(self) -> bool:
        try:
            return bool(self.get("/moderation/sign-in/").status == 200)
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            return False

    def wait_until_serving(self) -> "RunningCopy":
        def serving() -> bool:
            if os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT):
                raise AssertionError(f"make run ended early:\n{self.output}")
            return self.answers()

        try:
            eventually("the site answers", serving, START_SECONDS)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.output}\n{self.processes()}") from None
        for queue in ("jobs", "uploads"):
            eventually(f"the consumer of {queue} runs", lambda q=queue: self.consumer(q), 30)
        return self

    def processes(self) -> dict[int, str]:
        """Command lines by pid of all that was started with this copy's DATA_DIR."""
        mark = f"DATA_DIR={self.data_dir}\0".encode()
        found = {}
        for folder in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                if mark in (folder / "environ").read_bytes() + b"\0":
                    found[int(folder.name)] = (
                        (folder / "cmdline").read_text().replace("\0", " ").strip()
                    )
        return found

    def main_process(self, words: str) -> int | None:
        """The pid of the process with ``words`` in its command line that no like one started."""
        alike = {pid for pid, line in self.processes().items() if words in line}
        return next((pid for pid in sorted(alike) if parent_of(pid) not in alike), None)

    def web_server(self) -> int | None:
        return self.main_process("-m gunicorn")

    def consumer(self, queue: str = "jobs") -> int | None:
        return self.main_process(f"manage.py run_huey --queue {queue}")

    def supervisor(self) -> int | None:
        return self.main_process("-m config.serve")

    def assert_nothing_left(self, seconds: float = 10) -> None:
        end = time.monotonic() + seconds
        while left := self.processes():
            assert time.monotonic() < end, f"left after {seconds} s: {left}\n{self.output}"
            time.sleep(0.1)

    def clear_away(self) -> None:
        for pid in self.processes():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        if self.status is None:
            with contextlib.suppress(AssertionError, ChildProcessError):
                self.wait_for_exit(10)
        if not self.closing:
            self.close_window()


def parent_of(pid: int) -> int | None:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    return int(stat.rpartition(")")[2].split()[1])


def supported() -> bool:
    return sys.platform == "linux"
