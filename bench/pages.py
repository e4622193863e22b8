"""``make bench-pages``: the dashboard's list of videos under every filter and in every order,
first page and last, with few videos and with many, on SQLite and on PostgreSQL."""

import argparse
import json
import os
import subprocess
import sys
from typing import Any

from tests.services import postgresql

Figures = list[dict[str, Any]]
FEW = 10_000
WORST = 12


def quantile(values: list[float], part: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(part * len(ordered)))]


def measured(rows: int, rounds: int, **settings: str) -> Figures:
    """[{"address", "ms": [each request], "queries", "found"}] of a new database."""
    command = [sys.executable, "-m", "bench.pages_timed", str(rows), str(rounds)]
    ran = subprocess.run(
        command, env={**os.environ, **settings}, check=True, capture_output=True, text=True
    )
    figures: Figures = json.loads(ran.stdout)
    return figures


def report(database: str, rows: int, few: Figures, many: Figures) -> None:
    def p(figures: Figures, part: float) -> float:
        return quantile([ms for each in figures for ms in each["ms"]], part)

    def median(each: dict[str, Any]) -> float:
        return quantile(each["ms"], 0.5)

    print(f"{database}: {len(many)} addresses, {len(many[0]['ms'])} times each")
    for count, figures in ((FEW, few), (rows, many)):
        print(
            f"  {count:>9,} videos: p50 {p(figures, 0.5):.1f} ms, p95 {p(figures, 0.95):.1f} ms,"
            f" worst {p(figures, 1):.1f} ms; at most"
            f" {max(each['queries'] for each in figures)} queries"
        )
    # The same addresses in the same order, but for names and numbers in them.
    pairs = list(zip(few, many, strict=True))
    factors = [median(large) / median(small) for small, large in pairs]
    print(
        f"  factor between them: median {quantile(factors, 0.5):.2f},"
        f" p95 {quantile(factors, 0.95):.2f}; above 1.3 in {sum(f > 1.3 for f in factors)}"
    )
    print(f"  the {WORST} slowest, by their median:")
    for small, large in sorted(pairs, key=lambda pair: -median(pair[1]))[:WORST]:
        print(
            f"    {median(large):7.1f} ms ({median(small):5.1f} with {FEW:,})"
            f" {large['queries']:>3} queries {large['found']:>14}  {large['address']}"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", choices=["sqlite", "postgresql"])
    options = parser.parse_args()
    if options.only != "postgresql":
        sizes = [measured(rows, options.rounds) for rows in (FEW, options.rows)]
        report("SQLite", options.rows, *sizes)
    if options.only != "sqlite":
        sizes = []
        for rows in (FEW, options.rows):
            with postgresql() as url:
                sizes.append(measured(rows, options.rounds, DATABASE_URL=url))
        report("PostgreSQL", options.rows, *sizes)


if __name__ == "__main__":
    main()
