"""`python -m tests.moderation.chaos --items 100000`: a job under all that can go wrong at once.

Real consumers verify real stored files, while at seeded random points of the progress consumers
are killed, a worker is frozen beyond its lease and thawed, the job is paused and resumed, the
queue is flooded with wake-ups, and the database goes away.  ``Figures`` says what came of it.
"""

import argparse
import contextlib
import json
import os
import random
import shutil
import signal
import sqlite3
import tempfile
import threading
import time
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import psycopg

from tests.moderation.chaos_figures import Figures, Plan, check, table
from tests.moderation.chaos_items import (
    CREATE,
    DEAD,
    DELETED_NAME,
    FOLDER,
    HEALING,
    LISTED,
    heal,
    make_items,
)
from tests.moderation.chaos_site import (
    FLOOD,
    OUTCOMES,
    OWNER,
    START,
    STATUS,
    STEER,
    STORM,
    VERIFIED,
    WAITING,
    Console,
    a_site,
    live_now,
    now,
)
from tests.moderation.consumers import drain
from tests.moderation.installation import Installation, Process
from tests.running import eventually
from tests.services import PostgresqlServer, own_database, postgresql_server, redis_server

PAUSE_SECONDS = 2.0  # once nobody holds a chunk any more
OUTAGE_SECONDS = 2.0
DATABASES = ("sqlite", "postgresql")


class Chaos:
    """One run on one installation."""

    def __init__(self, site: Installation, plan: Plan, server: PostgresqlServer | None) -> None:
        self.site, self.plan, self.server = site, plan, server
        self.random = random.Random(plan.seed)
        self.figures = Figures("PostgreSQL" if server else "SQLite", plan.items)
        self.console = Console(site)
        self.consumers: list[Process] = []
        self.over = threading.Event()
        self.quiet_since = ""  # while it was paused; as SQL has it
        self.started = time.monotonic()

    @property
    def media(self) -> Path:
        return self.site.data_dir / "media" / FOLDER

    def run(self) -> Figures:
        figures, site = self.figures, self.site
        make_items(site.data_dir, self.media, self.plan.items, self.random)
        before = set(self.media.iterdir())
        self.console.run(CREATE.format(path=str(site.data_dir / LISTED)))
        self.console.run(START.format(kind=self.plan.kind, workers=self.plan.workers))
        self.started = time.monotonic()
        for _ in range(self.plan.consumers):
            self.start_consumer()
        watcher = threading.Thread(target=self.watch)
        watcher.start()
        try:
            self.disturb()
            self.until("the job is done", lambda: self.ask(STATUS) != "running")
            figures.seconds = time.monotonic() - self.started
        finally:
            self.over.set()
            watcher.join()
        self.stop_consumers()
        self.read_figures()
        for left in (site.data_dir / "scratch").iterdir():
            os.utime(left, (0, 0))  # of killed workers, long enough ago to be swept
        self.console.run("from chat.services import scratch; scratch.sweep_scratch()")
        self.console.close()
        figures.left_processes = len(site.processes())
        after = set(self.media.iterdir())
        scratch = [*(site.data_dir / "scratch").iterdir(), *(site.data_dir / "incoming").iterdir()]
        figures.left_files = len(after - before) + len(scratch)
        figures.lost_files = len(before - after)
        return figures

    # --- What happens ---------------------------------------------------------------------------

    def disturb(self) -> None:
        """Each disturbance at a random point of the progress."""
        events = [self.kill] * self.plan.kills
        events += [self.freeze, self.pause, self.flood, self.take_database_away]
        self.random.shuffle(events)
        points = sorted(self.random.uniform(0.03, 0.85) for _ in events)
        self.until("the job is planned", lambda: self.ask(STATUS) == "running")
        self.execute(
            f"DELETE FROM chat_attachment WHERE file LIKE '{FOLDER}/{DELETED_NAME}-%'"
            " AND verified_at IS NULL"
        )
        reached = 0
        for point, event in zip(points, events, strict=True):
            # And something was done since the last: a consumer that just starts is no target.
            reached = max(int(point * self.plan.items), reached + 25)
            self.until(f"{reached} are done", lambda n=reached: self.reached() >= n)
            reached = self.reached()
            at = time.monotonic() - self.started
            print(f"{at:6.1f} s, {self.reached():>6} done: {event.__name__}", flush=True)
            event()

    def kill(self) -> None:
        """One consumer, with all that it started; the others, if there are any, go on."""
        consumer = self.random.choice(self.consumers)
        os.killpg(consumer.pid, signal.SIGKILL)
        consumer.wait(timeout=10)
        self.consumers.remove(consumer)
        if not self.consumers:
            self.until("nothing is left of it", lambda: not self.others())
        self.figures.kills += 1
        self.start_consumer()

    def freeze(self) -> None:
        """A worker that holds a chunk, until after its lease."""
        pid = self.until("someone works", self.worker)
        os.kill(pid, signal.SIGSTOP)
        time.sleep(self.plan.lease_seconds + 1.5)
        os.kill(pid, signal.SIGCONT)
        self.figures.frozen += 1

    def worker(self) -> int | None:
        """The process that holds a chunk."""
        pid = int((self.ask(OWNER) or "").rpartition(":")[2] or 0)
        return pid if pid in self.others() else None

    def others(self) -> set[int]:
        """Processes of the installation but for the console."""
        return self.site.processes().keys() - {self.console.process.pid}

    def pause(self) -> None:
        """What is in flight may still come in, as long as its lease is live."""
        self.console.run(STEER.format(verb="pause"))
        self.until("nobody holds a chunk", lambda: self.ask(live_now()) == 0)
        self.quiet_since = now()
        time.sleep(PAUSE_SECONDS)
        self.console.run(STEER.format(verb="resume"))
        self.figures.pauses += 1

    def flood(self) -> None:
        self.console.run(FLOOD)
        self.figures.storm += STORM

    def take_database_away(self) -> None:
        """The server is stopped and started; of a file, someone else holds the lock."""
        if self.server is not None:
            self.server.stop()
            time.sleep(OUTAGE_SECONDS)
            self.server.start()
        else:
            with closing(sqlite3.connect(self.site.data_dir / "db.sqlite3", timeout=30)) as file:
                file.execute("BEGIN EXCLUSIVE")
                time.sleep(OUTAGE_SECONDS)
                file.rollback()
        self.figures.outages += 1

    def start_consumer(self) -> None:
        consumer = self.site.start("run_huey", "--queue", "jobs", "--workers", "2")
        self.consumers.append(consumer)
        drain(consumer)

    def stop_consumers(self) -> None:
        for consumer in self.consumers:
            consumer.send_signal(signal.SIGTERM)
        for consumer in self.consumers:
            consumer.wait(timeout=20)

    # --- What is seen ---------------------------------------------------------------------------

    def watch(self) -> None:
        """Ten times a second: how many leases are live.  And what could not be read can be, once
        that was seen."""
        sick = True
        while not self.over.wait(0.1):
            if sick and self.ask(WAITING) == HEALING + DEAD:
                heal(self.media)
                sick = False
            live = self.ask(live_now())
            self.figures.most_live_leases = max(self.figures.most_live_leases, live or 0)

    def read_figures(self) -> None:
        figures, value = self.figures, self.site.value
        figures.status = value(STATUS)
        figures.total = value("SELECT total FROM moderation_job")
        figures.ready, figures.skipped, figures.failed, figures.dead = value(
            "SELECT sum(ready), sum(skipped), sum(failed), sum(dead) FROM moderation_chunk"
        )
        figures.failures = dict(
            self.site.query("SELECT code, count(*) FROM moderation_failure GROUP BY code")
        )
        outcomes = json.loads(self.console.run(OUTCOMES))
        figures.outcomes = outcomes["counts"]
        figures.named = outcomes["items"], outcomes["different"]
        figures.workers_lost = value(
            "SELECT count(*) FROM moderation_interruption WHERE cause = 'worker_lost'"
        )
        figures.applied, different = value(
            f"SELECT count(*), count(DISTINCT object_id) FROM chat_activitylog WHERE {VERIFIED}"
        )
        figures.applied_twice = figures.applied - different
        resumed = "SELECT created_at FROM chat_activitylog WHERE action = 'job_resumed'"
        figures.worked_while_paused = value(
            f"SELECT count(*) FROM chat_activitylog WHERE {VERIFIED}"
            f" AND created_at > '{self.quiet_since}' AND created_at < ({resumed})"
        )

    def reached(self) -> int:
        return int(self.ask("SELECT sum(cursor) FROM moderation_chunk") or 0)

    def ask(self, sql: str) -> Any:
        """One value; None while the database is away or there is no row."""
        with contextlib.suppress(psycopg.OperationalError, sqlite3.OperationalError):
            return next(iter(self.site.query(sql)), None)
        return None

    def execute(self, sql: str) -> None:
        with closing(self.site.connect()) as database:
            database.execute(sql)
            database.commit()

    def until(self, what: str, condition: Any) -> Any:
        left = self.plan.seconds - (time.monotonic() - self.started)
        return eventually(what, condition, max(left, 1))


def on_sqlite(folder: Path, plan: Plan) -> Figures:
    with a_site(folder, plan, DATABASE_URL="", HUEY_URL="") as site:
        return Chaos(site, plan, None).run()


def on_postgresql(folder: Path, plan: Plan, redis_url: str) -> Figures:
    """On a server of its own, which goes away meanwhile."""
    with (
        postgresql_server() as server,
        own_database(server.url) as url,
        a_site(folder, plan, DATABASE_URL=url, HUEY_URL=redis_url) as site,
    ):
        return Chaos(site, plan, server).run()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--items", type=int, default=100_000)
    parser.add_argument("--kills", type=int, help="default: one for each 5,000 items, at least 5")
    parser.add_argument("--seed", type=int, default=random.randrange(1_000_000))
    parser.add_argument("--seconds", type=float, default=3600)
    # Longer than a busy machine keeps a worker waiting, which would count as one that froze.
    parser.add_argument("--lease-seconds", type=int, default=10)
    parser.add_argument("--only", choices=DATABASES)
    options = vars(parser.parse_args())
    only = options.pop("only")
    databases = (only,) if only else DATABASES
    options["kills"] = options["kills"] or max(5, options["items"] // 5000)
    print("seed", options["seed"], flush=True)
    found = []
    with ExitStack() as at_the_end:
        folder = Path(tempfile.mkdtemp(prefix="offchat-chaos-"))
        at_the_end.callback(shutil.rmtree, folder)
        for name in databases:
            (folder / name).mkdir()
            if name == "sqlite":
                plan = Plan(**options)
                found.append(on_sqlite(folder / name, plan))
            else:
                plan = Plan(**options, consumers=2, workers=3)
                queue = at_the_end.enter_context(redis_server())
                found.append(on_postgresql(folder / name, plan, queue.url))
            print(table(found), flush=True)
            check(found[-1], plan)


if __name__ == "__main__":
    main()
