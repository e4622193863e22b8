"""5,000 files are verified under kills, a freeze, a pause, a storm and an outage: each comes to
an end, once, and nothing is left behind."""

import os
from pathlib import Path

import psutil
import pytest

from tests.machine import need_ffmpeg
from tests.moderation import chaos
from tests.moderation.chaos import Plan
from tests.moderation.chaos_items import DEAD, EXPECTED_FAILURES, POISONOUS
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
    print(chaos.table([found]))
    assert found.status == "done"
    assert found.total == plan.items
    assert found.ready + found.skipped + found.failed + found.dead == plan.items
    assert found.failures == EXPECTED_FAILURES
    assert found.dead == DEAD + POISONOUS
    assert found.failed + found.dead == sum(found.failures.values())
    assert found.named == (plan.items, plan.items)
    assert found.outcomes == {
        "ready": found.ready, "gone": found.skipped, **EXPECTED_FAILURES
    }  # fmt: skip
    assert found.applied == found.ready + found.failed + found.dead
    assert found.applied_twice == 0
    assert found.worked_while_paused == 0
    assert 0 < found.most_live_leases <= plan.workers
    assert (found.left_processes, found.left_files, found.lost_files) == (0, 0, 0)
    assert (found.kills, found.frozen, found.pauses, found.outages) == (plan.kills, 1, 1, 1)
