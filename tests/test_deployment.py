"""What docs/deploy says of the product: commands, settings and files that there are.

The files themselves have not been run by this test: it needs no Docker and no nginx.
"""

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import yaml
from django.core.management import get_commands, load_command_class

from tests.test_project import ROOT, settings_under

DEPLOY = ROOT / "docs" / "deploy"
COMPOSE = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
SERVICES: dict[str, Any] = COMPOSE["services"]
OURS = {name: service for name, service in SERVICES.items() if "build" in service}
ASKED = {"SECRET_KEY": "k" * 50, "DATABASE_PASSWORD": "p4ssw0rd", "SITE_NAME": "nexus.example.org"}


def filled_in(text: str, **given: str) -> str:
    """As compose does: ``${NAME:?why}`` must be given, ``${NAME:-default}`` may be."""

    def value(match: re.Match[str]) -> str:
        name, kind, default = match.groups()
        return given[name] if kind == ":?" else given.get(name, default)

    return re.sub(r"\$\{([A-Z_]+)(:[?-])([^}]*)\}", value, text)


def environment(name: str) -> dict[str, str]:
    return {key: filled_in(value, **ASKED) for key, value in OURS[name]["environment"].items()}


def commands(service: dict[str, Any]) -> list[list[str]]:
    words = shlex.split(service["command"])
    if words[:2] == ["sh", "-c"]:
        return [shlex.split(part) for part in words[2].split("&&")]
    return [words]


def test_it_runs_each_process_that_is_needed() -> None:
    said = {name: service["command"] for name, service in OURS.items()}
    guide = (ROOT / "docs" / "VIDEO_SETUP_GUIDE.md").read_text()
    for name in ("web", "uploads", "jobs"):
        assert f".venv/bin/{said[name]}" in guide
    assert {"database", "redis", "nginx"} <= SERVICES.keys()
    assert SERVICES["jobs"]["deploy"]["replicas"] > 1


@pytest.mark.parametrize("name", OURS)
def test_its_commands_exist(name: str) -> None:
    for program, *words in commands(OURS[name]):
        assert program == "python"
        if words[0] == "manage.py":
            command = load_command_class(get_commands()[words[1]], words[1])
            command.create_parser("manage.py", words[1]).parse_args(words[2:])
        else:
            assert words[:3] == ["-m", "gunicorn", "--config"]
            assert (ROOT / words[3]).is_file()
            assert words[4] == "config.wsgi"


@pytest.mark.parametrize("name", OURS)
def test_its_settings_are_known_and_accepted(name: str, tmp_path: Path) -> None:
    documented = (ROOT / "docs" / "VIDEO_SETUP_GUIDE.md").read_text()
    for variable in environment(name):
        assert f"| `{variable}` |" in documented
    told = environment(name) | {
        variable: f"{tmp_path}{environment(name)[variable]}"
        for variable in ("MEDIA_ROOT", "UPLOAD_TEMP_DIR")
    }
    expression = "settings.DATABASES['default']['HOST'], settings.HUEY['huey_class']"
    assert settings_under(tmp_path, expression, **told) == "database huey.RedisHuey"


def test_the_proxy_is_believed_and_nobody_else() -> None:
    (network,) = COMPOSE["networks"]["default"]["ipam"]["config"]
    assert environment("web")["TRUSTED_PROXIES"] == network["subnet"]
    assert [name for name, service in SERVICES.items() if "ports" in service] == ["nginx"]
    said = (DEPLOY / "nginx.conf").read_text()
    for header in ("X-Forwarded-For $remote_addr", "X-Forwarded-Proto $scheme"):
        assert f"proxy_set_header {header};" in said


def test_all_processes_share_files_and_secrets_and_nothing_else() -> None:
    shared = {name: environment(name) for name in OURS}
    different = {key for each in shared.values() for key in each} - {
        key for key in shared["jobs"] if len({each.get(key) for each in shared.values()}) == 1
    }
    assert different == {"HOST", "PORT"}
    for name in OURS:
        (volume,) = OURS[name]["volumes"]
        source, _, target = volume.partition(":")
        assert source in COMPOSE["volumes"]
        for variable in ("MEDIA_ROOT", "UPLOAD_TEMP_DIR"):
            assert shared[name][variable].startswith(f"{target}/")


@pytest.mark.parametrize("name", ["uploads", "jobs"])
def test_consumers_are_stopped_as_supervisor_does(name: str) -> None:
    told = (ROOT / "config" / "processes" / "supervisor.conf").read_text()
    (section,) = re.findall(rf"\[program:{name}\](.*?)(?:\n\n|$)", told, re.DOTALL)
    signal = re.search(r"^stopsignal = (\w+)", section, re.MULTILINE)
    seconds = re.search(r"^stopwaitsecs = (\d+)", section, re.MULTILINE)
    assert signal
    assert seconds
    assert OURS[name]["stop_signal"] == f"SIG{signal[1]}"
    assert int(OURS[name]["stop_grace_period"].removesuffix("s")) >= int(seconds[1])


def test_the_image_holds_what_is_needed() -> None:
    lines = (DEPLOY / "Dockerfile").read_text()
    for names in re.findall(r"^COPY (.+) \S+$", lines, re.MULTILINE):
        for name in names.split():
            assert (ROOT / name).exists()
    for name in ("manage.py", "chat", "config", "moderation", "static", "templates"):
        assert f"\nCOPY {name} " in lines


def test_nginx_lets_uploads_through(tmp_path: Path) -> None:
    said = (DEPLOY / "nginx.conf").read_text()
    megabytes = re.search(r"client_max_body_size (\d+)m;", said)
    assert megabytes
    largest = int(settings_under(tmp_path, "settings.UPLOAD_MAX_BYTES"))
    assert int(megabytes[1]) * 1024**2 > largest
    assert f"proxy_pass http://web:{environment('web')['PORT']};" in said
    assert "./nginx.conf:" in SERVICES["nginx"]["volumes"][0]
