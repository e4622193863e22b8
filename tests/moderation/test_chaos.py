"""5,000 files are verified under kills, a freeze, a pause, a storm and an outage: each comes to
an end, once, and nothing is left behind."""

import os
from pathlib import Path

import psutil
import pytest

from tests.machine import need_ffmpeg
from tests.moderation import chaos
from tests.moderation.chaos_figures import Plan, check, table
from tests.services import own_redis_database


@pytest.mark.every_database
@pytest.mark.skipif(not psutil.LINUX, reason="reads a file of /proc that cannot be read")
def test_nothing_is_lost_done_twice_or_left_behind(tmp_path: Path) -> None:
    need_ffmpeg()
    if os.environ.get("DATABASE_URL"):
        plan = Plan(consumers=2, workers=3)
        with own_redis_database(os.environ["HUEY_URL"]) as redis_url:
            found = chaos.on_postgresql(tmp_path, plan, redis_url)
    else:
        plan = Plan()
        found = chaos.on_sqlite(tmp_path, plan)
    print(table([found]))
    check(found, plan)
