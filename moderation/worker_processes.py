"""The processes that work on a job beside the command that started them."""

import contextlib
import os
import signal
import sys
import time
from collections.abc import Iterator

from django.conf import settings

from config.parent import SUPERVISOR_VARIABLE
from moderation.models import Job

MOST_PROCESSES = 32
# So many that end before the job does are replaced; more of them have another cause than a file.
MOST_REPLACED = 10
PATIENCE_SECONDS = 5.0


class WorkerProcesses:
    """As many as the job allows workers, less one: the command works too.

    They run ``manage.py job_worker`` in process groups of their own, so that Ctrl-C reaches the
    command alone, and end with it however it ends (see ``config.parent``).
    """

    def __init__(self, job: Job) -> None:
        self.job = job
        self.pids: set[int] = set()
        self.replaced = 0

    @property
    def wanted(self) -> int:
        return min(self.job.workers or 1, MOST_PROCESSES) - 1

    def look_after(self) -> None:
        """Start what is missing; the job's row may ask for more than before."""
        for _pid, status in self._ended():
            self.replaced += status != 0
        while len(self.pids) < self.wanted and self.replaced <= MOST_REPLACED:
            if self.job.status not in Job.IN_WORK:
                return
            self.pids.add(start_worker(self.job.pk))

    def end(self) -> None:
        """Wait for those that end by themselves, as they do with the job; end the others."""
        for signum in (signal.SIGTERM, signal.SIGKILL):
            if self._all_ended(PATIENCE_SECONDS):
                return
            for pid in self.pids:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signum)
        self._all_ended(PATIENCE_SECONDS)

    def _all_ended(self, seconds: float) -> bool:
        deadline = time.monotonic() + seconds
        while self.pids and time.monotonic() < deadline:
            if not list(self._ended()):
                time.sleep(0.02)
        return not self.pids

    def _ended(self) -> Iterator[tuple[int, int]]:
        """(pid, exit status) of those that have ended; they are forgotten."""
        for pid in sorted(self.pids):
            found, status = os.waitpid(pid, os.WNOHANG)
            if found:
                self.pids.discard(pid)
                yield pid, os.waitstatus_to_exitcode(status)


@contextlib.contextmanager
def worker_processes(job: Job) -> Iterator[WorkerProcesses]:
    workers = WorkerProcesses(job)
    try:
        yield workers
    finally:
        workers.end()


def start_worker(job_id: int) -> int:
    """The pid of a new process that works on the job until it is over or paused."""
    program = [sys.executable, str(settings.BASE_DIR / "manage.py"), "job_worker", str(job_id)]
    return os.posix_spawn(
        program[0],
        program,
        {**os.environ, SUPERVISOR_VARIABLE: str(os.getpid())},
        file_actions=[
            (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
            (os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0),  # what is ours may be JSON
        ],
        setpgroup=0,
    )
