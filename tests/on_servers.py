"""`python -m tests.on_servers [ARGUMENTS OF PYTEST]`: the tests marked ``every_database``, on a
real PostgreSQL with a real Redis that are started for them and stopped afterwards.

A test run of Django has one DATABASES setting, so this is a run of its own.
"""

import os
import signal
import subprocess
import sys

import pytest

from tests.services import postgresql, redis_server

NOTHING_SELECTED = 5  # pytest's status where -k leaves no test


def main() -> int:
    signal.signal(signal.SIGTERM, lambda _signum, _frame: sys.exit(143))  # the servers stop too
    try:
        with postgresql() as database, redis_server() as queue:
            print("On PostgreSQL and Redis:", flush=True)
            ran = subprocess.run(
                [sys.executable, "-m", "pytest", "-m", "every_database", *sys.argv[1:]],
                env={**os.environ, "DATABASE_URL": database, "HUEY_URL": queue.url},
                check=False,
            )
    except pytest.skip.Exception as missing:
        print(f"*** SKIPPED: the tests marked every_database, on servers, since {missing}.")
        return 0
    except pytest.fail.Exception as missing:
        print(missing, file=sys.stderr)
        return 1
    narrowed = len(sys.argv) > 1
    return 0 if narrowed and ran.returncode == NOTHING_SELECTED else ran.returncode


if __name__ == "__main__":
    sys.exit(main())
