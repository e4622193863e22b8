"""What the installer says on a machine that lacks something and gives no way to install it."""

import os
import shutil
import subprocess
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


needs_venv = pytest.mark.skipif(
    not (ROOT / ".venv" / "installed-test").exists(), reason="not installed with make"
)


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


def test_without_python_it_says_which_to_install(bare_machine: Path, tmp_path: Path) -> None:
    clone = tmp_path / "clone"
    shutil.copytree(ROOT / "config", clone / "config")
    ran = install("run", bare_machine, clone)
    assert ran.returncode == 1
    assert "Python 3.11 or newer is needed" in ran.stderr
    assert not (clone / ".venv").exists()
