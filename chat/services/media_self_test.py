"""Runs the hostile stand-in through this process's media helper and tells what got through; the
last result is kept for the health page."""

import contextlib
import json
import os
import platform
import socket
from collections.abc import Collection
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from tempfile import NamedTemporaryFile, TemporaryDirectory
from typing import Any

from django.conf import settings
from django.utils import timezone

from chat.errors import VideoError
from chat.services import media_runner
from chat.services.media_helper import MediaHelper
from chat.services.sandbox.layers import Limits
from chat.services.sandbox.self_test import ATTEMPTS
from chat.services.scratch import scratch_folder

LIMITS = Limits(wall_seconds=10, cpu_seconds=5, memory_bytes=1024**3, output_bytes=16 * 1024**2)
ALL_NAMES = tuple(trial.__name__ for trial in ATTEMPTS)
NETWORK = ("seccomp", "network_namespace")
# What each attempt is, after "a broken decoder could …", and the layers that each stop it alone.
MEANT: dict[str, tuple[str, tuple[str, ...]]] = {
    "read_password_file": ("read /etc/passwd", ("landlock",)),
    "read_neighbour": ("read another user's video", ("landlock",)),
    "read_parents_environment": ("read the worker's environment", ("landlock",)),
    "write_outside": ("write outside its folder", ("landlock",)),
    "delete_neighbour": ("delete another user's video", ("landlock",)),
    "connect_tcp": ("connect over TCP", NETWORK),
    "send_udp": ("send over UDP", NETWORK),
    "connect_unix": ("connect to a Unix socket", ("seccomp",)),
    "fork_fifty": ("start fifty processes", ("seccomp",)),
    "run_a_program": ("run a program", ("seccomp", "landlock")),
    "signal_the_worker": ("signal the worker", ("seccomp",)),
    "take_four_gibibytes": ("take 4 GiB of memory", ("limits",)),
    "fill_the_disk": ("fill the disk", ("limits",)),
}
KEPT_IN = "media_self_test.json"


@dataclass(frozen=True, slots=True)
class Attempt:
    """One thing that the stand-in tried; ``denied`` is the reason, empty when it succeeded."""

    name: str
    denied: str

    @property
    def words(self) -> str:
        """After "a broken decoder could …"."""
        return MEANT[self.name][0] if self.name in MEANT else self.name

    @property
    def stopped_by(self) -> str:
        """The layers that stop it, in words."""
        layers = MEANT[self.name][1] if self.name in MEANT else ()
        return " or ".join(layer.replace("_", " ") for layer in layers)


@dataclass(frozen=True, slots=True)
class SelfTest:
    """A whole run, on one machine; ``trouble`` is why it could not be made."""

    host: str
    finished_at: datetime
    attempts: tuple[Attempt, ...]
    trouble: str = ""

    @property
    def got_through(self) -> list[Attempt]:
        return [attempt for attempt in self.attempts if not attempt.denied]

    @property
    def passed(self) -> bool:
        return bool(self.attempts) and not self.got_through and not self.trouble

    def to_json(self) -> dict[str, Any]:
        found = asdict(self)
        found["finished_at"] = self.finished_at.isoformat(timespec="seconds")
        return {**found, "passed": self.passed}

    @classmethod
    def from_json(cls, stored: dict[str, Any]) -> "SelfTest":
        return cls(
            host=stored["host"],
            finished_at=datetime.fromisoformat(stored["finished_at"]),
            attempts=tuple(Attempt(**attempt) for attempt in stored["attempts"]),
            trouble=stored["trouble"],
        )


def try_this_machine(helper: MediaHelper | None = None) -> SelfTest:
    """Run every attempt and keep the result."""
    attempts, trouble = [], ""
    try:
        attempts = run_self_test(helper)
    except VideoError as error:
        trouble = f"{error.outcome.operator} {error.detail}".strip()
    found = SelfTest(platform.node(), timezone.now(), tuple(attempts), trouble)
    keep(found)
    return found


def keep(found: SelfTest) -> None:
    """In a file, not the database: the result is of this machine."""
    with NamedTemporaryFile("w", dir=settings.DATA_DIR, delete=False) as draft:
        json.dump(found.to_json(), draft)
    os.replace(draft.name, settings.DATA_DIR / KEPT_IN)


def last_self_test() -> SelfTest | None:
    """None when there was none, or one of another version."""
    try:
        return SelfTest.from_json(json.loads((settings.DATA_DIR / KEPT_IN).read_text()))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def run_self_test(
    helper: MediaHelper | None = None, names: Collection[str] = ALL_NAMES
) -> list[Attempt]:
    """The named attempts, each in a child of its own, against real targets of ours.

    Raises:
        VideoError: ``media_helper_lost`` or ``media_sandbox_missing``: nothing could be tried.
    """
    with scratch_folder() as scratch, contextlib.ExitStack() as stack:
        outside = scratch / "outside"
        outside.mkdir()
        neighbour = outside / "neighbour"
        tcp = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        unix = stack.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))
        unix.bind(str(outside / "socket"))
        unix.listen()
        targets = {
            "neighbour": str(neighbour),
            "worker": os.getpid(),
            "port": tcp.getsockname()[1],
            "unix": str(outside / "socket"),
        }
        results = []
        for trial in names:
            neighbour.write_bytes(b"another user's video")
            with TemporaryDirectory(dir=scratch) as directory:
                results.append(one_attempt(trial, targets, Path(directory), helper))
        return results


def one_attempt(
    name: str, targets: dict[str, object], directory: Path, helper: MediaHelper | None
) -> Attempt:
    source = directory / "input"
    source.touch()
    try:
        answer = media_runner.run_task(
            "self_test", {"name": name, **targets}, LIMITS, directory, source, helper
        )
    except VideoError as error:
        if error.code in ("media_helper_lost", "media_sandbox_missing"):
            raise
        # A program that took the child's place wrote no result: it ran.
        ran = name == "run_a_program" and error.code == "decoder_crashed"
        return Attempt(name, "" if ran else error.code)
    return Attempt(name, answer["denied"])
