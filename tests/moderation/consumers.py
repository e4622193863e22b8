"""Installations with legacy videos, and their consumers, for tests with real processes."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.clips import clip
from tests.moderation.installation import Installation, Process, installation
from tests.running import eventually

LEASE_SECONDS = 3

# With a pace, a job lasts long enough to be disturbed, however fast the machine.
START_JOB = """
from chat.services.activity import SYSTEM
from moderation import steering, tasks
from moderation.scopes import Scope
pace = steering.Pace(items_per_second={rate})
job = steering.create_job("metadata", Scope(), SYSTEM, "dashboard", pace=pace)
tasks.wake()
print(job.pk)
"""


def archive(folder: Path, count: int) -> Path:
    """So many videos, the last of them broken."""
    folder.mkdir()
    for number in range(count - 1):
        (folder / f"{number:03}.mp4").write_bytes(clip().read_bytes() + number.to_bytes(2))
    (folder / "broken.mp4").write_bytes(b"nothing of a video" * 50)
    return folder


@contextmanager
def site_with(folder: Path, count: int, **settings: str) -> Iterator[Installation]:
    """With so many legacy videos."""
    settings["JOB_LEASE_SECONDS"] = str(LEASE_SECONDS)
    with installation(folder / "data", **settings) as made:
        source = str(archive(folder / "archive", count))
        made.manage("import_videos", source, "--conversation", "A", "--user", "admin", "--create")
        yield made


def stand_in(tool: Path) -> dict[str, str]:
    """Settings with which ``tool`` is run in the place of ffprobe."""
    return {"MEDIA_ENGINE": "ffmpeg", "MEDIA_SANDBOX": "off", "FFPROBE_BINARY": str(tool)}


def start_job(site: Installation, items_per_second: float | None = None) -> int:
    """Its number."""
    return int(site.python(START_JOB.format(rate=items_per_second)))


def start_consumer(site: Installation, queue: str = "jobs") -> Process:
    return site.start("run_huey", "--queue", queue)


def drain(process: Process) -> None:
    """Read what it says from now on: a pipe that nobody reads would stop it in the end."""

    def read() -> None:
        if process.stdout is not None:
            for _line in process.stdout:
                pass

    threading.Thread(target=read, daemon=True).start()


def stop_consumer(process: Process) -> str:
    """In order, as the process manager does."""
    process.terminate()
    return process.communicate(timeout=20)[0]


PROCESSED = "SELECT count(*) FROM chat_activitylog WHERE action = 'attachment_processed'"
DONE = "SELECT sum(ready + failed + skipped) FROM moderation_chunk"
STATUS = "SELECT status FROM moderation_job"
HELD = "SELECT count(*) FROM moderation_chunk WHERE owner != ''"


def video_count(site: Installation) -> int:
    return int(site.value("SELECT count(*) FROM chat_attachment"))


def wait_until_some_are_done(site: Installation) -> None:
    count = video_count(site)
    eventually("some are done", lambda: (site.value(DONE) or 0) > 0, 60)
    assert site.value(DONE) < count, "the job was over before it could be disturbed"


def assert_each_was_done_once(site: Installation) -> None:
    count = video_count(site)
    sums = "SELECT sum(ready), sum(failed), sum(skipped) FROM moderation_chunk"
    assert site.value(sums) == (count - 1, 1, 0)
    states = "SELECT processing_state, count(*) FROM chat_attachment GROUP BY 1 ORDER BY 1"
    assert site.query(states) == [("failed", 1), ("ready", count - 1)]
    entries = (
        "SELECT count(*), count(DISTINCT object_id) FROM chat_activitylog"
        " WHERE action = 'attachment_processed'"
    )
    assert site.value(entries) == (count, count)
    assert site.query("SELECT code FROM moderation_failure") == ["not_a_video"]
    named = set(site.query("SELECT thumbnail FROM chat_attachment WHERE thumbnail != ''"))
    assert named <= stored_posters(site)
    finished = "SELECT count(*) FROM chat_activitylog WHERE action = 'job_finished'"
    assert site.value(finished) == 1


def stored_posters(site: Installation) -> set[str]:
    media = site.data_dir / "media"
    return {str(path.relative_to(media)) for path in (media / "posters").rglob("*.jpg")}
