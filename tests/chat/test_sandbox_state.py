"""The sandbox's state in the open: checks, the command, and servers that refuse to start; on
machines that really lack a layer (see ``tests.lacking``)."""

import io
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from django.core import checks
from django.core.management import call_command
from django.utils import timezone

from chat.services import media_self_test
from chat.services.media_self_test import ALL_NAMES, MEANT, SelfTest, last_self_test
from chat.services.sandbox.layers import LAYERS
from chat.services.sandbox_state import layer_states
from tests.running import INHERITED, ROOT, free_port

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the layers are Linux's")

REQUIRE = {"MEDIA_SANDBOX": "require"}


def machine_without(
    layers: str, data_dir: Path, *command: str, **environment: str
) -> subprocess.CompletedProcess[str]:
    kept = {k: v for k, v in os.environ.items() if not INHERITED.match(k)}
    return subprocess.run(
        [sys.executable, "-m", "tests.lacking", *layers.split(), "--", sys.executable, *command],
        cwd=ROOT,
        env={**kept, "DATA_DIR": str(data_dir), **environment},
        capture_output=True,
        text=True,
        timeout=60,
    )


@pytest.fixture
def whole() -> None:
    """Skips on a machine that itself lacks a layer."""
    if any(layer.state != "on" for layer in layer_states()):
        pytest.skip("this machine lacks a layer")


def test_every_attempt_has_words_and_layers() -> None:
    assert set(MEANT) == set(ALL_NAMES)
    names = {layer.name for layer in LAYERS}
    assert all(layers and set(layers) <= names for _words, layers in MEANT.values())


# --- manage.py check ----------------------------------------------------------------------------


def deployment_check(layers: str, data_dir: Path, **environment: str) -> str:
    ran = machine_without(layers, data_dir, "manage.py", "check", "--deploy", **environment)
    return ran.stderr


def test_a_whole_machine_has_nothing_to_say(whole: None) -> None:
    messages = checks.run_checks(include_deployment_checks=True)
    assert [m for m in messages if (m.id or "").startswith("chat.") and m.level > 20] == []


def test_a_plain_check_starts_no_helper(tmp_path: Path) -> None:
    ran = machine_without("landlock", tmp_path, "manage.py", "check")
    assert "landlock" not in ran.stderr
    assert ran.returncode == 0


def test_a_missing_layer_is_a_warning_that_says_what_gets_through(
    whole: None, tmp_path: Path
) -> None:
    said = deployment_check("landlock", tmp_path)
    assert "chat.W003" in said
    assert "landlock is missing ([Errno 38] Function not implemented)" in said
    assert "could read another user's video; landlock would stop it" in said
    assert "chat.E" not in said


def test_where_it_is_required_it_is_an_error(whole: None, tmp_path: Path) -> None:
    said = deployment_check("landlock", tmp_path, **REQUIRE)
    assert "chat.E003" in said
    assert "no worker starts here" in said


def test_a_network_namespace_is_not_missed_where_seccomp_is_on(
    whole: None, tmp_path: Path
) -> None:
    """As in a container without user namespaces: `make test` passes there."""
    alone = deployment_check("network_namespace", tmp_path)
    assert "chat.I003" in alone
    assert "chat.W00" not in alone
    both = deployment_check("network_namespace seccomp", tmp_path)
    assert both.count("chat.W003") == 2
    assert "could send over UDP" in both


def test_the_library_of_fingerprints_is_optional(
    settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)
    (message,) = [m for m in checks.run_checks() if m.id == "chat.I002"]
    assert "pdqhash" in message.msg
    assert not message.is_serious()


# --- manage.py media_self_test ------------------------------------------------------------------


def test_the_command_shows_layers_and_attempts(whole: None, settings: Any, tmp_path: Path) -> None:
    settings.DATA_DIR = tmp_path
    output = io.StringIO()
    with pytest.raises(SystemExit) as ended:
        call_command("media_self_test", stdout=output)
    assert ended.value.code == 0
    for words in ("landlock", "read another user's video", "denied (EACCES)", "Sound"):
        assert words in output.getvalue()
    kept = last_self_test()
    assert kept is not None
    assert kept.passed
    assert len(kept.attempts) == len(ALL_NAMES)


def test_the_command_fails_where_something_gets_through(whole: None, tmp_path: Path) -> None:
    ran = machine_without("landlock", tmp_path, "manage.py", "media_self_test", "--json")
    assert ran.returncode == 1
    found = json.loads(ran.stdout)
    assert found["sound"] is False
    assert found["passed"] is False
    states = {layer["name"]: layer["state"] for layer in found["layers"]}
    assert states["landlock"] == "missing"
    assert states["seccomp"] == "on"
    through = {attempt["name"] for attempt in found["attempts"] if not attempt["denied"]}
    assert through == {"read_password_file", "read_neighbour", "write_outside", "delete_neighbour"}


def test_where_nothing_may_be_read_nothing_is_tried(whole: None, tmp_path: Path) -> None:
    ran = machine_without(
        "landlock", tmp_path, "manage.py", "media_self_test", "--json", **REQUIRE
    )
    assert ran.returncode == 1
    found = json.loads(ran.stdout)
    assert found["attempts"] == []
    assert "landlock" in found["trouble"]


def test_a_damaged_result_is_no_result(settings: Any, tmp_path: Path) -> None:
    settings.DATA_DIR = tmp_path
    for content in ("", "[]", "{}", '{"host": 1, "finished_at": "x", "attempts": []}'):
        (tmp_path / media_self_test.KEPT_IN).write_text(content)
        assert last_self_test() is None


def test_a_result_without_an_attempt_has_not_passed() -> None:
    assert not SelfTest("here", timezone.now(), ()).passed


# --- Starting -----------------------------------------------------------------------------------

SERVERS = [
    ["-m", "gunicorn", "--config", "config/gunicorn.py", "config.wsgi"],
    ["manage.py", "run_huey"],
    ["-m", "config.prepare"],
]


@pytest.mark.parametrize("command", SERVERS, ids=["web", "queue", "make run"])
def test_no_server_starts_without_a_required_layer(
    whole: None, tmp_path: Path, command: list[str]
) -> None:
    ran = machine_without("landlock", tmp_path, *command, PORT=str(free_port()), **REQUIRE)
    assert ran.returncode == 1
    sentences = [line for line in ran.stderr.splitlines() if "MEDIA_SANDBOX=require" in line]
    assert len(sentences) == 1
    assert "landlock (" in sentences[0]
    assert "Traceback" not in ran.stderr


CHECK = (
    "import django, sys; django.setup(); from django.conf import settings;"
    "from chat.services.sandbox_state import check_at_start;"
    "check_at_start(settings.MEDIA_SANDBOX); print('started')"
)


@pytest.mark.parametrize(("sandbox", "said"), [("best-effort", "landlock ("), ("off", "=off")])
def test_else_it_warns_once_and_starts(
    whole: None, tmp_path: Path, sandbox: str, said: str
) -> None:
    environment = {"MEDIA_SANDBOX": sandbox, "DJANGO_SETTINGS_MODULE": "config.settings"}
    ran = machine_without("landlock", tmp_path, "-c", CHECK, **environment)
    assert ran.stdout == "started\n"
    (warning,) = ran.stderr.splitlines()
    assert "WARNING" in warning
    assert said in warning
