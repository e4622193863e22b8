"""A child of the media helper, from its fork to its end.

It is forked before it is asked for, takes on at once what does not depend on a file, and waits at
its channel for one request.  With that it takes on the other layers, then becomes the tool or runs
the task.  One file, one child: it ends with its request.
"""

import contextlib
import json
import os
import signal
import socket
import struct
import sys
import traceback
from typing import Any, NoReturn

from chat.services.sandbox.layers import Confinement, Limits, Stage, take_on

LENGTH = struct.Struct("!I")  # of the JSON object that follows
DONE = b"."  # on the channel: the result is complete
SANDBOX_FAILED = 97  # exit status: a layer could not be taken on, nothing was read
TASK_FAILED = 98  # exit status: a task raised; its traceback is in stderr
STDOUT, STDERR, RESULT = ".stdout", ".stderr", ".result"
LAST_DESCRIPTOR = 65536
CLEAN_ENVIRONMENT = {
    "PATH": os.environ.get("PATH", os.defpath),
    "LC_ALL": "C.UTF-8",
    "AV_LOG_FORCE_NOCOLOR": "1",
    "MALLOC_ARENA_MAX": "2",
    "OPENBLAS_NUM_THREADS": "1",  # numpy's: the helper has one thread
}


def live(
    helper: int, channel: socket.socket, layers: frozenset[str], tasks: dict[str, Any]
) -> NoReturn:
    """All that a child does; ``helper`` is the process that forked it."""
    status = SANDBOX_FAILED
    try:
        os.setpgid(0, 0)  # not a session: Linux schedules these as groups, whatever their nice
        let_go(channel.fileno())
        restore_signals()
        failed: OSError | None = None
        try:
            take_on(layers, Stage.FORK)
        except OSError as error:
            failed = error  # told to the one who asks
        if os.getppid() != helper:  # it died before the death signal was set
            os._exit(SANDBOX_FAILED)
        request = receive(channel)
        directory, arguments = request["directory"], request["arguments"]
        try:
            redirect(directory, own_stdout=bool(arguments))
        except FileNotFoundError:  # who asked was interrupted, and has cleared it away
            os._exit(SANDBOX_FAILED)
        if failed:
            raise failed
        limits = Limits(**request["limits"])
        confinement = Confinement(request["source"], directory, bool(arguments), limits)
        take_on(layers, Stage.FILE, confinement)
        if arguments:
            environment = {**CLEAN_ENVIRONMENT, "HOME": directory}
            os.execve(arguments[0], arguments, environment)  # noqa: S606  (no shell is meant)
        status = TASK_FAILED
        result = tasks[request["task"]](request["parameters"])
        with open(RESULT, "w", encoding="utf-8") as file:
            json.dump(result, file)
        if sys.platform == "linux":
            # To give the memory back takes longer than to say so: let nobody wait for that.
            os.write(channel.fileno(), DONE)
            signal.pause()
        status = 0
    except BaseException:
        with contextlib.suppress(BaseException):
            os.write(2, traceback.format_exc()[-4000:].encode("utf-8", "replace"))
    os._exit(status)


def let_go(channel: int) -> None:
    """Of every descriptor but the channel, and of the environment."""
    os.closerange(3, channel)
    os.closerange(channel + 1, LAST_DESCRIPTOR)
    nothing = os.open(os.devnull, os.O_RDWR)
    for target in range(3):
        os.dup2(nothing, target)
    os.close(nothing)
    os.environ.clear()
    os.environ.update(CLEAN_ENVIRONMENT)


def restore_signals() -> None:
    """The defaults: Python ignores SIGPIPE and SIGXFSZ, and a tool would inherit that."""
    signal.set_wakeup_fd(-1)
    for number in (signal.SIGCHLD, signal.SIGPIPE, signal.SIGXFSZ, signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)


def receive(channel: socket.socket) -> dict[str, Any]:
    """The request; ends the process when the helper has gone without one."""
    head = channel.recv(LENGTH.size, socket.MSG_WAITALL)
    if len(head) < LENGTH.size:
        os._exit(0)
    request: dict[str, Any] = json.loads(channel.recv(LENGTH.unpack(head)[0], socket.MSG_WAITALL))
    return request


def redirect(directory: str, *, own_stdout: bool) -> None:
    """Work in ``directory``, with standard error, and standard output, in files there."""
    os.chdir(directory)
    create = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND
    for target, name in ((1, STDOUT), (2, STDERR)):
        if target == 2 or own_stdout:
            opened = os.open(name, create, 0o600)
            os.dup2(opened, target)
            os.close(opened)
