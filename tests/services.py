"""Real servers for tests: PostgreSQL and Redis from this machine's packages, each in a folder of
its own, on loopback, without a trace afterwards."""

import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from urllib.parse import urlsplit
from uuid import uuid4

import psycopg
import redis

from config.parent import end_with_parent
from tests.machine import lacking
from tests.running import eventually, free_port

# Debian keeps the server's programs out of PATH.
POSTGRESQL_FOLDERS = ("/usr/lib/postgresql/*/bin", "/opt/homebrew/opt/postgresql@*/bin")
# Redis has numbered databases: those below are of the processes of a test run themselves.
FIRST_OF_TESTS = 100
# Nothing of it is meant to survive a crash.
POSTGRESQL_OPTIONS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "shared_buffers": "64MB",
    "max_connections": "100",
}


def postgresql_program(name: str) -> str | None:
    places = [path for pattern in POSTGRESQL_FOLDERS for path in Path("/").glob(pattern[1:])]
    newest_first = sorted(places, key=lambda path: path.parts[-2], reverse=True)
    return shutil.which(name) or shutil.which(name, path=os.pathsep.join(map(str, newest_first)))


def unprivileged() -> dict[str, int]:
    """PostgreSQL refuses to run as root: arguments of ``subprocess`` for another account."""
    if os.geteuid() != 0:
        return {}
    account = pwd.getpwnam("nobody")
    return {"user": account.pw_uid, "group": account.pw_gid}


def end_with_tests() -> None:
    """In a server that is about to start: it stops in order even when the tests are killed."""
    if sys.platform == "linux":
        end_with_parent(signal.SIGINT)


class PostgresqlServer:
    """On a cluster in ``folder``; stopped and started again it is at the same place."""

    def __init__(self, program: str, folder: Path) -> None:
        self.port = free_port()
        self.url = f"postgresql://offchat@127.0.0.1:{self.port}/postgres"
        settings = {**POSTGRESQL_OPTIONS, "port": str(self.port)}
        flags = [f"--{name}={value}" for name, value in settings.items()]
        self.command = [program, "-D", str(folder / "cluster"), *flags]
        self.folder = folder
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with (self.folder / "log").open("ab") as log:
            process = self.process = subprocess.Popen(
                self.command,
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # Ctrl-C is for the tests, which stop it in order
                preexec_fn=end_with_tests,
                **unprivileged(),
            )
        try:
            eventually(
                "PostgreSQL answers",
                lambda: answers(process, lambda: psycopg.connect(self.url).close()),
                30,
            )
        except AssertionError as error:
            raise AssertionError(f"{error}: {(self.folder / 'log').read_text()}") from None

    def stop(self) -> None:
        if self.process is not None:
            stop(self.process)
            self.process = None


@contextmanager
def postgresql() -> Iterator[str]:
    """The URL of a server's first database."""
    with postgresql_server() as server:
        yield server.url


@contextmanager
def postgresql_server(kept: Path | None = None) -> Iterator[PostgresqlServer]:
    """A running one, whose databases do not outlive it, unless they are ``kept`` in a folder."""
    initdb, server = postgresql_program("initdb"), postgresql_program("postgres")
    if initdb is None or server is None:
        lacking("PostgreSQL")
    account = unprivileged()
    with ExitStack() as stack:
        # Directly below the temporary folder: pytest's own folders are closed to other accounts.
        prefix = "offchat-postgresql-"
        folder = kept or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix=prefix)))
        folder.mkdir(exist_ok=True)
        if account:
            os.chown(folder, account["user"], account["group"])
        cluster = folder / "cluster"
        options = {"pgdata": cluster, "username": "offchat", "auth": "trust"}
        options |= {"encoding": "UTF8", "locale": "C"}
        if not cluster.exists():
            subprocess.run(
                [initdb, "--no-sync", *(f"--{name}={value}" for name, value in options.items())],
                cwd=folder,
                check=True,
                capture_output=True,
                **account,
            )
        running = PostgresqlServer(server, folder)
        try:
            running.start()
            yield running
        finally:
            running.stop()


class RedisServer:
    """On a port of its own; stopped it forgets everything."""

    def __init__(self, program: str, folder: str) -> None:
        port = free_port()
        self.url = f"redis://127.0.0.1:{port}/0"
        self.command = [program, "--port", str(port), "--bind", "127.0.0.1", "--dir", folder]
        self.command += ["--save", "", "--appendonly", "no", "--databases", "4096"]
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        process = self.process = subprocess.Popen(
            self.command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            preexec_fn=end_with_tests,
        )
        eventually(
            "Redis answers",
            lambda: answers(process, lambda: redis.Redis.from_url(self.url).ping()),
            20,
        )

    def stop(self) -> None:
        if self.process is not None:
            stop(self.process)
            self.process = None


@contextmanager
def redis_server() -> Iterator[RedisServer]:
    """A running one."""
    program = shutil.which("redis-server")
    if program is None:
        lacking("Redis")
    with tempfile.TemporaryDirectory(prefix="offchat-redis-") as folder:
        running = RedisServer(program, folder)
        try:
            running.start()
            yield running
        finally:
            running.stop()


def answers(process: "subprocess.Popen[bytes]", ask: Callable[[], object]) -> bool:
    assert process.poll() is None, f"it ended with {process.returncode}"
    with suppress(psycopg.OperationalError, redis.ConnectionError):
        ask()
        return True
    return False


def stop(process: "subprocess.Popen[bytes]") -> None:
    """SIGINT: PostgreSQL's fast shutdown, and Redis ends too."""
    process.send_signal(signal.SIGINT)
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait(10)


@contextmanager
def own_database(url: str, like: str = "template1") -> Iterator[str]:
    """The URL of a new database on the server of ``url``, dropped at the end: empty, or a copy of
    the one that is named, which nobody may be connected to."""
    name = f"of_a_test_{uuid4().hex[:12]}"
    administration = urlsplit(url)._replace(path="/postgres").geturl()
    with psycopg.connect(administration, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name} TEMPLATE {like}")
    try:
        yield urlsplit(url)._replace(path=f"/{name}").geturl()
    finally:
        with psycopg.connect(administration, autocommit=True) as connection:
            connection.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")


@contextmanager
def own_redis_database(url: str) -> Iterator[str]:
    """The URL of an unused numbered database on the server of ``url``, emptied at the end."""
    with redis.Redis.from_url(urlsplit(url)._replace(path="/0").geturl()) as first:
        number = FIRST_OF_TESTS + int(first.incr("databases given to tests"))
    mine = urlsplit(url)._replace(path=f"/{number}").geturl()
    try:
        yield mine
    finally:
        with redis.Redis.from_url(mine) as client:
            client.flushdb()
