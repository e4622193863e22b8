"""Tasks for a media helper of the tests: children that do what no decoder should."""

import contextlib
import ctypes
import os
import threading
import time
from typing import Any

from chat.services.sandbox.child import DONE, RESULT


def claim_and_go_on(parameters: dict[str, Any]) -> None:
    """Say that the result is complete, write one if asked, and go on writing other files."""
    if parameters["with_result"]:
        with open(RESULT, "w", encoding="utf-8") as file:
            file.write('{"ours": true}')

    def write() -> None:
        for number in range(10**9):
            with contextlib.suppress(OSError):
                os.close(os.open(f"more-{number % 50}-{number}", os.O_CREAT | os.O_WRONLY, 0o600))

    threading.Thread(target=write, daemon=True).start()
    time.sleep(0.05)
    claim()
    time.sleep(60)


def claim() -> None:
    for descriptor in range(3, 64):
        with contextlib.suppress(OSError):
            os.write(descriptor, DONE * 3)


def claim_and_leave(parameters: dict[str, Any]) -> None:
    """Say that the result is complete and end at once, in one of several ways."""
    claim()
    if parameters["how"] == "exit":
        os._exit(0)
    if parameters["how"] == "crash":
        ctypes.string_at(0)
    if parameters["how"] == "become a tool":
        os.execv("/bin/true", ["/bin/true"])


def burn(parameters: dict[str, Any]) -> dict[str, int]:
    """CPU seconds and bytes of memory."""
    held = bytearray(parameters["bytes"])
    until = time.process_time() + parameters["seconds"]
    while time.process_time() < until:
        pass
    return {"held": len(held), "pid": os.getpid()}


TASKS = {"tests.claim": claim_and_go_on, "tests.leave": claim_and_leave, "tests.burn": burn}
