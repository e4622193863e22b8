"""DATABASE_URL and HUEY_URL: what they give, and what is said of those that give nothing."""

from pathlib import Path

import pytest
from django.core.exceptions import ImproperlyConfigured

from config.connections import env_database, env_queue
from tests.test_project import settings_under

FILE = Path("/data/file.sqlite3")


def test_the_default_is_a_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DATABASE_URL", raising=False)
    monkeypatch.setenv("HUEY_URL", " ")
    database = env_database("DATABASE_URL", FILE)
    assert (database["ENGINE"], database["NAME"]) == ("django.db.backends.sqlite3", FILE)
    assert database["OPTIONS"]["transaction_mode"] == "IMMEDIATE"
    assert database["CONN_MAX_AGE"] == 600
    queue = env_queue("HUEY_URL", FILE)
    assert queue["huey_class"] == "huey.SqliteHuey"
    assert queue["connection"]["filename"] == str(FILE)


def test_another_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    for url, path in {
        "sqlite:///here.sqlite3": tmp_path / "here.sqlite3",
        "sqlite:////there/it is.sqlite3": Path("/there/it is.sqlite3"),
    }.items():
        monkeypatch.setenv("URL", url)
        assert env_database("URL", FILE)["NAME"] == path
        assert env_queue("URL", FILE)["connection"]["filename"] == str(path)


def test_postgresql(monkeypatch: pytest.MonkeyPatch) -> None:
    url = "postgresql://chat:p%40ss@db.example.org:5433/nexus?sslmode=require"
    monkeypatch.setenv("URL", url)
    database = env_database("URL", FILE)
    assert database["ENGINE"] == "django.db.backends.postgresql"
    assert database["PASSWORD"] == "p@ss"
    assert (database["HOST"], database["PORT"]) == ("db.example.org", 5433)
    assert database["OPTIONS"] == {"sslmode": "require", "options": "-c jit=off"}
    assert database["CONN_MAX_AGE"] == 600
    assert database["CONN_HEALTH_CHECKS"] is True
    queue = env_queue("URL", FILE)
    assert queue["huey_class"] == "huey.PostgresHuey"
    assert queue["connection"]["dsn"] == url


@pytest.mark.parametrize("url", ["redis://127.0.0.1:6380/2", "rediss://u:p@h/0", "unix:///r.sock"])
def test_redis(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    monkeypatch.setenv("URL", url)
    assert env_queue("URL", FILE) == {"huey_class": "huey.RedisHuey", "connection": {"url": url}}


NEITHER = [
    "nonsense",
    "mysql://h/x",
    "sqlite://",
    "sqlite://host/path",
    "postgresql://u:secret@h:port/x",
    "postgresql://u:secret@[::1/x",
]


@pytest.mark.parametrize("url", [*NEITHER, "redis://h", "postgresql://u:secret@h"])
def test_no_database(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    assert_refused(monkeypatch, env_database, url)


@pytest.mark.parametrize(
    "url", [*NEITHER, "redis://h:port/1", "redis://:secret@h/jobs", "postgresql://h/x?colour=red"]
)
def test_no_queue(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    assert_refused(monkeypatch, env_queue, url)


def assert_refused(monkeypatch: pytest.MonkeyPatch, read, url: str) -> None:
    monkeypatch.setenv("THE_URL", url)
    with pytest.raises(ImproperlyConfigured, match=r"THE_URL='.*' cannot be used: .*\.$") as said:
        read("THE_URL", FILE)
    assert "secret" not in str(said.value)
    assert "\n" not in str(said.value)


def test_the_settings_follow_them(tmp_path: Path) -> None:
    given = {
        "DATABASE_URL": "postgresql://u@127.0.0.1/x",
        "HUEY_URL": "redis://127.0.0.1:6380/2",
    }
    expression = "settings.DATABASES['default']['ENGINE'], settings.HUEY['huey_class']"
    shown = settings_under(tmp_path, expression, **given)
    assert shown == "django.db.backends.postgresql huey.RedisHuey"
