"""``make bench-pages``: the dashboard's lists under every filter and in every order, first page
and last, with few rows and with many, on SQLite and on PostgreSQL.

With ``--keep`` the filled databases stay in a folder, and are measured again as they are.
"""

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg

from tests.services import postgresql_server

Figures = dict[str, list[dict[str, Any]]]
FEW = 10_000
ENTRIES = 5  # of the activity log, for each video
WORST = 8


def quantile(values: list[float], part: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(part * len(ordered)))]


@contextmanager
def databases(kind: str, keep: Path | None, sizes: list[int]) -> Iterator[list[str]]:
    """URLs, one for each size; "" is a new SQLite file that does not outlive its process."""
    if kind == "sqlite":
        yield [f"sqlite:///{keep / f'{size}.sqlite3'}" if keep else "" for size in sizes]
        return
    with postgresql_server(keep and keep / "postgresql") as server:
        yield [database(server.url, f"rows_{size}") for size in sizes]


def database(url: str, name: str) -> str:
    """The URL of the one of this name on the server of ``url``; made where there is none."""
    with psycopg.connect(url, autocommit=True) as connection:
        known = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [name])
        if known.fetchone() is None:
            connection.execute(f"CREATE DATABASE {name}")
    return urlsplit(url)._replace(path=f"/{name}").geturl()


def measured(url: str, rows: int, options: argparse.Namespace) -> Figures:
    command = [sys.executable, "-m", "bench.pages_timed", str(rows), str(ENTRIES * rows)]
    command += [str(options.rounds), *options.lists]
    ran = subprocess.run(
        command,
        env={**os.environ, "DATABASE_URL": url},
        check=True,
        capture_output=True,
        text=True,
    )
    figures: Figures = json.loads(ran.stdout)
    return figures


def report(database: str, rows: int, few: Figures, many: Figures) -> None:
    for name in many:
        print(f"{database}, {name}: {len(many[name])} addresses")
        for count, figures in ((FEW, few[name]), (rows, many[name])):
            spans = [
                f"{words} p50 {quantile(ms, 0.5):.0f} p95 {quantile(ms, 0.95):.0f}"
                f" worst {max(ms):.0f} ms"
                for key, words in (("ms", "by the clock"), ("cpu_ms", "of work"))
                for ms in [[each for one in figures for each in one[key]]]
            ]
            queries = max(each["queries"] for each in figures)
            print(f"  {count:>9,} videos: {'; '.join(spans)}; at most {queries} queries")
        # The same addresses in the same order, but for names and numbers in them.
        pairs = list(zip(few[name], many[name], strict=True))
        factors = [median(large) / median(small) for small, large in pairs]
        print(
            f"  factor between them: median {quantile(factors, 0.5):.2f},"
            f" p95 {quantile(factors, 0.95):.2f}; above 1.3 in {sum(f > 1.3 for f in factors)}"
        )
        for small, large in sorted(pairs, key=lambda pair: -median(pair[1]))[:WORST]:
            print(
                f"    {median(large):7.1f} ms of work ({median(small):5.1f} with {FEW:,})"
                f" {large['queries']:>3} queries {large['found']:>14}  {large['address']}"
            )


def median(each: dict[str, Any]) -> float:
    return quantile(each["cpu_ms"], 0.5)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", choices=["sqlite", "postgresql"])
    parser.add_argument("--keep", type=Path, help="a folder for the filled databases")
    parser.add_argument("lists", nargs="*", help="videos, activity, reports, jobs or people")
    options = parser.parse_args()
    if options.keep:
        options.keep = options.keep.resolve()
        options.keep.mkdir(parents=True, exist_ok=True)
    sizes = [FEW, options.rows]
    for kind in [options.only] if options.only else ["sqlite", "postgresql"]:
        with databases(kind, options.keep, sizes) as urls:
            few, many = (
                measured(url, rows, options) for url, rows in zip(urls, sizes, strict=True)
            )
        report(kind, options.rows, few, many)


if __name__ == "__main__":
    main()
