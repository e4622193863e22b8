"""Directories that media work writes to, named after the process whose they are: what a killed
one leaves behind is known, and deleted by the next sweep."""

import logging
import os
import platform
import shutil
import tempfile
from pathlib import Path
from tempfile import TemporaryDirectory

import psutil

logger = logging.getLogger(__name__)


def prefix() -> str:
    """Of this machine's: a process of another one that shares the folder may be alive."""
    return f"offchat-media-{platform.node()[:60]}-"


def scratch_directory() -> "TemporaryDirectory[str]":
    """Of this process; deleted at the end of the ``with`` block."""
    return TemporaryDirectory(prefix=f"{prefix()}{os.getpid()}-")


def sweep_scratch() -> int:
    """Delete those of processes that are no more; how many."""
    swept = 0
    for path in Path(tempfile.gettempdir()).glob(f"{prefix()}*"):
        pid = path.name.removeprefix(prefix()).partition("-")[0]
        if pid.isdecimal() and not psutil.pid_exists(int(pid)):
            shutil.rmtree(path, ignore_errors=True)  # others may sweep too
            logger.info("deleted %s, left by a process that ended", path)
            swept += 1
    return swept
