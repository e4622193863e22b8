"""Calling off what a media child is doing: whoever waits for it may change their mind.

::

    with interruptible(lambda: job_is_paused(job_id)):
        renderer.prepare(attachment)  # raises Interrupted, its child dead, its files deleted
"""

import contextlib
import socket
import time
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from dataclasses import dataclass

# How long the helper is waited for to kill a child that is called off; it looks four times a
# second.
HANG_UP_SECONDS = 2.0


class Interrupted(Exception):
    """What was asked for is not wanted any more; it is no outcome of the video."""


class NoAnswer(Exception):
    """Nothing came for as long as one was ready to wait."""


@dataclass(slots=True)
class Interruption:
    """Asks ``check`` every ``every_seconds``, however many children are started meanwhile."""

    check: Callable[[], bool]
    every_seconds: float
    stopped: bool = False
    next_check: float = 0.0  # of time.monotonic

    def raise_if_stopped(self) -> None:
        now = time.monotonic()
        if not self.stopped and now >= self.next_check:
            self.stopped = self.check()
            self.next_check = now + self.every_seconds
        if self.stopped:
            raise Interrupted


_current: ContextVar[Interruption | None] = ContextVar("interruption", default=None)


@contextlib.contextmanager
def interruptible(
    check: Callable[[], bool], every_seconds: float = 0.5, *, asked: bool = False
) -> Iterator[None]:
    """Within this block, of this thread, media work ends soon after ``check()`` is true.

    ``check`` is called in this thread, before a child is asked for and while one is waited for;
    where the same was ``asked`` just now, not before ``every_seconds`` from now.  The child at
    hand is killed, and no other is started.

    Raises:
        Interrupted: from within the media work, once its child is gone.
    """
    next_check = time.monotonic() + every_seconds if asked else 0.0
    token = _current.set(Interruption(check, every_seconds, next_check=next_check))
    try:
        yield
    finally:
        _current.reset(token)


def received(reply: socket.socket, patience_seconds: float) -> bytes:
    """All that comes until the other end closes; nothing when it broke.

    Raises:
        NoAnswer: it took longer than ``patience_seconds``.
        Interrupted: the other end was told that nobody waits any more, and has closed; so it is
            for any other exception that comes while one waits.
    """
    try:
        return _received(reply, time.monotonic() + patience_seconds)
    except NoAnswer:
        raise
    except BaseException:  # Interrupted, a signal's exception, or what the question itself raised
        hang_up(reply)
        raise


def _received(reply: socket.socket, deadline: float) -> bytes:
    interruption = _current.get()
    parts = bytearray()
    while True:
        raise_if_stopped()
        left = deadline - time.monotonic()
        if left <= 0:
            raise NoAnswer
        reply.settimeout(min(left, interruption.every_seconds) if interruption else left)
        try:
            part = reply.recv(65536)
        except TimeoutError:
            continue
        except OSError:
            return b""
        if not part:
            return bytes(parts)
        parts += part


def hang_up(reply: socket.socket) -> None:
    """Say that nobody waits, and wait for the child's end: its directory is deleted next."""
    with contextlib.suppress(OSError):  # TimeoutError: the helper itself is stuck
        reply.shutdown(socket.SHUT_WR)
        reply.settimeout(HANG_UP_SECONDS)
        while reply.recv(65536):
            pass


def raise_if_stopped() -> None:
    """Before anything is started.  Raises Interrupted."""
    if interruption := _current.get():
        interruption.raise_if_stopped()
