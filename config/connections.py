"""DATABASE_URL, HUEY_URL and CACHE_URL: which database, queue and cache, as Django's and Huey's
settings.

Like ``config.env``: nonsense stops the process with a sentence that names the variable.  The
sentences never repeat a password.
"""

import os
import re
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import dj_database_url
from django.core.exceptions import ImproperlyConfigured

# Seconds a connection is kept: opening one for each request or task costs far more.  On SQLite it
# is the schema that is read anew: 3 ms.
KEEP_SECONDS = 600
# WAL with IMMEDIATE transactions: no lock errors among concurrent writers.
SQLITE_OPTIONS = {
    "timeout": 30,
    "transaction_mode": "IMMEDIATE",
    "init_command": (
        "PRAGMA journal_mode=WAL;"
        "PRAGMA synchronous=NORMAL;"
        "PRAGMA foreign_keys=ON;"
        "PRAGMA cache_size=-64000;"
        "PRAGMA temp_store=MEMORY;"
    ),
}

# No compiling of queries: it takes longer than any of ours that a page waits for (300 ms for one
# that runs 60), and comes whenever the planner guesses high.
POSTGRESQL_OPTIONS = "-c jit=off"


def env_database(name: str, default_file: Path) -> dict[str, Any]:
    """The entry of ``DATABASES`` for ``sqlite:///PATH`` or ``postgresql://…``."""
    url = os.environ.get(name, "").strip()
    scheme = scheme_of(name, url, ("sqlite", "postgres", "postgresql"))
    if scheme == "sqlite":
        return {
            "ENGINE": "django.db.backends.sqlite3",
            "NAME": sqlite_file(name, url, default_file),
            "CONN_MAX_AGE": KEEP_SECONDS,
            "OPTIONS": SQLITE_OPTIONS,
        }
    try:
        found = dj_database_url.parse(url, conn_max_age=KEEP_SECONDS, conn_health_checks=True)
    except ValueError as error:
        raise refused(name, url, str(error)) from None
    if not found["NAME"]:
        raise refused(name, url, "it names no database: postgresql://USER:PASSWORD@HOST/DATABASE")
    options = {"options": POSTGRESQL_OPTIONS, **found.get("OPTIONS", {})}
    return {**found, "OPTIONS": options}


def env_queue(name: str, default_file: Path) -> dict[str, Any]:
    """Huey's class and the arguments of its storage for ``sqlite:///PATH``, ``redis://…`` or
    ``postgresql://…``: {"huey_class", "connection"}."""
    url = os.environ.get(name, "").strip()
    schemes = ("sqlite", "redis", "rediss", "unix", "postgres", "postgresql")
    scheme = scheme_of(name, url, schemes)
    if scheme == "sqlite":
        # Without fsync: a wake-up that a crash of the machine loses costs nothing but time.
        connection = {"filename": str(sqlite_file(name, url, default_file)), "fsync": False}
        return {"huey_class": "huey.SqliteHuey", "connection": connection}
    if scheme in ("redis", "rediss", "unix"):
        check_redis(name, url)
        return {"huey_class": "huey.RedisHuey", "connection": {"url": url}}
    check_postgresql(name, url)
    # Its tables are made by `migrate`, and not by each process at each start.
    connection = {"dsn": url, "create_tables": False}
    return {"huey_class": "huey.PostgresHuey", "connection": connection}


def env_cache(name: str, default_folder: Path) -> dict[str, Any]:
    """The entry of ``CACHES``: a folder of this machine, or ``redis://…``."""
    url = os.environ.get(name, "").strip()
    if not url:
        # Files of SQLite, apart from the database: counting requests never waits for its lock.
        return {
            "BACKEND": "diskcache.DjangoCache",
            "LOCATION": str(default_folder),
            "SHARDS": 4,
            # No fsync: what a crash of the machine loses is who asked how often in that minute.
            "OPTIONS": {"size_limit": 64 * 1024**2, "sqlite_synchronous": 0},
        }
    scheme_of(name, url, ("redis", "rediss", "unix"))
    check_redis(name, url)
    return {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": url}


def scheme_of(name: str, url: str, known: tuple[str, ...]) -> str:
    """``sqlite`` for no URL at all."""
    if not url:
        return "sqlite"
    scheme = url.partition("://")[0].lower() if "://" in url else ""
    if scheme not in known:
        raise refused(name, url, f"use one of {', '.join(f'{each}://' for each in known)}")
    return scheme


def sqlite_file(name: str, url: str, default: Path) -> Path:
    """The absolute path in ``sqlite:///relative`` or ``sqlite:////absolute``."""
    if not url:
        return default
    host, _, path = url.partition("://")[2].partition("/")
    if host or not path:
        raise refused(name, url, "write sqlite:///PATH, with a fourth slash when absolute")
    return Path(path).expanduser().resolve()


def check_redis(name: str, url: str) -> None:
    from redis import ConnectionPool  # only who uses it loads it

    try:
        ConnectionPool.from_url(url)  # connects to nothing yet
    except ValueError as error:
        raise refused(name, url, str(error)) from None
    _, _, database = url.partition("://")[2].partition("?")[0].partition("/")
    if not url.startswith("unix://") and database.strip("/") and not database.isdecimal():
        raise refused(name, url, "databases of Redis are numbered: redis://HOST:PORT/0")


def check_postgresql(name: str, url: str) -> None:
    from psycopg import ProgrammingError
    from psycopg.conninfo import conninfo_to_dict

    try:
        urlsplit(url).port  # noqa: B018 - libpq finds a wrong one only as it connects
        conninfo_to_dict(url)
    except ValueError as error:
        raise refused(name, url, str(error)) from None
    except ProgrammingError as error:
        raise refused(name, url, str(error).strip().replace(url, "…")) from None


def refused(name: str, url: str, why: str) -> ImproperlyConfigured:
    shown = re.sub(r"(?<=:)[^:@/]*(?=@)", "…", url)
    return ImproperlyConfigured(f"{name}={shown!r} cannot be used: {why}.")
