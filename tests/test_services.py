"""The servers that tests start: they serve, and nothing of them is left."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psutil
import psycopg
import pytest

from tests.running import ROOT, eventually
from tests.services import own_database, postgresql, redis_server

STARTERS = {"postgresql": postgresql, "redis_server": redis_server}
START_AND_WAIT = """
import os, sys
from tests.services import {name}
with {name}() as url:
    print(os.getpid(), flush=True)
    sys.stdin.read()
"""


def test_a_database_of_ones_own_is_gone_afterwards(postgresql_server: str) -> None:
    with own_database(postgresql_server) as url:
        with psycopg.connect(url) as connection:
            assert connection.execute("SELECT 1").fetchone() == (1,)
        name = url.rpartition("/")[2]
    with psycopg.connect(postgresql_server) as connection:
        there = "SELECT count(*) FROM pg_database WHERE datname = %s"
        assert connection.execute(there, [name]).fetchone() == (0,)


@pytest.fixture
def scratch() -> Iterator[Path]:
    """A folder that other accounts may enter, unlike pytest's own."""
    with tempfile.TemporaryDirectory(prefix="offchat-services-") as folder:
        os.chmod(folder, 0o755)
        yield Path(folder)


@pytest.mark.parametrize("name", STARTERS)
@pytest.mark.parametrize("killed", [True, False], ids=["killed", "in order"])
def test_a_server_ends_with_the_tests(name: str, killed: bool, scratch: Path) -> None:
    with STARTERS[name]():  # skips by name where the machine lacks it
        pass
    with subprocess.Popen(
        [sys.executable, "-c", START_AND_WAIT.format(name=name)],
        cwd=ROOT,
        env={**os.environ, "TMPDIR": str(scratch), "PYTHONPATH": str(ROOT)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as tests:
        assert tests.stdout is not None
        assert int(tests.stdout.readline()) == tests.pid
        started = psutil.Process(tests.pid).children(recursive=True)
        assert started
        if killed:
            tests.kill()
        tests.communicate(timeout=20)
        eventually("it has ended", lambda: not any(map(is_alive, started)), 10)
    if not killed:
        assert list(scratch.iterdir()) == []


def is_alive(process: psutil.Process) -> bool:
    return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
