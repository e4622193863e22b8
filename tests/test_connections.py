"""DATABASE_URL: what it gives, and what is said of one that gives nothing."""

from pathlib import Path

import pytest
from django.core.exceptions import ImproperlyConfigured

from config.connections import env_database
from tests.test_project import settings_under

FILE = Path("/data/file.sqlite3")


def test_the_default_is_a_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DATABASE_URL", raising=False)
    database = env_database("DATABASE_URL", FILE)
    assert (database["ENGINE"], database["NAME"]) == ("django.db.backends.sqlite3", FILE)
    assert database["OPTIONS"]["transaction_mode"] == "IMMEDIATE"


def test_another_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    for url, path in {
        "sqlite:///here.sqlite3": tmp_path / "here.sqlite3",
        "sqlite:////there/it is.sqlite3": Path("/there/it is.sqlite3"),
    }.items():
        monkeypatch.setenv("URL", url)
        assert env_database("URL", FILE)["NAME"] == path


def test_postgresql(monkeypatch: pytest.MonkeyPatch) -> None:
    url = "postgresql://chat:p%40ss@db.example.org:5433/nexus?sslmode=require"
    monkeypatch.setenv("URL", url)
    database = env_database("URL", FILE)
    assert database["ENGINE"] == "django.db.backends.postgresql"
    assert database["PASSWORD"] == "p@ss"
    assert (database["HOST"], database["PORT"]) == ("db.example.org", 5433)
    assert database["OPTIONS"] == {"sslmode": "require"}
    assert database["CONN_MAX_AGE"] == 600
    assert database["CONN_HEALTH_CHECKS"] is True


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


def assert_refused(monkeypatch: pytest.MonkeyPatch, read, url: str) -> None:
    monkeypatch.setenv("THE_URL", url)
    with pytest.raises(ImproperlyConfigured, match=r"THE_URL='.*' cannot be used: .*\.$") as said:
        read("THE_URL", FILE)
    assert "secret" not in str(said.value)
    assert "\n" not in str(said.value)


def test_the_settings_follow_them(tmp_path: Path) -> None:
    shown = settings_under(
        tmp_path,
        "settings.DATABASES['default']['ENGINE']",
        DATABASE_URL="postgresql://u@127.0.0.1/x",
    )
    assert shown == "django.db.backends.postgresql"
