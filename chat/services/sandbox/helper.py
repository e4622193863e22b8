"""The media helper: a small single-threaded process that forks one child for each file.

Started by ``chat.services.media_runner`` with one end of a socket as its standard input.  It has
the media libraries imported and warm, and the next child forked already, so that a file waits for
neither, whatever the size of the worker; and a death signal is sound here, since one thread does
all the forking.

A request is a length, a JSON object and, beside it, the socket on which to answer.  The answer is
one JSON object; a socket that closes without one means that the helper died.  When the worker
closes its end, by choice or by dying, all children are killed and the helper ends.

A child that says that its result is complete is stopped, answered for, and killed: what it says is
no more than a wish to end, and from then on it writes nothing.
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
import sys
import time
from collections import deque
from dataclasses import dataclass, field
from typing import Any

from chat.services.sandbox import system_calls
from chat.services.sandbox.child import CLEAN_ENVIRONMENT, LENGTH, live
from chat.services.sandbox.layers import Stage, missing_layers, take_on

MAX_REQUEST_BYTES = 1024 * 1024
SPARE_CHILDREN = 1  # forked before they are asked for
# A child that has not had a request is our own program, and takes it at once.
HAND_OVER_SECONDS = 5.0
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
    """A child with a request, and to whom its end is told."""

    pid: int
    channel: socket.socket
    reply: socket.socket
    started: float
    deadline: float
    slow: bool
    timed_out: bool = False
    stopping: bool = False  # it said that it is done


@dataclass(slots=True)
class Helper:
    control: socket.socket
    max_children: int
    tasks: dict[str, Any]
    missing: dict[str, str]
    versions: dict[str, str]
    unavailable: dict[str, str]
    layers: frozenset[str]
    selector: selectors.BaseSelector = field(default_factory=selectors.DefaultSelector)
    spares: dict[int, socket.socket] = field(default_factory=dict)  # process → our end
    ending: set[int] = field(default_factory=set)  # answered for and killed, not yet gone
    children: dict[int, Child] = field(default_factory=dict)
    waiting: deque[tuple[dict[str, Any], socket.socket]] = field(default_factory=deque)

    def serve(self) -> None:
        """Until the worker closes its end."""
        wake_reading, wake_writing = os.pipe()
        os.set_blocking(wake_writing, False)
        os.set_blocking(wake_reading, False)
        signal.set_wakeup_fd(wake_writing, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        self.selector.register(self.control, selectors.EVENT_READ, "request")
        self.selector.register(wake_reading, selectors.EVENT_READ, "child")
        while True:
            for key, _ in self.selector.select(self.next_deadline()):
                if key.data == "request":
                    if not self.accept():
                        return
                elif key.data == "child":
                    with contextlib.suppress(BlockingIOError):
                        os.read(wake_reading, 4096)
                else:
                    self.hear(key.data)
            self.dismiss()
            self.reap()
            self.kill_overdue()
            self.start_waiting()
            while len(self.spares) < SPARE_CHILDREN:
                self.fork_spare()

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
        elif request["task"] == "usage":
            answer(reply, {"cpu_seconds": used_cpu_seconds()})
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

    def fork_spare(self) -> None:
        ours, theirs = socket.socketpair()
        us = os.getpid()
        pid = os.fork()
        if not pid:
            live(us, theirs, self.layers, self.tasks)
        theirs.close()
        ours.settimeout(HAND_OVER_SECONDS)
        self.spares[pid] = ours

    def start(self, request: dict[str, Any], reply: socket.socket) -> None:
        """Hand the request to a spare child; its time begins here."""
        message = json.dumps(request).encode()
        while True:
            if not self.spares:
                self.fork_spare()
            pid, channel = self.spares.popitem()
            now = time.monotonic()
            try:
                channel.sendall(LENGTH.pack(len(message)) + message)
                break
            except OSError:  # somebody killed it
                kill_group(pid)
                self.ending.add(pid)
                channel.close()
        deadline = now + request["limits"]["wall_seconds"]
        self.children[pid] = Child(pid, channel, reply, now, deadline, request["slow"])
        self.selector.register(channel, selectors.EVENT_READ, pid)

    def hear(self, pid: int) -> None:
        """A child's channel: a byte says that it is done; its end, that it became a tool."""
        child = self.children[pid]
        self.selector.unregister(child.channel)
        try:
            done = child.channel.recv(1) != b""
        except OSError:
            done = False
        if done:
            child.stopping = True
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGSTOP)

    def dismiss(self) -> None:
        """Answer for the children that were done and have stopped, and kill them."""
        for pid, child in list(self.children.items()):
            if not child.stopping or child.timed_out:
                continue
            try:  # told only when all of its threads have stopped
                if os.waitid(os.P_PID, pid, os.WSTOPPED | os.WNOHANG) is None:
                    continue
            except ChildProcessError:  # it has ended instead, and is reaped next
                continue
            cpu = time.clock_gettime(cpu_clock(pid))  # but for what its end will take
            told = outcome(child, 0, cpu, most_resident_bytes(pid))
            kill_group(pid)
            self.ending.add(pid)
            self.tell(child, told)

    def tell(self, child: Child, message: dict[str, Any]) -> None:
        del self.children[child.pid]
        with contextlib.suppress(KeyError):
            self.selector.unregister(child.channel)
        child.channel.close()
        answer(child.reply, message)

    def reap(self) -> None:
        while self.children or self.spares or self.ending:
            # Without reaping first: until then the process group cannot be another's.
            ended = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            if ended is None:
                return
            pid = ended.si_pid
            kill_group(pid)
            _pid, status, usage = os.wait4(pid, 0)
            if child := self.children.get(pid):
                resident = usage.ru_maxrss * (1024 if sys.platform == "linux" else 1)
                cpu = usage.ru_utime + usage.ru_stime
                self.tell(child, outcome(child, status, cpu, resident))
            elif spare := self.spares.pop(pid, None):
                spare.close()
            self.ending.discard(pid)

    def kill_overdue(self) -> None:
        now = time.monotonic()
        for child in self.children.values():
            if now >= child.deadline and not child.timed_out:
                child.timed_out = True
                kill_group(child.pid)
            elif has_hung_up(child.reply):
                kill_group(child.pid)

    def kill_all(self) -> None:
        for pid in (*self.children, *self.spares):
            kill_group(pid)


def used_cpu_seconds() -> float:
    """Of the helper and all of its children that have gone."""
    spent = map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in spent)


def cpu_clock(pid: int) -> int:
    """The clock of a process's CPU time, as clock_getcpuclockid(3) makes it."""
    return ~pid << 3 | 2


def most_resident_bytes(pid: int) -> int:
    """The peak of what it had in memory, as getrusage(2) tells of an ended process."""
    with open(f"/proc/{pid}/status", "rb") as file:
        peaks = (int(line.split()[1]) * 1024 for line in file if line.startswith(b"VmHWM:"))
        return next(peaks, 0)  # none of a process that was just killed


def outcome(child: Child, status: int, cpu_seconds: float, most_resident: int) -> dict[str, Any]:
    """What the caller is told of an ended child."""
    return {
        "exit": os.waitstatus_to_exitcode(status),
        "timed_out": child.timed_out,
        "wall_seconds": time.monotonic() - child.started,
        "cpu_seconds": cpu_seconds,
        "max_rss_bytes": most_resident,
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


def kill_group(pid: int) -> None:
    """The child and all in its process group; the child alone before it has made one."""
    for kill in (os.killpg, os.kill):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            kill(pid, signal.SIGKILL)


# --- Start --------------------------------------------------------------------------------------


def refuse_threads() -> None:
    """The helper forks, and its children's death signal is tied to the thread that forked them:
    there must be one only."""
    tasks = "/proc/self/task"
    if os.path.isdir(tasks) and len(os.listdir(tasks)) > 1:
        raise RuntimeError("a task module left a thread behind in the media helper")


def give_way_as_a_session() -> None:
    """Where Linux shares the processor among sessions first (autogroups, see sched(7)), the nice
    value counts within one only: the session's own has to be lowered as well."""
    with contextlib.suppress(OSError), open("/proc/self/autogroup", "w") as autogroup:
        autogroup.write(str(os.getpriority(os.PRIO_PROCESS, 0)))


def main() -> None:
    options = json.loads(sys.argv[1])
    control = socket.socket(fileno=os.dup(0))
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        # Signals to the whole group are the worker's business; the helper ends with the worker.
        signal.signal(number, signal.SIG_IGN)
    if os.nice(options["nice"]) > 0:
        give_way_as_a_session()
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
    system_calls.prepare()
    # What the warm-ups left is freed here: a decoder that had threads, freed in a child, would
    # wait for threads that are not there.
    gc.collect()
    refuse_threads()
    gc.freeze()  # the children share these pages
    missing = missing_layers(options["directory"])
    system_calls.give_back_memory()  # what they may take is counted from here
    layers = frozenset(options["layers"]) - missing.keys()
    take_on(layers, Stage.HELPER)
    helper = Helper(
        control, options["max_children"], tasks, missing, versions, unavailable, layers
    )
    try:
        helper.serve()
    except EOFError:
        pass
    finally:
        helper.kill_all()


if __name__ == "__main__":
    main()
