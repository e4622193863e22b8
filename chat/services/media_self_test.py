"""Runs the hostile stand-in through this process's media helper and tells what got through."""

import contextlib
import os
import socket
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from chat.errors import VideoError
from chat.services import media_runner
from chat.services.media_runner import MediaHelper
from chat.services.sandbox.layers import Limits
from chat.services.sandbox.self_test import ATTEMPTS

LIMITS = Limits(wall_seconds=10, cpu_seconds=5, memory_bytes=1024**3, output_bytes=16 * 1024**2)
ALL_NAMES = tuple(trial.__name__ for trial in ATTEMPTS)


@dataclass(frozen=True, slots=True)
class Attempt:
    """One thing that the stand-in tried; ``denied`` is the reason, empty when it succeeded."""

    name: str
    denied: str

    @property
    def words(self) -> str:
        return self.name.replace("_", " ")


def run_self_test(
    helper: MediaHelper | None = None, names: Collection[str] = ALL_NAMES
) -> list[Attempt]:
    """The named attempts, each in a child of its own, against real targets of ours."""
    with TemporaryDirectory(prefix="offchat-self-test-") as name, contextlib.ExitStack() as stack:
        outside = Path(name) / "outside"
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
            with TemporaryDirectory(dir=name) as directory:
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
        # A program that took the child's place wrote no result: it ran.
        ran = name == "run_a_program" and error.code == "decoder_crashed"
        return Attempt(name, "" if ran else error.code)
    return Attempt(name, answer["denied"])
