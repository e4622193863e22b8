"""An installation of its own in a temporary folder, used through real processes.

Where the test run itself is on servers (see tests.on_servers), so is the installation: in a
database and a queue of its own on them.
"""

import atexit
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO, Any

import psycopg

from tests.running import INHERITED, ROOT, eventually
from tests.services import own_database, own_redis_database

Process = subprocess.Popen[str]
NEW = {"ADMIN_PASSWORD": "for the tests alone"}
_until_exit = ExitStack()
atexit.register(_until_exit.close)


class Installation:
    """``manage`` runs a command to its end; ``start`` leaves it running in a group of its own."""

    def __init__(self, data_dir: Path, **settings: str) -> None:
        self.data_dir = data_dir
        self.environment = {k: v for k, v in os.environ.items() if not INHERITED.match(k)}
        scratch = data_dir / "scratch"  # media tools work there: it tells ours from others
        scratch.mkdir(parents=True, exist_ok=True)
        self.environment |= {"DATA_DIR": str(data_dir), "TMPDIR": str(scratch), **settings}
        self.started: list[Process] = []
        self.prefix: tuple[str, ...] = ()  # of each command that is started

    def manage(self, *arguments: str, status: int = 0, stdin: IO[str] | None = None) -> str:
        """Standard output of a command that ends with ``status``."""
        done = subprocess.run(
            [sys.executable, "manage.py", *arguments],
            cwd=ROOT,
            env=self.environment,
            stdin=stdin,
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert done.returncode == status, f"{arguments}: {done.returncode}\n{done.stderr}"
        return done.stdout

    def manage_json(self, *arguments: str, status: int = 0) -> Any:
        return json.loads(self.manage(*arguments, "--json", status=status))

    def start(self, *arguments: str) -> Process:
        process = subprocess.Popen(
            [*self.prefix, sys.executable, "manage.py", *arguments],
            cwd=ROOT,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self.started.append(process)
        return process

    def python(self, code: str) -> str:
        return self.manage("shell", "--verbosity", "0", "--command", code).strip()

    def query(self, sql: str) -> list[Any]:
        """Rows of one column as a flat list."""
        with closing(self.connect()) as database:
            rows = database.execute(sql).fetchall()
        return [row[0] if len(row) == 1 else row for row in rows]

    def connect(self) -> Any:
        if url := self.environment.get("DATABASE_URL"):
            return psycopg.connect(url)
        return sqlite3.connect(self.data_dir / "db.sqlite3", timeout=30)

    def value(self, sql: str) -> Any:
        return self.query(sql)[0]

    def wait_for(self, sql: str, expected: Any, seconds: float = 40) -> None:
        eventually(
            f"{sql} gives {expected!r}", lambda: self.value(sql) == expected, seconds=seconds
        )

    def processes(self) -> dict[int, str]:
        """Command lines by pid of everything that was started for this installation, media
        tools included."""
        marks = (f"DATA_DIR={self.data_dir}\0".encode(), str(self.data_dir).encode())
        found = {}
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                environment = (folder / "environ").read_bytes() + b"\0"
                line = (folder / "cmdline").read_bytes()
            except OSError:
                continue
            if (marks[0] in environment or marks[1] in line) and int(folder.name) != os.getpid():
                found[int(folder.name)] = line.replace(b"\0", b" ").decode()
        return found

    def clear_away(self) -> None:
        for process in self.started:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.communicate(timeout=10)


@contextmanager
def installation(data_dir: Path, **settings: str) -> Iterator[Installation]:
    """Migrated, with an administrator; on the servers of this test run where it has some, and on
    a DATABASE_URL as it is."""
    with ExitStack() as at_the_end:
        given = "DATABASE_URL" in settings
        settings = {**NEW, **({} if given else own_servers(at_the_end)), **settings}
        made = Installation(data_dir, **settings)
        at_the_end.callback(made.clear_away)
        if not settings.get("DATABASE_URL"):
            shutil.copyfile(migrated_file(), data_dir / "db.sqlite3")
        yield made


def own_servers(at_the_end: ExitStack) -> dict[str, str]:
    """A migrated database and a queue on the servers of this test run; nothing when it has
    none."""
    server, queue = os.environ.get("DATABASE_URL", ""), os.environ.get("HUEY_URL", "")
    settings = {}
    if server:
        copy = own_database(server, like=migrated_database(server))
        settings["DATABASE_URL"] = at_the_end.enter_context(copy)
    if queue.startswith("redis"):
        settings["HUEY_URL"] = at_the_end.enter_context(own_redis_database(queue))
    return settings


# --- Migrated once, then copied ------------------------------------------------------------------


def migrate(site: Installation) -> None:
    site.manage("migrate", "--verbosity", "0")
    site.manage("ensure_admin")


@cache
def migrated_file() -> Path:
    """A database of SQLite."""
    folder = Path(_until_exit.enter_context(TemporaryDirectory(prefix="offchat-migrated-")))
    migrate(Installation(folder, **NEW))
    return folder / "db.sqlite3"


@contextmanager
def database_to_copy(server: str) -> Iterator[str]:
    """The name of a migrated one on this PostgreSQL that nobody is connected to."""
    with own_database(server) as url:
        with TemporaryDirectory(prefix="offchat-migrated-") as folder:
            migrate(Installation(Path(folder), DATABASE_URL=url, **NEW))
        yield url.rpartition("/")[2]


@cache
def migrated_database(server: str) -> str:
    """On a server that outlives this process."""
    return _until_exit.enter_context(database_to_copy(server))
