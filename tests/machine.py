"""What tests need of the machine: without it they are skipped by name, in CI they fail."""

import importlib.util
import os
import shutil
import subprocess
import sysconfig
from pathlib import Path
from typing import NoReturn

import pytest
from playwright._impl._driver import compute_driver_executable

CHROMIUM = (
    "chromium",
    "google-chrome",
    "google-chrome-stable",
    "chromium-browser",
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
)

JAVASCRIPT = Path(__file__).parent / "javascript"


def lacking(name: str) -> NoReturn:
    reason = f"{name} is not on this machine"
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)


def need_ffmpeg() -> None:
    for program in ("ffmpeg", "ffprobe"):
        if shutil.which(program) is None:
            lacking(program)


def need_fingerprints() -> None:
    if importlib.util.find_spec("pdqhash") is None:
        lacking("pdqhash")


def need_curl() -> None:
    if shutil.which("curl") is None:
        lacking("curl")


def node() -> str:
    """The path of a Node that finds the npm packages of tests/javascript, for scripts there."""
    program = shutil.which("node", path=sysconfig.get_path("scripts"))
    if program is None or not (JAVASCRIPT / "node_modules" / "installed").exists():
        lacking("Node with the packages of tests/javascript")
    return program


def chromium() -> str:
    """The path of a Chromium or Chrome that can be driven: what CHROMIUM names, or the first."""
    driver, _arguments = compute_driver_executable()
    if subprocess.run([driver, "--version"], capture_output=True, check=False).returncode:
        lacking("libatomic, which Playwright's driver needs,")
    names = [os.environ.get("CHROMIUM") or "", *CHROMIUM]
    return next(filter(None, map(shutil.which, names)), None) or lacking("Chromium")
