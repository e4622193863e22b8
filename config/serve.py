"""`python -m config.serve`: web server and consumer under supervisor, until Ctrl-C.

Supervisor restarts whichever dies.  What is added here is what a terminal needs: Ctrl-C stops
everything once and in order, closing the window stops it too, and the logs of both come out.
"""

import contextlib
import fcntl
import os
import select
import signal
import sys
from collections.abc import Iterator

from supervisor.options import ServerOptions
from supervisor.states import SupervisorStates
from supervisor.supervisord import Supervisor, asyncore

from config.address import AddressUnavailable, check_free, configured_address
from config.parent import SUPERVISOR_VARIABLE
from config.settings import BASE_DIR, DATA_DIR

CONFIGURATION = BASE_DIR / "config" / "processes" / "supervisor.conf"


class Options(ServerOptions):
    """Supervisor's options, except that a hang-up ends it instead of restarting it."""

    def setsignals(self) -> None:
        super().setsignals()
        receive = self.signal_receiver.receive
        signal.signal(signal.SIGHUP, lambda _signum, frame: receive(signal.SIGTERM, frame))


class Processes(Supervisor):
    """Supervisor, ended as well by the loss of the terminal it was started at.

    The hang-up signal goes to the session's leader; when that is `make`, it stays there.
    """

    at_terminal = sys.stdin.isatty()

    def tick(self, now: float | None = None) -> None:
        super().tick(now)
        if self.at_terminal and terminal_is_gone() and not self.stopping:
            self.options.mood = SupervisorStates.SHUTDOWN


def terminal_is_gone() -> bool:
    watch = select.poll()
    watch.register(0, 0)  # of a hang-up poll tells unasked
    return bool(watch.poll(0))


@contextlib.contextmanager
def own_terminal() -> Iterator[None]:
    """Ctrl-C reaches this process alone: `make` would call it an error of its own."""
    if not (sys.stdin.isatty() and os.tcgetpgrp(0) == os.getpgrp()):
        yield
        return
    before = os.getpgrp()
    signal.signal(signal.SIGTTOU, signal.SIG_IGN)  # or giving the terminal back would stop us
    signal.signal(signal.SIGTSTP, signal.SIG_IGN)  # nobody is left to wake us after Ctrl-Z
    os.setpgid(0, 0)
    os.tcsetpgrp(0, os.getpgrp())
    try:
        yield
    finally:
        with contextlib.suppress(OSError):  # the window is closed
            os.tcsetpgrp(0, before)


def log_file() -> str:
    """A name under which what both programs say can be written to our standard output."""
    # Supervisor writes both here and through the name: in a file neither may overwrite the other.
    fcntl.fcntl(1, fcntl.F_SETFL, fcntl.fcntl(1, fcntl.F_GETFL) | os.O_APPEND)
    try:
        os.close(os.open("/dev/fd/1", os.O_WRONLY | os.O_APPEND))
    except OSError:  # a socket, or the terminal of another user, as after `su`
        return f"/dev/fd/{pipe_to_output()}"
    return "/dev/fd/1"


def pipe_to_output() -> int:
    """The writing end of a pipe that a process of its own copies out, as long as we live."""
    reading, writing = os.pipe()
    if os.fork():
        os.close(reading)
        return writing
    try:
        os.close(writing)
        for signum in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(signum, signal.SIG_IGN)  # what is said while stopping comes out too
        while piece := os.read(reading, 65536):
            sys.stdout.buffer.write(piece)
            sys.stdout.buffer.flush()
    finally:
        os._exit(0)


def environment() -> dict[str, str]:
    """What the configuration file and both programs need on top of the environment."""
    python = os.path.dirname(sys.executable)
    return {
        "DATA_DIR": str(DATA_DIR),
        "LOG_FILE": log_file(),
        "PATH": python + os.pathsep + os.environ.get("PATH", os.defpath),
        "PYTHONUNBUFFERED": "1",
        SUPERVISOR_VARIABLE: str(os.getpid()),
    }


def main() -> int:
    try:
        check_free(*configured_address())
    except AddressUnavailable as error:
        print(error, file=sys.stderr)
        return 1
    os.chdir(BASE_DIR)
    os.environ.update(environment())
    options = Options()
    # Naming the user that it runs as anyway keeps supervisor from complaining about root.
    options.realize(["-n", "-c", str(CONFIGURATION), "-u", str(os.getuid())])
    options.first, options.test = True, False
    with own_terminal(), contextlib.suppress(asyncore.ExitNow):
        Processes(options).main()
    options.close_logger()
    return 0


if __name__ == "__main__":
    sys.exit(main())
