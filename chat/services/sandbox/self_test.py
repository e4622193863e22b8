"""A hostile stand-in: a task that tries, inside the child, what a broken decoder could be made to
do.  ``manage.py check --deploy`` and the health page run it and name what got through."""

import errno
import os
import signal
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any


def read_password_file(_parameters: dict[str, Any]) -> None:
    Path("/etc/passwd").read_bytes()


def read_neighbour(parameters: dict[str, Any]) -> None:
    Path(parameters["neighbour"]).read_bytes()


def read_parents_environment(parameters: dict[str, Any]) -> None:
    Path(f"/proc/{parameters['worker']}/environ").read_bytes()


def write_outside(parameters: dict[str, Any]) -> None:
    Path(parameters["neighbour"]).with_name("written-outside").write_bytes(b"x")


def delete_neighbour(parameters: dict[str, Any]) -> None:
    Path(parameters["neighbour"]).unlink()


def connect_tcp(parameters: dict[str, Any]) -> None:
    with socket.create_connection(("127.0.0.1", parameters["port"]), timeout=1):
        pass


def send_udp(parameters: dict[str, Any]) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.sendto(b"x", ("127.0.0.1", parameters["port"]))


def connect_unix(parameters: dict[str, Any]) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sender:
        sender.settimeout(1)
        sender.connect(parameters["unix"])


def fork_fifty(_parameters: dict[str, Any]) -> None:
    for _ in range(50):
        child = os.fork()
        if not child:
            os._exit(0)
        os.waitpid(child, 0)


def run_a_program(_parameters: dict[str, Any]) -> None:
    if os.access("/bin/true", os.X_OK):  # an exec that succeeds ends this task
        os.execv("/bin/true", ["/bin/true"])  # noqa: S606
    raise PermissionError("not executable")


def signal_the_worker(parameters: dict[str, Any]) -> None:
    os.kill(parameters["worker"], 0)


def take_four_gibibytes(_parameters: dict[str, Any]) -> None:
    bytearray(4 * 1024**3)


def fill_the_disk(_parameters: dict[str, Any]) -> None:
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    with open("large", "wb") as file:
        for _ in range(256):
            file.write(bytes(1024**2))


ATTEMPTS: tuple[Callable[[dict[str, Any]], None], ...] = (
    read_password_file,
    read_neighbour,
    read_parents_environment,
    write_outside,
    delete_neighbour,
    connect_tcp,
    send_udp,
    connect_unix,
    fork_fifty,
    run_a_program,
    signal_the_worker,
    take_four_gibibytes,
    fill_the_disk,
)


def attempt(parameters: dict[str, Any]) -> dict[str, str]:
    """``{"name", "neighbour", "worker", "port", "unix"}`` → ``{"denied": reason}``, empty when the
    attempt got through."""
    trial = next(t for t in ATTEMPTS if t.__name__ == parameters["name"])
    try:
        trial(parameters)
    except (OSError, MemoryError) as error:
        number = getattr(error, "errno", None)
        return {"denied": errno.errorcode.get(number or 0, type(error).__name__)}
    return {"denied": ""}


TASKS = {"self_test": attempt}
