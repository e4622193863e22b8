"""What holds the project together: settings, their documentation, headers, pinned versions."""

import ast
import json
import logging
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.test import Client

from config import address, settings
from config.env import (
    env_bool,
    env_choice,
    env_float,
    env_floats,
    env_int,
    env_list,
    env_path,
    env_str,
)
from config.redaction import WithoutTokens
from config.settings import stored_secret_key
from moderation.navigation import PLACES
from moderation.templatetags.dashboard import STATES

ROOT = Path(__file__).resolve().parent.parent
GUIDE = ROOT / "docs" / "VIDEO_SETUP_GUIDE.md"


# --- Reading the environment --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("read", "nonsense"),
    [
        (lambda: env_bool("THING", False), "maybe"),
        (lambda: env_int("THING", 5), "many"),
        (lambda: env_int("THING", 5), "1.5"),
        (lambda: env_int("THING", 5, minimum=1), "0"),
        (lambda: env_int("THING", 5), "-1"),
        (lambda: env_float("THING", 1.0), "fast"),
        (lambda: env_float("THING", 1.0), "-0.1"),
        (lambda: env_float("THING", 1.0), "nan"),
        (lambda: env_float("THING", 1.0), "inf"),
        (lambda: env_floats("THING", [1.0]), "1,soon"),
        (lambda: env_floats("THING", [1.0]), "1,-1"),
        (lambda: env_choice("THING", "a", ["a", "b"]), "c"),
    ],
)
def test_nonsense_stops_with_a_sentence_that_names_the_variable(
    monkeypatch: pytest.MonkeyPatch, read, nonsense: str
) -> None:
    monkeypatch.setenv("THING", nonsense)
    with pytest.raises(ImproperlyConfigured, match=f"THING='{re.escape(nonsense)}'"):
        read()


@pytest.mark.parametrize("value", ["", "   "])
def test_an_empty_variable_means_the_default(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("THING", value)
    assert env_bool("THING", True) is True
    assert env_int("THING", 5) == 5
    assert env_float("THING", 2.5) == 2.5
    assert env_list("THING", ["x"]) == ["x"]
    assert env_floats("THING", [1, 2]) == [1, 2]
    assert env_choice("THING", "a", ["a", "b"]) == "a"
    assert env_path("THING", Path("/x")) == Path("/x")


def test_values_are_read_as_their_kind(monkeypatch: pytest.MonkeyPatch) -> None:
    def given(value: str) -> None:
        monkeypatch.setenv("THING", value)

    given(" text ")
    assert env_str("THING") == "text"
    given("1_048_576")
    assert env_int("THING", 0) == 1024**2
    given("a, b,,c ")
    assert env_list("THING") == ["a", "b", "c"]
    given("~/videos")
    assert env_path("THING", Path("/x")) == Path.home() / "videos"
    for word, meaning in {"1": True, "Yes": True, "off": False, "0": False}.items():
        given(word)
        assert env_bool("THING", not meaning) is meaning


# --- Settings -----------------------------------------------------------------------------------


def settings_under(data_dir: Path, expression: str, **environment: str) -> str:
    """What ``expression`` over the settings gives in a fresh process, as text."""
    code = f"from config import settings; print({expression})"
    clean = {k: os.environ[k] for k in ("PATH", "HOME") if k in os.environ}
    return subprocess.run(
        [sys.executable, "-c", code],
        env={**clean, "DATA_DIR": str(data_dir), **environment},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()


def test_debug_is_off_unless_asked_for(tmp_path: Path) -> None:
    assert settings_under(tmp_path, "settings.DEBUG") == "False"
    assert settings_under(tmp_path, "settings.DEBUG", DEBUG="1") == "True"


def test_tasks_are_never_run_in_the_web_server(tmp_path: Path) -> None:
    assert settings_under(tmp_path, "settings.HUEY['immediate']", DEBUG="1") == "False"


def test_a_secret_key_is_made_once_for_its_owner_only(tmp_path: Path) -> None:
    first = settings_under(tmp_path, "settings.SECRET_KEY")
    assert len(first) >= 50
    assert settings_under(tmp_path, "settings.SECRET_KEY") == first
    assert (tmp_path / "secret_key").stat().st_mode & 0o777 == 0o600
    assert settings_under(tmp_path, "settings.SECRET_KEY", SECRET_KEY="given") == "given"


def test_what_is_stored_is_not_for_other_accounts(tmp_path: Path) -> None:
    settings_under(tmp_path / "data", "settings.DEBUG")
    assert (tmp_path / "data").stat().st_mode & 0o007 == 0


def test_a_data_dir_that_cannot_be_made_is_said_in_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(subprocess.CalledProcessError) as failed:
        settings_under(tmp_path / "file" / "data", "settings.DEBUG")
    assert "cannot be made: Not a directory." in failed.value.stderr


def test_a_damaged_secret_key_is_refused(tmp_path: Path) -> None:
    (tmp_path / "secret_key").write_text("short\n")
    with pytest.raises(ImproperlyConfigured, match="secret_key"):
        stored_secret_key(tmp_path / "secret_key")


def test_processes_that_start_together_agree_on_the_key(tmp_path: Path) -> None:
    code = "from config.settings import SECRET_KEY; print(SECRET_KEY)"
    environment = {**os.environ, "DATA_DIR": str(tmp_path), "SECRET_KEY": ""}
    started = [
        subprocess.Popen(
            [sys.executable, "-c", code], env=environment, cwd=ROOT, stdout=subprocess.PIPE
        )
        for _ in range(4)
    ]
    assert len({process.communicate()[0] for process in started}) == 1


# --- Where the server listens -------------------------------------------------------------------


def test_addresses_are_written_as_a_browser_takes_them() -> None:
    assert address.site_url("127.0.0.1", 8000) == "http://127.0.0.1:8000/"
    assert address.site_url("0.0.0.0", 80) == "http://localhost:80/"
    assert address.site_url("::1", 8000) == "http://[::1]:8000/"


def test_an_address_of_another_machine_is_said_so() -> None:
    with pytest.raises(address.AddressUnavailable, match=r"HOST='192\.0\.2\.1'"):
        address.check_free("192.0.2.1", 8000)


def test_a_port_beyond_the_last_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PORT", "70000")
    with pytest.raises(ImproperlyConfigured, match="PORT=70000"):
        address.configured_address()


# --- Documents ----------------------------------------------------------------------------------


def variables_read() -> Iterator[tuple[str, str]]:
    """(variable, default as written) of every env_* call in the project's own code."""
    sources = [ROOT / "manage.py"]
    for package in ("config", "chat", "moderation"):
        sources += (ROOT / package).rglob("*.py")
    for source in sources:
        for node in ast.walk(ast.parse(source.read_text())):
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Name)
                and re.fullmatch(
                    r"env_(str|bool|int|floats?|list|networks|subset|choice|path|database|queue|cache)",
                    node.func.id,
                )
                and isinstance(node.args[0], ast.Constant)
            ):
                yield node.args[0].value, ast.unparse(node.args[1]) if node.args[1:] else "''"


def documented_variables() -> dict[str, str]:
    """Default by variable, from the tables of the setup guide."""
    rows = re.findall(r"^\| `([A-Z0-9_]+)` \| ([^|]*) \|", GUIDE.read_text(), re.MULTILINE)
    return {name: default.strip() for name, default in rows}


def test_the_setup_guide_lists_every_setting_and_no_other() -> None:
    install_script = re.findall(r"\$\{([A-Z_]+):-", (ROOT / "config" / "install.sh").read_text())
    read = {name for name, _default in variables_read()} | set(install_script)
    assert set(documented_variables()) == read


def test_the_setup_guide_gives_the_numbers_that_are_in_force() -> None:
    documented = documented_variables()
    for name, written in variables_read():
        try:
            number = eval(written, {"__builtins__": {}})
        except Exception:  # a path or a list: its words are checked by reading
            continue
        if isinstance(number, int | float) and not isinstance(number, bool):
            given = re.match(r"[\d ]+(\.\d+)?", documented[name])
            assert given, name
            assert float(given[0].replace(" ", "")) == number, name


@pytest.mark.parametrize(
    "document",
    [
        "README.md",
        "CHANGELOG.md",
        "docs/VIDEO_ATTACHMENT_GUIDE.md",
        "docs/VIDEO_SETUP_GUIDE.md",
        "VIDEO_IMPLEMENTATION_SUMMARY.md",
        "VIDEO_QUICK_REFERENCE.md",
        "VIDEO_INTEGRATION_CHECKLIST.md",
    ],
)
def test_documents_point_at_files_that_exist(document: str) -> None:
    text = (ROOT / document).read_text()
    folder = (ROOT / document).parent
    for target in re.findall(r"\]\(([^)#\s]+)", text):
        if "://" not in target:
            assert (folder / target).exists(), target
    known = {"docs", "tests", "config", "chat", "moderation", "templates", "static", "bench"}
    for path in re.findall(r"`([\w./-]+/[\w./-]+\.\w+)`", text):
        if path.split("/")[0] in known:
            assert (ROOT / path).exists(), path


def test_every_make_target_in_the_documents_exists() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for document in [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")]:
        used = set(re.findall(r"(?<=[`\n ])make ([a-z-]+)", document.read_text()))
        quoted = {name for name in used if f"`make {name}" in document.read_text()}
        assert quoted <= targets, document.name


# --- Versions -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    [
        "requirements.txt",
        "requirements-dev.txt",
        "config/requirements_video.txt",
        "config/requirements_fingerprint.txt",
    ],
)
def test_every_version_is_pinned(name: str) -> None:
    lines = (ROOT / name).read_text().splitlines()
    for line in lines:
        assert re.fullmatch(r"(#.*|-r \S+|[\w.-]+(\[[\w-]+\])?==\S+( ; .*)?|)", line), line


def test_what_requirements_bring_in_is_pinned_too() -> None:
    """A dry run that would install anything else by name would not be reproducible."""
    report = subprocess.run(
        [sys.executable, "-m", "pip", "inspect", "--local"],
        capture_output=True,
        text=True,
        check=True,
    )
    needed_by = {
        package["metadata"]["name"].lower(): {
            re.split(r"[^\w.-]", need)[0].lower().replace("_", "-")
            for need in package["metadata"].get("requires_dist", [])
            if ";" not in need
        }
        for package in json.loads(report.stdout)["installed"]
    }
    pinned = set()
    for name in (
        "requirements.txt",
        "config/requirements_video.txt",
        "config/requirements_fingerprint.txt",
    ):
        for line in (ROOT / name).read_text().splitlines():
            if match := re.match(r"([\w.-]+)==", line):
                pinned.add(match[1].lower().replace("_", "-"))
    for name in pinned:
        assert needed_by.get(name, set()) <= pinned, name


# --- What is logged -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "arguments"),
    [
        ("Error handling request GET /stream/?token=3.12.ab:c:d-e_f&x=1", ()),
        ("%s failed", ("'/stream/?token=3.12.ab:c:d-e_f&x=1'",)),
        ("{%s}", ({"address": "https://n/stream/?x=1&token=3.12.ab:c:d-e_f"},)),
    ],
)
def test_no_line_of_the_log_has_a_token(line: str, arguments: tuple[object, ...]) -> None:
    record = logging.LogRecord("gunicorn.error", logging.ERROR, "", 1, line, arguments, None)
    (name,) = settings.LOGGING["handlers"]["console"]["filters"]
    assert settings.LOGGING["filters"][name]["()"] == "config.redaction.WithoutTokens"

    assert WithoutTokens().filter(record)

    assert "token=…" in record.getMessage()
    assert "d-e_f" not in record.getMessage()
    assert ("&x=1" in record.getMessage()) == ("&x=1" in line % arguments)


# --- Icons ---------------------------------------------------------------------------------------


def test_the_sprite_has_the_icons_that_pages_name_and_no_others() -> None:
    """A name that is not there shows as nothing, and nobody is told."""
    there = re.findall(r'<symbol id="([^"]+)"', (ROOT / "static" / "icons.svg").read_text())
    named = {symbol for symbol, _word in STATES.values()} | {place.icon for place in PLACES}
    for template in (ROOT / "templates").rglob("*.html"):
        named.update(re.findall(r'{% icon "([^"]+)"', template.read_text()))
    palette = (ROOT / "moderation" / "views" / "palette.py").read_text()
    named.update(name for name in there if f'"{name}"' in palette)
    assert sorted(there) == sorted(named)


# --- Style sheets --------------------------------------------------------------------------------

# Classes that a name is put into: of states, columns, cells of a job's map, tiles and charts.
MADE_UP = re.compile(r"(state|col|cell|tile|chart|notice|plyr|htmx)-?_?_?")


def test_style_sheets_have_no_rule_for_what_no_page_has() -> None:
    sheets = [
        re.sub(r"/\*.*?\*/", "", sheet.read_text(), flags=re.DOTALL)
        for sheet in (ROOT / "static" / "css").glob("*.css")
    ]
    sources = [*(ROOT / "templates").rglob("*.*"), *(ROOT / "static" / "js").glob("*.js")]
    sources += (ROOT / "moderation").rglob("*.py")
    pages = "\n".join(source.read_text() for source in sources)
    selectors = re.findall(r"([^{};]+)\{", "\n".join(sheets))
    names = {name for selector in selectors for name in re.findall(r"[.#]([a-z][\w-]*)", selector)}
    words = set(re.findall(r"[\w-]+", pages))
    assert {name for name in names - words if not MADE_UP.match(name)} == set()
    set_here = set(re.findall(r"(--(?!bs-|plyr-)[\w-]+):", "\n".join(sheets)))
    used = set(re.findall(r"(--[\w-]+)\b(?!:)", "\n".join(sheets) + pages))
    assert set_here - used == set()


# --- Headers ------------------------------------------------------------------------------------


def test_pages_carry_the_security_headers(client: Client, db: None) -> None:
    headers = client.get("/moderation/sign-in/").headers
    policy = headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "script-src 'self'" in policy
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "same-origin"
    assert headers["X-Frame-Options"] == "DENY"
