"""The media helper: a small single-threaded process that forks one child for each file.

Started by ``chat.services.media_runner`` with one end of a socket as its standard input.  It has
the media libraries imported and warm, so that a child starts in about a millisecond, whatever the
size of the worker; and a death signal is sound here, since one thread does all the forking.

A request is a length, a JSON object and, beside it, the socket on which to answer.  The answer is
one JSON object; a socket that closes without one means that the helper died.  When the worker
closes its end, by choice or by dying, all children are killed and the helper ends.
"""

import contextlib
import gc
import importlib
import json
import os
import resource
import selectors
import signal
import socket
import struct
import sys
import time
import traceback
from collections import deque
from dataclasses import dataclass, field
from typing import Any

from chat.services.sandbox import system_calls
from chat.services.sandbox.layers import Confinement, Limits, missing_layers, take_on

LENGTH = struct.Struct("!I")
MAX_REQUEST_BYTES = 1024 * 1024
SANDBOX_FAILED = 97  # exit status: a layer could not be taken on, nothing was read
TASK_FAILED = 98  # exit status: a task raised; its traceback is in stderr
STDOUT, STDERR, RESULT = ".stdout", ".stderr", ".result"
CLEAN_ENVIRONMENT = {
    "PATH": os.environ.get("PATH", os.defpath),
    "LC_ALL": "C.UTF-8",
    "AV_LOG_FORCE_NOCOLOR": "1",
    "MALLOC_ARENA_MAX": "2",
    "OPENBLAS_NUM_THREADS": "1",  # numpy's: the helper has one thread
}
# Half of what a short-lived child costs are page faults.  Here glibc takes memory in large pages
# and keeps it, and the linker resolves names once, in the helper, instead of in every child.
HELPER_ENVIRONMENT = {
    **CLEAN_ENVIRONMENT,
    "LD_BIND_NOW": "1",
    "GLIBC_TUNABLES": ":".join(
        (
            "glibc.malloc.hugetlb=1",
            "glibc.malloc.mmap_threshold=536870912",
            "glibc.malloc.trim_threshold=1073741824",
            "glibc.malloc.top_pad=16777216",
        )
    ),
}


@dataclass(slots=True)
class Child:
    """A running child, and to whom its end is told."""

    pid: int
    reply: socket.socket
    started: float
    deadline: float
    slow: bool
    timed_out: bool = False


@dataclass(slots=True)
class Helper:
    control: socket.socket
    max_children: int
    tasks: dict[str, Any]
    missing: dict[str, str]
    versions: dict[str, str]
    unavailable: dict[str, str]
    children: dict[int, Child] = field(default_factory=dict)
    waiting: deque[tuple[dict[str, Any], socket.socket]] = field(default_factory=deque)

    def serve(self) -> None:
        """Until the worker closes its end."""
        selector = selectors.DefaultSelector()
        wake_reading, wake_writing = os.pipe()
        os.set_blocking(wake_writing, False)
        os.set_blocking(wake_reading, False)
        signal.set_wakeup_fd(wake_writing, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        selector.register(self.control, selectors.EVENT_READ, "request")
        selector.register(wake_reading, selectors.EVENT_READ, "child")
        while True:
            for key, _ in selector.select(self.next_deadline()):
                if key.data == "request" and not self.accept():
                    return
                if key.data == "child":
                    with contextlib.suppress(BlockingIOError):
                        os.read(wake_reading, 4096)
            self.reap()
            self.kill_overdue()
            self.start_waiting()

    def next_deadline(self) -> float | None:
        """Seconds until a child is overdue or a caller should be looked after."""
        if not self.children:
            return None
        nearest = min(child.deadline for child in self.children.values()) - time.monotonic()
        return max(0.0, min(nearest, 0.25))

    def accept(self) -> bool:
        """Take one request in; False when the worker has gone."""
        head, descriptors, _flags, _address = socket.recv_fds(self.control, LENGTH.size, 1)
        if not head:
            return False
        while len(head) < LENGTH.size:
            head += self.receive(LENGTH.size - len(head))
        request = json.loads(self.receive(LENGTH.unpack(head)[0]))
        reply = socket.socket(fileno=descriptors[0])
        reply.set_inheritable(False)
        if request["task"] == "hello":
            answer(reply, self.introduction())
        else:
            self.waiting.append((request, reply))
        return True

    def introduction(self) -> dict[str, Any]:
        """What this machine has: layers, tasks, versions of the libraries behind them."""
        return {
            "missing": self.missing,
            "tasks": sorted(self.tasks),
            "versions": self.versions,
            "unavailable": self.unavailable,
        }

    def receive(self, size: int) -> bytes:
        if size > MAX_REQUEST_BYTES:
            raise ValueError("a request is too long")
        parts = bytearray()
        while len(parts) < size:
            part = self.control.recv(size - len(parts))
            if not part:
                raise EOFError("the worker has gone")
            parts += part
        return bytes(parts)

    def start_waiting(self) -> None:
        """Start what has a place.  Slow work never takes the last one."""
        for _ in range(len(self.waiting)):
            request, reply = self.waiting.popleft()
            busy = len(self.children)
            slow = sum(child.slow for child in self.children.values())
            full = busy >= self.max_children or (
                request["slow"] and slow >= max(1, self.max_children - 1)
            )
            if has_hung_up(reply):
                reply.close()
            elif full:
                self.waiting.append((request, reply))
            else:
                self.start(request, reply)

    def start(self, request: dict[str, Any], reply: socket.socket) -> None:
        limits = Limits(**request["limits"])
        now = time.monotonic()
        helper = os.getpid()
        pid = os.fork()
        if not pid:
            run_child(request, limits, self.tasks, helper)  # never returns
        self.children[pid] = Child(pid, reply, now, now + limits.wall_seconds, request["slow"])

    def reap(self) -> None:
        while self.children:
            # Without reaping first: until then the process group cannot be another's.
            ended = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            if ended is None:
                return
            kill_session(ended.si_pid)
            _pid, status, usage = os.wait4(ended.si_pid, 0)
            child = self.children.pop(ended.si_pid, None)
            if child:
                answer(child.reply, outcome(child, status, usage))

    def kill_overdue(self) -> None:
        now = time.monotonic()
        for child in self.children.values():
            if now >= child.deadline and not child.timed_out:
                child.timed_out = True
                kill_session(child.pid)
            elif has_hung_up(child.reply):
                kill_session(child.pid)

    def kill_all(self) -> None:
        for pid in list(self.children):
            kill_session(pid)


def outcome(child: Child, status: int, usage: resource.struct_rusage) -> dict[str, Any]:
    """What the caller is told of an ended child."""
    return {
        "exit": os.waitstatus_to_exitcode(status),
        "timed_out": child.timed_out,
        "wall_seconds": time.monotonic() - child.started,
        "cpu_seconds": usage.ru_utime + usage.ru_stime,
        "max_rss_bytes": usage.ru_maxrss * (1024 if sys.platform == "linux" else 1),
    }


def answer(reply: socket.socket, message: dict[str, Any]) -> None:
    """Send and close; a caller that has gone does not mind."""
    with reply, contextlib.suppress(OSError):
        reply.sendall(json.dumps(message).encode())


def has_hung_up(reply: socket.socket) -> bool:
    """Whether the caller closed its end: nobody waits for this child any more."""
    try:
        return reply.recv(1, socket.MSG_DONTWAIT | socket.MSG_PEEK) == b""
    except BlockingIOError:
        return False
    except OSError:
        return True


def kill_session(pid: int) -> None:
    """The child and all in its process group; the child alone before it has made one."""
    for kill in (os.killpg, os.kill):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            kill(pid, signal.SIGKILL)


# --- In the child -------------------------------------------------------------------------------


def run_child(request: dict[str, Any], limits: Limits, tasks: dict[str, Any], helper: int) -> None:
    """Take the layers on, then become the tool or run the task; ends the process."""
    status = SANDBOX_FAILED
    try:
        directory = request["directory"]
        os.setsid()
        try:
            redirect(directory)
        except FileNotFoundError:  # who asked was interrupted, and has cleared it away
            os._exit(SANDBOX_FAILED)
        restore_signals()
        arguments = request["arguments"]
        confinement = Confinement(request["source"], directory, bool(arguments), limits)
        take_on(frozenset(request["layers"]), confinement)
        # The helper died before the death signal was set.  (Its process id must come from before
        # the fork: asked for here, it could be another's already.)
        if os.getppid() != helper:
            os._exit(SANDBOX_FAILED)
        if arguments:
            environment = {**CLEAN_ENVIRONMENT, "HOME": directory}
            os.execve(arguments[0], arguments, environment)  # noqa: S606  (no shell is meant)
        status = TASK_FAILED
        result = tasks[request["task"]](request["parameters"])
        with open(RESULT, "w", encoding="utf-8") as file:
            json.dump(result, file)
        status = 0
    except BaseException:
        with contextlib.suppress(BaseException):
            os.write(2, traceback.format_exc()[-4000:].encode("utf-8", "replace"))
    os._exit(status)


def redirect(directory: str) -> None:
    """Standard streams to nothing and to files in ``directory``, where the child then works; no
    other descriptor and no variable of the environment is left."""
    os.chdir(directory)
    nothing = os.open(os.devnull, os.O_RDONLY)
    create = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND
    out = os.open(STDOUT, create, 0o600)
    err = os.open(STDERR, create, 0o600)
    for target, source in enumerate((nothing, out, err)):
        os.dup2(source, target)
    os.closerange(3, 65536)
    os.environ.clear()
    os.environ.update(CLEAN_ENVIRONMENT)


def restore_signals() -> None:
    """The defaults: Python ignores SIGPIPE and SIGXFSZ, and a tool would inherit that."""
    signal.set_wakeup_fd(-1)
    for number in (signal.SIGCHLD, signal.SIGPIPE, signal.SIGXFSZ, signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)


# --- Start --------------------------------------------------------------------------------------


def refuse_threads() -> None:
    """The helper forks, and its children's death signal is tied to the thread that forked them:
    there must be one only."""
    tasks = "/proc/self/task"
    if os.path.isdir(tasks) and len(os.listdir(tasks)) > 1:
        raise RuntimeError("a task module left a thread behind in the media helper")


def main() -> None:
    options = json.loads(sys.argv[1])
    control = socket.socket(fileno=os.dup(0))
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        # Signals to the whole group are the worker's business; the helper ends with the worker.
        signal.signal(number, signal.SIG_IGN)
    tasks: dict[str, Any] = {}
    versions: dict[str, str] = {}
    unavailable: dict[str, str] = {}
    for name in options["task_modules"]:
        try:
            module = importlib.import_module(name)
        except ImportError as error:  # a library that this machine does not have
            unavailable[name.rpartition(".")[2]] = str(error)
        else:
            tasks.update(module.TASKS)
            versions.update(getattr(module, "VERSIONS", {}))
    # What the warm-ups left is freed here: a decoder that had threads, freed in a child, would
    # wait for threads that are not there.
    gc.collect()
    refuse_threads()
    gc.freeze()  # the children share these pages
    missing = missing_layers(options["directory"])
    system_calls.give_back_memory()  # what they may take is counted from here
    helper = Helper(control, options["max_children"], tasks, missing, versions, unavailable)
    try:
        helper.serve()
    except EOFError:
        pass
    finally:
        helper.kill_all()


if __name__ == "__main__":
    main()
