"""What a decoder under an attacker's control might do, as tasks of a media helper of the tests."""

import contextlib
import os
import signal
from typing import Any

NAME = "offchat-spinner"


def name_itself() -> None:
    """So that a test finds it among all processes of the machine."""
    with contextlib.suppress(OSError), open("/proc/self/comm", "w", encoding="ascii") as comm:
        comm.write(NAME)


def spin(_parameters: dict[str, Any]) -> None:
    """For ever, deaf to every signal that can be ignored."""
    name_itself()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGXCPU, signal.SIGPIPE):
        signal.signal(number, signal.SIG_IGN)
    while True:
        pass


def spin_in_a_fork(_parameters: dict[str, Any]) -> None:
    """In a child that its parent leaves behind."""
    if not os.fork():
        name_itself()
        while True:
            pass


def spin_in_a_fork_that_is_waited_for(_parameters: dict[str, Any]) -> None:
    child = os.fork()
    if not child:
        spin({})
    os.waitpid(child, 0)


def write_200_megabytes(_parameters: dict[str, Any]) -> None:
    with open("large", "wb") as file:
        for _ in range(200):
            file.write(bytes(1_000_000))


def answer_with_a_link(parameters: dict[str, Any]) -> None:
    """Have the worker read a file that the child may not read."""
    os.symlink(parameters["target"], ".result")
    os._exit(0)


def answer_with_a_pipe(_parameters: dict[str, Any]) -> None:
    """Have the worker wait for ever."""
    os.mkfifo(".result")
    os._exit(0)


TASKS = {
    task.__name__: task
    for task in (
        spin,
        spin_in_a_fork,
        spin_in_a_fork_that_is_waited_for,
        write_200_megabytes,
        answer_with_a_link,
        answer_with_a_pipe,
    )
}
