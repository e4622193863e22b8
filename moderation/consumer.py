"""A queue's consumer: Huey's own, told what it works on and how it makes itself known."""

import logging
import platform
import time
from collections.abc import Callable
from typing import Any

import psutil
from django.conf import settings
from django.db import DatabaseError
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.signals import connection_created
from huey import consumer

from chat.services import activity_chain
from chat.services.media_helper import give_way
from moderation import tasks
from moderation.models import WorkerSeen
from moderation.queues import JOBS, QUEUES, with_fresh_connections

logger = logging.getLogger(__name__)
TELL_SECONDS = 30
LOOK_SECONDS = 5
FROZEN_SECONDS = 15.0
SEAL_SECONDS = 0.25  # of each second, at most
BEST_EFFORT_LAST = 7  # the lowest level of ioprio_set(2)'s best-effort class


class Worker(consumer.Worker):
    """Huey's process that does tasks; a long one may ask whether it is to stop."""

    def initialize(self) -> None:
        tasks.is_stopping = self.stop_flag.is_set
        super().initialize()


class Scheduler(consumer.Scheduler):
    """Huey's process that enqueues periodic tasks; here it tells as well that this consumer
    runs, on every machine and for both queues, wakes workers for what has become due, and seals
    the activity log, which so never waits for a busy worker.
    (Huey replaces workers that die within seconds.)
    """

    told_at = looked_at = -float("inf")

    def loop(self, now: Any = None) -> None:
        if time.monotonic() - self.told_at >= TELL_SECONDS:
            self.told_at = time.monotonic()
            queue = next(name for name, queue in QUEUES.items() if queue is self.huey)
            ask_database(lambda: WorkerSeen.tell(platform.node(), queue))
        if self.huey is JOBS and time.monotonic() - self.looked_at >= LOOK_SECONDS:
            self.looked_at = time.monotonic()
            ask_database(tasks.wake_for_what_is_due)
        if self.huey is JOBS:
            ask_database(lambda: activity_chain.seal_for(SEAL_SECONDS))
        super().loop(now)


class Consumer(consumer.Consumer):
    worker_class = Worker
    scheduler_class = Scheduler

    def __init__(self, queue: str, workers: int) -> None:
        super().__init__(
            QUEUES[queue],
            workers=workers,
            worker_type="process",
            initial_delay=0.1,
            max_delay=0.5,  # seconds until a wake-up is noticed by a worker that has been idle
            scheduler_interval=1,
            health_check_interval=2,  # seconds until a worker that died is replaced
            periodic=settings.PERIODIC and queue == "jobs",
            shutdown_timeout=4,  # seconds a running task gets before it is interrupted
        )


def free_what_is_frozen(seconds: float = FROZEN_SECONDS) -> None:
    """In this process: PostgreSQL ends a transaction in which nothing happens for so long.

    Else a worker that froze in the middle of one would keep its locks, and whoever steers or
    works on the same job would wait until somebody ends it.  SQLite gives up waiting by itself.
    """

    def limit(connection: BaseDatabaseWrapper, **_: Any) -> None:
        if connection.vendor == "postgresql":
            with connection.cursor() as cursor:
                milliseconds = int(seconds * 1000)
                cursor.execute(f"SET idle_in_transaction_session_timeout = {milliseconds}")

    connection_created.connect(limit, weak=False, dispatch_uid="free_what_is_frozen")


def ask_database(question: Callable[[], None]) -> None:
    try:
        with_fresh_connections(question)()
    except DatabaseError as error:
        logger.warning("The database does not answer: %s", error)


def lower_priority(queue: str) -> None:
    """What reads and transcodes for this process gives way to others on the processor; jobs do so
    at the disk too.

    Not this process itself: between two videos it writes to the database, and while it waited for
    the processor, with SQLite's lock in its hands, every upload would wait for it.
    """
    give_way({"jobs": settings.JOBS_NICE, "uploads": settings.UPLOADS_NICE}[queue])
    if queue == "jobs" and settings.JOBS_IO_PRIORITY != "normal" and psutil.LINUX:
        idle = settings.JOBS_IO_PRIORITY == "idle"
        process = psutil.Process()
        if idle:
            process.ionice(psutil.IOPRIO_CLASS_IDLE)
        else:
            process.ionice(psutil.IOPRIO_CLASS_BE, BEST_EFFORT_LAST)
