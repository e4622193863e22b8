"""A consumer that is stopped in order, and a job that is cancelled, in the middle of long work: a
transcode of a minute.  What runs ends within seconds, nothing is left, nobody waits."""

import signal
import stat
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.clips import clip
from tests.machine import need_ffmpeg
from tests.moderation.installation import Installation, Process, installation
from tests.running import eventually

pytestmark = [
    pytest.mark.every_database,
    pytest.mark.skipif(not psutil.LINUX, reason="finds processes in /proc"),
]
PICTURES = "testsrc=size=320x240:rate=10:duration=60"
WORKS = "SELECT count(*) FROM moderation_chunk WHERE owner != ''"
HELD = "SELECT count(*) FROM moderation_chunk WHERE owner != '' OR lease_until IS NOT NULL"
STATUS = "SELECT status FROM moderation_job ORDER BY id DESC"
PREVIEWS = "SELECT count(*) FROM chat_rendition WHERE kind = 'preview' AND file != ''"
START = """
from chat.services.activity import SYSTEM
from moderation import steering, tasks
from moderation.scopes import Scope
steering.create_job("previews", Scope(), SYSTEM, "dashboard")
tasks.wake()
"""
CANCEL = """
from chat.services.activity import SYSTEM
from moderation import steering
from moderation.models import Job
steering.cancel(Job.objects.get(kind="previews"), SYSTEM)
"""


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Installation]:
    """With one video, of a codec that browsers do not play, whose preview takes long."""
    need_ffmpeg()
    long = clip("long.avi", "-c:v", "mpeg4", source=PICTURES, audio=False)
    # It transcodes no faster than the video plays, so that a slow machine is not kept busy.
    tool = tmp_path / "patient"
    tool.write_text(
        '#!/bin/sh\ncase "$*" in *libx264*) exec ffmpeg -re "$@" ;; esac\nexec ffmpeg "$@"\n'
    )
    tool.chmod(stat.S_IRWXU)
    settings = {"FFMPEG_BINARY": str(tool), "MEDIA_SANDBOX": "off"}
    # A lease that would be waited for, if one were left.
    with installation(tmp_path / "data", JOB_LEASE_SECONDS="600", **settings) as made:
        source = tmp_path / "archive"
        source.mkdir()
        (source / "long.avi").write_bytes(long.read_bytes())
        imported = ("import_videos", str(source), "--conversation", "A", "--user", "admin")
        made.manage(*imported, "--create")
        made.manage("backfill_video_metadata")
        yield made


def tools(site: Installation) -> list[int]:
    """Running transcodes."""
    return [pid for pid, line in site.processes().items() if "libx264" in line]


def start_consumer(site: Installation) -> Process:
    return site.start("run_huey", "--queue", "jobs")


def consumer_at_work(site: Installation) -> Process:
    site.python(START)
    consumer = start_consumer(site)
    eventually("a transcode runs", lambda: tools(site), 150)  # at the lowest priority
    return consumer


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_a_stopped_consumer_leaves_nothing_to_wait_for(
    site: Installation, signum: signal.Signals
) -> None:
    consumer = consumer_at_work(site)
    stopped_at = time.monotonic()
    consumer.send_signal(signum)
    consumer.communicate(timeout=60)
    print(f"{signum.name}: stopped within {time.monotonic() - stopped_at:.1f} s")
    assert not site.processes()
    assert site.value(HELD) == 0
    assert site.value(STATUS) == "running"
    assert site.value(PREVIEWS) == 0
    assert list((site.data_dir / "scratch").iterdir()) == []
    interruptions = "SELECT count(*) FROM moderation_interruption"
    assert site.value(interruptions) == 0  # it was put down, not lost

    started_at = time.monotonic()
    consumer = start_consumer(site)
    eventually("the consumer is up", lambda: len(site.processes()) >= 4, 90)
    up_at = time.monotonic()
    eventually("it resumes", lambda: site.value(WORKS) == 1, 90)
    print(
        f"resumed {time.monotonic() - up_at:.1f} s after its workers were there,"
        f" {time.monotonic() - started_at:.1f} s after it was started"
    )
    assert site.value("SELECT attempts FROM moderation_chunk") == 0
    site.python(CANCEL)
    eventually("the transcode ends", lambda: not tools(site), 10)


def priorities(pid: int) -> tuple[int, tuple[int, int], int]:
    """Nice value, place at the disk, and the nice value of the session (see sched(7))."""
    process = psutil.Process(pid)
    session = Path(f"/proc/{pid}/autogroup")
    nice = session.read_text().split()[-1] if session.exists() else process.nice()
    ioclass, level = process.ionice()
    return process.nice(), (int(ioclass), level), int(nice)


def test_a_cancelled_job_ends_its_transcode(site: Installation) -> None:
    consumer = consumer_at_work(site)
    # Helper and transcode give way on processor and disk; the workers, which hold the database's
    # lock now and then, at the disk only.
    own = psutil.Process().nice()
    low = min(own + 10, 19)
    family = site.processes()
    workers = {pid for pid, line in family.items() if "run_huey" in line}
    assert len(workers) >= 3
    assert len(family) >= len(workers) + 2
    for pid, line in family.items():
        nice, place, of_session = priorities(pid)
        assert place == (psutil.IOPRIO_CLASS_BE, 7), line
        assert nice == (own if pid in workers else low), line
        assert pid in workers or of_session == low, line
    site.python(CANCEL)  # returns after the change, and the end of that process
    cancelled_at = time.monotonic()  # 3 s are allowed; a busy machine may need more
    eventually("the transcode ends", lambda: not tools(site), 15)
    print(f"its transcode ended {time.monotonic() - cancelled_at:.1f} s after the command")
    eventually("the chunk is put down", lambda: site.value(HELD) == 0, 15)
    assert site.value(STATUS) == "cancelled"
    assert site.value(PREVIEWS) == 0
    assert list((site.data_dir / "scratch").iterdir()) == []
    assert consumer.poll() is None  # it goes on with whatever comes next
