"""``make bench-jobs``: the job engine over many rows on SQLite and on PostgreSQL, then a real
backfill and uploads beside it."""

import argparse
import os
import subprocess
import sys
from collections.abc import Sequence

from tests.services import postgresql


def engine(arguments: Sequence[str], **settings: str) -> None:
    subprocess.run(
        [sys.executable, "-m", "bench.jobs_engine", *arguments],
        env={**os.environ, **settings},
        check=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", default="1000000")
    parser.add_argument("--clips", default="2000")
    options = parser.parse_args()
    rows = ["--rows", options.rows]
    engine(rows)
    with postgresql() as url:
        engine(rows, DATABASE_URL=url)
    subprocess.run(
        [sys.executable, "-m", "bench.jobs_media", "--clips", options.clips], check=True
    )


if __name__ == "__main__":
    main()
