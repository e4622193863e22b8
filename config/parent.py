"""Processes that end when the process that started them does.

A supervisor restarts what was killed; without this the killed process's own children would
go on beside their replacements, a Huey worker for ever.
"""

import ctypes
import os
import signal
import sys
import threading
import time

PR_SET_PDEATHSIG = 1
SUPERVISOR_VARIABLE = "OFFCHAT_SUPERVISOR"  # the pid of config.serve, for what it starts


def end_with_supervisor() -> None:
    """This process stops in order when whoever started it is gone, even if that is so already."""
    end_with_parent(signal.SIGTERM)
    if os.environ.get(SUPERVISOR_VARIABLE) not in (None, str(os.getppid())):
        sys.exit("The supervisor is gone.")


def end_with_parent(signum: int) -> None:
    """Have ``signum`` sent to this process as soon as its present parent is gone."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signum)
    else:
        threading.Thread(target=watch_parent, args=[os.getppid(), signum], daemon=True).start()


def watch_parent(parent: int, signum: int, interval: float = 1.0) -> None:
    """Send ``signum`` to this process once its parent is no longer ``parent``; seconds."""
    while os.getppid() == parent:
        time.sleep(interval)
    os.kill(os.getpid(), signum)


def end_family_with_parent() -> None:
    """This process stops in order when its parent is gone; what it forks is killed with it.

    Killed, because an idle Huey worker ignores SIGTERM, and may be: the database is the record.
    """
    end_with_supervisor()
    os.register_at_fork(after_in_child=lambda: end_with_parent(signal.SIGKILL))
