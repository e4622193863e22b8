"""A real consumer that is stopped, killed or called off in the middle of a job."""

import os
import signal
import stat
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from moderation import chunks
from tests.moderation.consumers import (
    HELD,
    PROCESSED,
    STATUS,
    assert_each_was_done_once,
    site_with,
    stand_in,
    start_consumer,
    start_job,
    stop_consumer,
    stored_posters,
    video_count,
    wait_until_some_are_done,
)
from tests.moderation.installation import Installation
from tests.running import eventually

pytestmark = pytest.mark.every_database


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Installation]:
    """As it comes."""
    with site_with(tmp_path, 40) as made:
        yield made


@pytest.fixture
def slow_site(tmp_path: Path) -> Iterator[Installation]:
    """Fewer videos, and media tools that take their time over each."""
    tool = tmp_path / "ffprobe"
    tool.write_text('#!/bin/sh\nsleep 1\nexec ffprobe "$@"\n')
    tool.chmod(stat.S_IRWXU)
    with site_with(tmp_path, 24, **stand_in(tool)) as made:
        yield made


def test_a_consumer_does_a_job_to_its_end(site: Installation) -> None:
    consumer = start_consumer(site)
    start_job(site)
    site.wait_for(STATUS, "done", seconds=60)
    site.wait_for("SELECT count(*) FROM chat_unsealedentry", 0)
    output = stop_consumer(consumer)
    assert_each_was_done_once(site)
    assert "Traceback" not in output
    assert set(site.query("SELECT DISTINCT owner FROM moderation_chunk")) == {""}
    assert not site.processes()
    entries = site.value("SELECT count(*) FROM chat_activitylog")
    assert f"{entries:,} entries are as they were sealed" in site.manage("verify_activity_log")


def test_a_killed_consumer_is_followed_by_one_that_finishes(slow_site: Installation) -> None:
    site = slow_site
    consumer = start_consumer(site)
    start_job(site)
    wait_until_some_are_done(site)
    os.killpg(consumer.pid, signal.SIGKILL)
    consumer.communicate(timeout=10)
    assert 0 < site.value(PROCESSED) < video_count(site)
    eventually("no media tool is left", lambda: not site.processes(), 5)
    assert site.value(STATUS) == "running"
    assert site.value(HELD) > 0

    site.environment["MEDIA_ENGINE"] = "libav"
    consumer = start_consumer(site)
    site.wait_for(STATUS, "done", seconds=30)  # sooner than the sweep of each minute
    stop_consumer(consumer)
    assert_each_was_done_once(site)
    assert not site.processes()


def test_a_killed_consumer_leaves_no_sandboxed_child(site: Installation) -> None:
    consumer = start_consumer(site)
    start_job(site, items_per_second=10)
    wait_until_some_are_done(site)
    os.killpg(consumer.pid, signal.SIGKILL)
    consumer.communicate(timeout=10)
    eventually("no media tool is left", lambda: not site.processes(), 5)
    consumer = start_consumer(site)
    site.wait_for(STATUS, "done", seconds=90)
    stop_consumer(consumer)
    assert_each_was_done_once(site)


def test_a_consumer_that_is_stopped_in_order_loses_nothing(slow_site: Installation) -> None:
    site = slow_site
    consumer = start_consumer(site)
    start_job(site)
    wait_until_some_are_done(site)
    stop_consumer(consumer)
    assert site.value(HELD) == 0
    ready = "SELECT count(*) FROM chat_attachment WHERE processing_state = 'ready'"
    assert len(stored_posters(site)) == site.value(ready)
    assert not site.processes()

    site.environment["MEDIA_ENGINE"] = "libav"
    consumer = start_consumer(site)
    site.wait_for(STATUS, "done", seconds=30)
    stop_consumer(consumer)
    assert_each_was_done_once(site)


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM], ids=["INT", "TERM"])
def test_what_was_stopped_in_order_goes_on_at_once(slow_site: Installation, signum: int) -> None:
    site = slow_site
    consumer = start_consumer(site)
    start_job(site)
    wait_until_some_are_done(site)
    consumer.send_signal(signum)
    output = consumer.communicate(timeout=8)[0]
    assert consumer.returncode == 0, output
    assert "Traceback" not in output
    assert site.value(HELD) == 0
    assert not site.processes()

    consumer = start_consumer(site)
    assert consumer.stdout is not None
    assert any("Huey consumer started" in line for line in consumer.stdout)
    eventually("it goes on", lambda: site.value(HELD) > 0, 2)
    stop_consumer(consumer)


def test_a_video_that_kills_the_worker_is_given_up_and_the_rest_done(tmp_path: Path) -> None:
    """The media tool kills the worker, two processes above it, on one file only."""
    deadly = tmp_path / "deadly"
    deadly.write_text(
        "#!/bin/sh\nfor last; do :; done\n"
        'if grep -q "nothing of a video" "${last#file:}"; then\n'
        "  read -r _ _ _ worker _ < /proc/$PPID/stat\n"
        '  kill -9 "$worker"; sleep 5\nfi\n'
        'exec ffprobe "$@"\n'
    )
    deadly.chmod(stat.S_IRWXU)
    with site_with(tmp_path, 24, **stand_in(deadly)) as site:
        consumer = start_consumer(site)
        start_job(site)
        site.wait_for(STATUS, "done", seconds=150)
        stop_consumer(consumer)
        assert site.query("SELECT code FROM moderation_failure") == ["worker_lost"]
        lost = "SELECT attachment_id FROM moderation_interruption ORDER BY id"
        _among_others, *alone = site.query(lost)
        poisonous = site.value("SELECT attachment_id FROM moderation_failure")
        assert alone == [poisonous] * (chunks.GIVE_UP_AT - 1)
        assert site.value("SELECT sum(dead) FROM moderation_chunk") == 1
        assert site.value("SELECT sum(ready) FROM moderation_chunk") == 23
        assert site.value(PROCESSED) == 24


def test_cancelling_stops_a_consumer_within_seconds(slow_site: Installation) -> None:
    site = slow_site
    consumer = start_consumer(site)
    job_id = start_job(site)
    wait_until_some_are_done(site)
    site.python(
        "from chat.services.activity import SYSTEM; from moderation import models, steering;"
        f"steering.cancel(models.Job.objects.get(pk={job_id}), SYSTEM)"
    )
    eventually("what is in work ends", lambda: site.value(HELD) == 0, 4)
    done = site.value(PROCESSED)
    assert done < video_count(site)
    time.sleep(1.5)  # longer than the next video would take
    assert site.value(PROCESSED) == done
    assert site.value(STATUS) == "cancelled"
    stop_consumer(consumer)
