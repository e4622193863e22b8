"""What the installer says on a machine that lacks something and gives no way to install it."""

import os
import shutil
import subprocess
import venv
from pathlib import Path

import pytest

from tests.running import ROOT

ORDINARY = ("sh", "dirname", "id", "cksum", "cat", "env")


@pytest.fixture
def bare_machine(tmp_path: Path) -> Path:
    """A folder for PATH: no package manager, no sudo, no ffmpeg, no Chromium, no Python."""
    programs = tmp_path / "bin"
    programs.mkdir()
    for name in ORDINARY:
        found = shutil.which(name)
        assert found
        (programs / name).symlink_to(found)
    return programs


def install(
    goal: str, programs: Path, root: Path = ROOT, **environment: str
) -> subprocess.CompletedProcess[str]:
    kept = {
        k: v
        for k, v in os.environ.items()
        if k not in {"CI", "PYTHON", "CHROMIUM", "FFMPEG_BINARY"}
    }
    return subprocess.run(
        ["sh", str(root / "config" / "install.sh"), goal],
        env={**kept, "PATH": str(programs), **environment},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


# Like `make run`, the installer works on the .venv of this very copy.
pytestmark = pytest.mark.xdist_group("make")
needs_venv = pytest.mark.skipif(
    not (ROOT / ".venv" / "installed-test").exists(), reason="not installed with make"
)


def test_a_parallel_run_keeps_groups_together(request: pytest.FixtureRequest) -> None:
    if "PYTEST_XDIST_WORKER" in os.environ:
        assert request.node.nodeid.endswith("@make")  # by which pytest-xdist tells them


@needs_venv
def test_serving_without_ffmpeg_is_refused_in_one_sentence(bare_machine: Path) -> None:
    ran = install("run", bare_machine)
    assert ran.returncode == 1
    assert "ffmpeg is missing" in ran.stderr
    assert "apt install ffmpeg" in ran.stderr
    assert len(ran.stderr.splitlines()) == 1


@needs_venv
def test_testing_without_chromium_goes_on_and_says_so(bare_machine: Path) -> None:
    ran = install("test", bare_machine)
    assert ran.returncode == 0, ran.stderr
    assert "Chromium is missing" in ran.stdout
    assert "SKIPPED" in ran.stdout


@needs_venv
def test_in_ci_nothing_may_be_missing(bare_machine: Path) -> None:
    ran = install("test", bare_machine, CI="true")
    assert ran.returncode == 1
    assert "is missing" in ran.stderr


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A copy of the configuration with a virtual environment that has everything but pdqhash."""
    folder = tmp_path / "clone"
    shutil.copytree(ROOT / "config", folder / "config")
    for name in ("requirements.txt", "requirements-dev.txt"):
        shutil.copy(ROOT / name, folder)
    venv.create(folder / ".venv", with_pip=True)
    for goal, name in (("run", "requirements.txt"), ("test", "requirements-dev.txt")):
        stamp = subprocess.run(
            f"{{ .venv/bin/python --version; cat requirements.txt config/requirements_video.txt"
            f" {name}; }} | cksum",
            shell=True,
            cwd=folder,
            capture_output=True,
            text=True,
            check=True,
        )
        (folder / ".venv" / f"installed-{goal}").write_text(stamp.stdout)
    return folder


def test_without_a_compiler_it_serves_without_fingerprints(
    bare_machine: Path, clone: Path
) -> None:
    for name in ("ffmpeg", "ffprobe"):
        (bare_machine / name).symlink_to("/bin/true")
    for _ in range(2):
        ran = install("run", bare_machine, clone)
        assert ran.returncode == 0, ran.stderr
        assert "WITHOUT fingerprints" in ran.stdout
        assert "g++" in ran.stdout
    ran = install("run", bare_machine, clone, CI="true")
    assert ran.returncode == 1
    assert "pdqhash is missing" in ran.stderr


def test_without_python_it_says_which_to_install(bare_machine: Path, tmp_path: Path) -> None:
    clone = tmp_path / "clone"
    shutil.copytree(ROOT / "config", clone / "config")
    ran = install("run", bare_machine, clone)
    assert ran.returncode == 1
    assert "Python 3.11 or newer is needed" in ran.stderr
    assert not (clone / ".venv").exists()
