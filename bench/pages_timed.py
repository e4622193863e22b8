"""Times of the dashboard's lists on the database of DATABASE_URL, as JSON; see bench.pages."""

import bench.ready  # noqa: F401, I001  (sets Django up)

import json
import re
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from django.conf import settings
from django.contrib.auth.models import Group, User
from django.db import connection
from django.test import Client
from django.test.utils import override_settings

from bench.list_addresses import all_lists
from bench.many_entries import fill_jobs, fill_log
from bench.many_videos import fill

JOBS = 3_000


def clocks() -> tuple[Callable[[], float], Callable[[], float]]:
    """Milliseconds by the clock; and of work, ours and that of PostgreSQL's process for us."""
    ours = time.process_time
    if connection.vendor != "postgresql" or sys.platform != "linux":
        return lambda: 1000 * time.perf_counter(), lambda: 1000 * ours()
    connection.ensure_connection()
    # Nanoseconds on a processor, https://docs.kernel.org/scheduler/sched-stats.html.
    of_server = Path(f"/proc/{connection.connection.info.backend_pid}/schedstat")

    def work() -> float:
        return 1000 * ours() + int(of_server.read_text().split()[0]) / 1e6

    return lambda: 1000 * time.perf_counter(), work


def measured(client: Client, address: str, rounds: int) -> dict[str, Any]:
    clock, work = clocks()
    queries: list[str] = []

    def counted(execute: Any, sql: str, *rest: Any) -> Any:
        queries.append(sql)
        return execute(sql, *rest)

    with connection.execute_wrapper(counted):
        page = client.get(address)  # also the one that warms up
    assert page.status_code == 200, address
    times, cpu = [], []
    for _ in range(rounds):
        started, worked = clock(), work()
        client.get(address)
        times.append(round(clock() - started, 2))
        cpu.append(round(work() - worked, 2))
    found = re.search(r'class="total"[^>]*>([^<]*)<', page.content.decode())
    return {
        "address": address,
        "ms": times,
        "cpu_ms": cpu,
        "queries": len(queries),
        "found": found[1] if found else "",
    }


def main() -> None:
    rows, entries, rounds, *lists = sys.argv[1:]
    if "auth_user" not in connection.introspection.table_names():
        fill(int(rows))
        fill_log(int(entries))
        fill_jobs(JOBS)
    viewer, _ = User.objects.get_or_create(username="viewer-of-the-benchmark")
    viewer.groups.add(*Group.objects.filter(name__in=("moderator", "operator", "admin")))
    client = Client()
    client.force_login(viewer)
    figures = {
        name: [measured(client, address, int(rounds)) for address in addresses]
        for name, addresses in all_lists().items()
        if not lists or name in lists
    }
    json.dump(figures, sys.stdout)


def with_static_files_as_they_are() -> override_settings:
    plain = {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}
    return override_settings(
        ALLOWED_HOSTS=["*"],
        STORAGES={**settings.STORAGES, "staticfiles": plain},
        MIDDLEWARE=[name for name in settings.MIDDLEWARE if "whitenoise" not in name],
    )


if __name__ == "__main__":
    with with_static_files_as_they_are():
        main()
