"""This worker's media helper: the process that forks one sandboxed child for each file.

A worker (web, queue or command) has one, started on first use and again when it died; one more
for fingerprints.  Nothing that a helper started outlives it, and it does not outlive its worker.
"""

import atexit
import contextlib
import json
import logging
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from django.conf import settings

from chat.errors import VideoError
from chat.services.interruption import NoAnswer, raise_if_stopped, received
from chat.services.sandbox.child import LENGTH
from chat.services.sandbox.helper import HELPER_ENVIRONMENT
from chat.services.sandbox.layers import LAYERS, Limits
from chat.services.scratch import sweep_scratch

logger = logging.getLogger(__name__)

# How long the helper itself may take beyond a child's limit before it counts as stuck.
HELPER_PATIENCE_SECONDS = 60.0
TASK_MODULES: tuple[str, ...] = (
    "chat.services.sandbox.picture_tasks",
    "chat.services.sandbox.libav_tasks",
    "chat.services.sandbox.libav_storyboard",
    "chat.services.sandbox.image_tasks",
    "chat.services.sandbox.self_test",
)
# In a helper of their own, started on first use: each child of a helper that has numpy and pdqhash
# pays for what these map, at every file.
PRINT_TASK_MODULES = (
    "chat.services.sandbox.print_tasks",
    "chat.services.sandbox.libav_print_tasks",
)
START = (
    "import sys; sys.path.insert(0, {path!r});"
    " from chat.services.sandbox.helper import main; main()"
)


@dataclass(slots=True)
class HelperCounts:
    """What a worker's helper has done so far, its replaced predecessors included."""

    helpers_started: int = 0
    children: int = 0
    children_killed: int = 0  # ended by a signal: a limit, or a crash
    max_rss_bytes: int = 0  # of the hungriest child
    cpu_seconds: float = 0.0  # of children, until each was done

    def add(self, reply: Mapping[str, Any]) -> None:
        self.children += 1
        self.children_killed += reply["exit"] < 0
        self.max_rss_bytes = max(self.max_rss_bytes, reply["max_rss_bytes"])
        self.cpu_seconds += reply["cpu_seconds"]


@dataclass(slots=True)
class MediaHelper:
    """This process's helper; safe to use from several threads."""

    max_children: int
    layers: frozenset[str] = frozenset(layer.name for layer in LAYERS)
    task_modules: tuple[str, ...] = ()  # none: TASK_MODULES
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _process: "subprocess.Popen[bytes] | None" = None
    _control: socket.socket | None = None
    _owner: int = 0
    _stopped: bool = False
    missing: dict[str, str] = field(default_factory=dict)
    tasks: frozenset[str] = frozenset()
    counts: HelperCounts = field(default_factory=HelperCounts)
    versions: dict[str, str] = field(default_factory=dict)
    unavailable: dict[str, str] = field(default_factory=dict)

    def ask(
        self,
        task: str,
        *,
        directory: Path,
        limits: Limits,
        source: Path | None = None,
        arguments: Sequence[str] = (),
        parameters: Mapping[str, Any] | None = None,
        slow: bool = False,
    ) -> dict[str, Any]:
        """Have one child run and wait for its end; a helper that died is replaced once.

        Raises:
            VideoError: ``media_helper_lost`` when the helper does not answer.
            Interrupted: within ``interruptible``, which see.
        """
        request = {
            "task": task,
            "arguments": list(arguments),
            "parameters": dict(parameters or {}),
            "source": str(source.resolve()) if source else "",
            "directory": str(directory.resolve()),
            "limits": limits.to_json(),
            "slow": slow,
        }
        with _turn.get() or contextlib.nullcontext():
            raise_if_stopped()
            for _attempt in range(2):
                reply = self._exchange(request, limits.wall_seconds + HELPER_PATIENCE_SECONDS)
                if reply is not None:
                    with self._lock:
                        self.counts.add(reply)
                    return reply
        raise VideoError("media_helper_lost", "the media helper died twice over one file")

    def used_cpu_seconds(self) -> float:
        """Of the running helper and of those of its children that have gone; 0 without one."""
        if not self.process_id:
            return 0.0
        reply = self._exchange({"task": "usage"}, HELPER_PATIENCE_SECONDS)
        return float(reply["cpu_seconds"]) if reply else 0.0

    def _exchange(self, request: dict[str, Any], patience: float) -> dict[str, Any] | None:
        """One request and its answer; None when the helper died before answering."""
        ours, theirs = socket.socketpair()
        with ours, theirs:
            try:
                with self._lock:
                    self._ensure()
                    self._send(request, theirs)
            except OSError as error:
                logger.warning("the media helper is gone: %s", error)
                return None
            theirs.close()
            try:
                parts = received(ours, patience)
            except NoAnswer:
                with self._lock:
                    self._discard()
                return None
        if not parts:
            return None
        reply: dict[str, Any] = json.loads(parts)
        return reply

    def _send(self, request: dict[str, Any], reply: socket.socket) -> None:
        assert self._control  # noqa: S101
        message = json.dumps(request).encode()
        socket.send_fds(self._control, [LENGTH.pack(len(message))], [reply.fileno()])
        self._control.sendall(message)

    def _ensure(self) -> None:
        """Start the helper when there is none, or only a forking parent's, or a dead one."""
        if self._stopped:
            raise VideoError("media_helper_lost", "this process is ending")
        if self._owner != os.getpid():  # forked since: the parent's helper is not ours
            self._process = None
            if self._control:
                self._control.close()
            self._control = None
        if self._process and self._process.poll() is None:
            return
        self._discard()
        self._start()

    def _start(self) -> None:
        ours, theirs = socket.socketpair()
        options = {
            "max_children": self.max_children,
            "layers": sorted(self.layers),
            "task_modules": self.task_modules or TASK_MODULES,
            "directory": tempfile.gettempdir(),
            "nice": _nice,
        }
        program = START.format(path=str(settings.BASE_DIR))
        with theirs:
            self._process = subprocess.Popen(  # noqa: S603
                [sys.executable, "-I", "-c", program, json.dumps(options)],
                stdin=theirs.fileno(),
                env=dict(HELPER_ENVIRONMENT),
                cwd="/",
                start_new_session=True,
            )
        sweep_scratch()  # of a worker that this one may be here in place of
        self._control, self._owner = ours, os.getpid()
        self.counts.helpers_started += 1
        reply_ours, reply_theirs = socket.socketpair()
        with reply_ours:
            with reply_theirs:
                self._send({"task": "hello"}, reply_theirs)
            reply_ours.settimeout(HELPER_PATIENCE_SECONDS)
            hello = json.loads(reply_ours.makefile("rb").read() or b"{}")
        if not hello:
            raise VideoError("media_helper_lost", "the media helper did not start")
        self.missing = hello["missing"]
        self.tasks = frozenset(hello["tasks"])
        self.versions, self.unavailable = hello["versions"], hello["unavailable"]
        self.judge_layers()

    def judge_layers(self) -> None:
        """Refuse, or say, that this machine lacks a layer."""
        lacking = {name: why for name, why in self.missing.items() if name in self.layers}
        if not lacking:
            return
        words = "; ".join(f"{name}: {why}" for name, why in lacking.items())
        if settings.MEDIA_SANDBOX == "require":
            self._discard()
            raise VideoError("media_sandbox_missing", words)
        # The servers warned of it once, as they started (see sandbox_state.check_at_start).
        logger.info("media sandbox without %s", words)

    def _discard(self) -> None:
        if self._control:
            self._control.close()
        if self._process:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(1)
            if self._process.poll() is None:
                self._process.send_signal(signal.SIGKILL)
                self._process.wait()
        self._control = self._process = None

    def stop(self) -> None:
        """End the helper and all its children, for good."""
        with self._lock:
            self._stopped = True
            if self._owner == os.getpid():
                self._discard()

    @property
    def process_id(self) -> int:
        """Of the running helper; 0 when there is none."""
        return self._process.pid if self._process else 0

    def known_tasks(self) -> frozenset[str]:
        """Names of the Python tasks that the helper could import."""
        with self._lock:
            self._ensure()
        return self.tasks

    @property
    def layer_states(self) -> dict[str, str]:
        """{layer: "on", "off" or why it is missing} of this process's helper."""
        with self._lock:
            try:
                self._ensure()
            except VideoError as error:
                if error.code != "media_sandbox_missing":  # then they are known all the same
                    raise
        return {
            layer.name: self.missing.get(layer.name)
            or ("on" if layer.name in self.layers else "off")
            for layer in LAYERS
        }


_nice = 0


def give_way(nice: int) -> None:
    """Add to the nice value of the helpers that this process and its forks start from now on, and
    so of all that reads and transcodes."""
    global _nice
    _nice = nice


_turn: "ContextVar[threading.Lock | None]" = ContextVar("turn", default=None)


@contextlib.contextmanager
def in_turn(lock: threading.Lock) -> Iterator[None]:
    """Within this block, of this thread, a child is started only while it has the ``lock``: of
    threads that share one, one child runs at a time."""
    token = _turn.set(lock)
    try:
        yield
    finally:
        _turn.reset(token)


_helper: MediaHelper | None = None
_print_helper: MediaHelper | None = None
_helper_lock = threading.Lock()


def media_helper() -> MediaHelper:
    """The helper of this process."""
    global _helper
    with _helper_lock:
        if _helper is None:
            _helper = new_helper()
        return _helper


def print_helper() -> MediaHelper:
    """That of this process for fingerprints."""
    global _print_helper
    with _helper_lock:
        if _print_helper is None:
            _print_helper = new_helper(PRINT_TASK_MODULES)
        return _print_helper


def new_helper(task_modules: tuple[str, ...] = ()) -> MediaHelper:
    layers = frozenset(layer.name for layer in LAYERS)
    if settings.MEDIA_SANDBOX == "off":
        layers = frozenset({"limits", "death_signal"})
    helper = MediaHelper(settings.MEDIA_CHILDREN, layers, task_modules)
    atexit.register(helper.stop)
    return helper
