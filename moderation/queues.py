"""The two queues, each with a consumer of its own (`manage.py run_huey --queue NAME`).

``UPLOADS`` carries what someone waits for after an upload; ``JOBS`` the slices of jobs and the
periodic work.  So an upload never waits behind a backfill.  Both carry wake-ups only: losing one,
or having many, changes nothing but time.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from functools import wraps
from typing import Any

from django.conf import settings
from django.db import close_old_connections
from django.utils.module_loading import import_string
from huey import Huey
from huey.serializer import SignedSerializer
from huey.storage import PostgresStorage

from moderation.models import PeriodicRun

Function = Callable[..., Any]
# Any number that nothing else takes a PostgreSQL advisory lock with.
SCHEMA_LOCK = 5_062_871


def open_queue(name: str) -> Huey:
    options = {**settings.HUEY}
    queue_class = import_string(options.pop("huey_class"))
    # Messages are pickles: whoever can write to the queue must not be able to forge one.
    serializer = SignedSerializer(secret=settings.SECRET_KEY, salt=f"offchat {name}")
    connection = options.pop("connection")
    return queue_class(f"offchat_{name}", serializer=serializer, **options, **connection)


JOBS = open_queue("jobs")
UPLOADS = open_queue("uploads")
QUEUES = {"jobs": JOBS, "uploads": UPLOADS}


def create_tables() -> None:
    """Those of a queue on PostgreSQL; once, however many processes ask for them at a time."""
    storage = JOBS.storage  # both queues are in the same tables
    if isinstance(storage, PostgresStorage):
        with storage.db(commit=True, close=True) as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", [SCHEMA_LOCK])
            for statement in storage.ddl:
                cursor.execute(statement)


def with_fresh_connections(function: Function) -> Function:
    """As around a request, connections that are too old or broken are closed."""

    @wraps(function)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        close_old_connections()
        try:
            return function(*args, **kwargs)
        finally:
            close_old_connections()

    return wrapped


def task(queue: Huey) -> Callable[[Function], Any]:
    """Calling the function asks a consumer of ``queue`` to call it; ``call_local`` calls it."""

    def decorate(function: Function) -> Any:
        wrapper = queue.task()(with_fresh_connections(function))
        wrapper.call_local = function
        return wrapper

    return decorate


def periodic_task(
    when: Callable[[datetime], bool], *, apart: timedelta
) -> Callable[[Function], Any]:
    """The function is called at the times of ``when`` (a crontab), by one consumer of ``JOBS``.

    Where several machines have ``PERIODIC`` set, the first that comes does it: nobody begins it
    again within ``apart``.
    """

    def decorate(function: Function) -> Any:
        @wraps(function)
        def once() -> None:
            if PeriodicRun.begin(function.__name__, apart):
                function()

        wrapper = JOBS.periodic_task(when)(with_fresh_connections(once))
        wrapper.call_local = once
        return wrapper

    return decorate


def on_startup(queue: Huey) -> Callable[[Function], Function]:
    """The function is called by each worker of a consumer of ``queue`` as it starts."""

    def decorate(function: Function) -> Function:
        queue.on_startup()(with_fresh_connections(function))
        return function

    return decorate
