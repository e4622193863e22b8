"""Where ``chaos`` happens: an installation with short leases, what it runs, what it is asked."""

import contextlib
import json
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from tests.moderation.chaos_figures import Plan
from tests.moderation.chaos_items import deadly_tool
from tests.moderation.installation import Installation, installation, migrate
from tests.running import ROOT

STORM = 400

# --- Run in it -----------------------------------------------------------------------------------

START = """
from chat.services.activity import SYSTEM
from moderation import steering, tasks
from moderation.scopes import Scope
job = steering.create_job(
    {kind!r}, Scope(), SYSTEM, "command", pace=steering.Pace(workers={workers})
)
tasks.wake()
print(job.pk)
"""
STEER = """
from chat.services.activity import SYSTEM
from moderation import steering, tasks
from moderation.models import Job
assert steering.{verb}(Job.objects.get(), SYSTEM)
tasks.wake()
"""
FLOOD = f"""
from moderation import tasks
for _ in range({STORM}):
    tasks.work()
"""
OUTCOMES = """
import json
from collections import Counter
from moderation.models import Job
from moderation.progress import outcomes
counts, ids = Counter(), []
for pk, outcome, _detail in outcomes(Job.objects.get()):
    counts[outcome] += 1
    ids.append(pk)
print(json.dumps({"counts": counts, "items": len(ids), "different": len(set(ids))}))
"""


class Console:
    """A process of the installation that runs code for us, as a dashboard does: one start of
    Python for all of it."""

    LOOP = """
import json, sys
from django.db import close_old_connections
for line in sys.stdin:
    close_old_connections()
    exec(json.loads(line), {})
    print(flush=True)
"""

    def __init__(self, site: Installation) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "manage.py", "shell", "--verbosity", "0", "--command", self.LOOP],
            cwd=ROOT,
            env=site.environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def run(self, code: str) -> str:
        """What the code writes, which is one line or nothing."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps(code) + "\n")
        self.process.stdin.flush()
        lines = []
        while (line := self.process.stdout.readline()) != "\n":
            assert line, f"the console ended over {code}"
            lines.append(line)
        return "".join(lines)

    def close(self) -> None:
        self.process.communicate()


# --- Asked of its database ----------------------------------------------------------------------

STATUS = "SELECT status FROM moderation_job"
LIVE = "SELECT count(*) FROM moderation_chunk WHERE cursor < size"
OWNER = "SELECT owner FROM moderation_chunk WHERE owner != '' AND cursor < size ORDER BY id DESC"
WAITING = "SELECT count(*) FROM moderation_failure WHERE code = 'storage_error'"
VERIFIED = "action = 'attachment_verified' AND job_id IS NOT NULL"


def now() -> str:
    """As SQL has it."""
    return f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S.%f}+00"


def live_now() -> str:
    return f"{LIVE} AND lease_until > '{now()}'"


# --- Made ---------------------------------------------------------------------------------------


@contextlib.contextmanager
def a_site(folder: Path, plan: Plan, **settings: str) -> Iterator[Installation]:
    settings |= {
        "JOB_LEASE_SECONDS": str(plan.lease_seconds),
        "JOB_RETRY_SECONDS": "3,3",
        "JOBS_NICE": "0",  # at a low priority it would hardly move on a busy machine
        "MEDIA_ENGINE": "ffmpeg",
        "MEDIA_SANDBOX": "off",  # it would keep the tool from killing
        "FFPROBE_BINARY": str(deadly_tool(folder)),
    }
    with installation(folder / "data", **settings) as site:
        if settings["DATABASE_URL"]:
            migrate(site)
        yield site
