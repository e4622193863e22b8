"""A real backfill of generated clips against the media engine alone, at one worker and at two, and
how long uploads take beside it.  Part of ``make bench-jobs``; runs whole copies of the product on
SQLite, each with its own processes.
"""

import argparse
import itertools
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

from tests.clips import clip
from tests.moderation.installation import Installation, Process, installation
from tests.running import ROOT, eventually, free_port

# What people send: phones' H.264 mostly, some VP9 and HEVC, of several sizes.
SHAPES = (
    ("640x360", 5, ()),
    ("1280x720", 4, ()),
    ("480x854", 8, ()),
    ("320x240", 3, ()),
    ("854x480", 4, ("-c:v", "libvpx-vp9", "-deadline", "realtime", "-cpu-used", "8")),
    ("640x480", 4, ("-c:v", "libx265", "-preset", "ultrafast", "-x265-params", "log-level=error")),
)
LEGACY = (
    "UPDATE chat_attachment SET processing_state = 'pending', failure_code = '', thumbnail = '',"
    " sha256 = '', pipeline_version = 0"
)
WARM_UP_ITEMS = 100
START = """
from chat.services.activity import SYSTEM
from moderation import steering, tasks
from moderation.scopes import Scope
job = steering.create_job("metadata", Scope(), SYSTEM, "dashboard")
tasks.wake()
"""
STEER = """
from chat.services.activity import SYSTEM
from moderation import steering, tasks
from moderation.models import Job
assert steering.{verb}(Job.objects.latest("pk"), SYSTEM)
tasks.wake()
"""
ALONE = """
import sys, time
from pathlib import Path
import django
django.setup()
from chat.services.video_service import VideoProcessingService
service = VideoProcessingService()
paths = [Path(line) for line in sys.stdin.read().splitlines()]
service.examine(paths[0])  # the helper starts
print("ready", flush=True)
started = time.perf_counter()
for path in paths:
    service.examine(path)
print(time.perf_counter() - started)
"""


def make_archive(folder: Path, count: int) -> list[Path]:
    """So many files of different bytes: a dozen clips, each with a number at its end."""
    folder.mkdir()
    pictures = itertools.cycle(itertools.product(SHAPES, ("testsrc2", "mandelbrot")))
    paths = []
    for number, ((size, seconds, options), source) in zip(range(count), pictures, strict=False):
        made = moving_picture(size, seconds, options, source)
        path = folder / f"{number:05}{made.suffix}"
        path.write_bytes(made.read_bytes() + number.to_bytes(4, "big"))
        paths.append(path)
    return paths


def moving_picture(size: str, seconds: int, options: Sequence[str], source: str) -> Path:
    """Made once, then remembered."""
    picture = f"{source}=size={size}:rate=25"
    if source == "testsrc2":
        picture += f":duration={seconds}"
    codec = options or ("-c:v", "libx264", "-preset", "veryfast")
    return clip(
        "clip.webm" if "libvpx-vp9" in options else "clip.mp4",
        *codec, "-t", str(seconds), "-pix_fmt", "yuv420p",
        source=picture, audio=False,
    )  # fmt: skip


def engine_alone(site: Installation, paths: list[Path], workers: int) -> float:
    """Videos a second: so many processes, each with a helper, reading and nothing else."""
    os.sync()  # what was written before is not to be waited for
    mixed = random.Random(1).sample(paths, len(paths))  # nobody's share is the harder one
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", ALONE],
            cwd=ROOT,
            env={**site.environment, "DJANGO_SETTINGS_MODULE": "config.settings"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(workers)
    ]
    for number, process in enumerate(processes):
        assert process.stdin
        process.stdin.write("\n".join(map(str, mixed[number::workers])))
        process.stdin.close()
    seconds = []
    for process in processes:
        assert process.stdout
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        assert process.stdout
        with process:
            seconds.append(float(process.stdout.read()))
    return len(paths) / max(seconds)


def started(site: Installation, queue: str) -> Process:
    """A consumer that is up, and idle."""
    seen = f"SELECT count(*) FROM moderation_workerseen WHERE queue = '{queue}'"
    with site.connect() as database:
        database.execute("DELETE FROM moderation_workerseen")
        database.commit()
    consumer = site.start("run_huey", "--queue", queue)
    site.wait_for(seen, 1)
    return consumer


def backfill(site: Installation, count: int, workers: int) -> float:
    """Videos a second: a consumer with so many workers, once each has started its media helper,
    as ``engine_alone`` has it; to the end of the job."""
    with site.connect() as database:
        database.execute(LEGACY)
        database.commit()
    os.sync()
    site.environment["WORKERS"] = str(workers)
    consumer = started(site, "jobs")
    site.python(START)
    job = site.value("SELECT max(id) FROM moderation_job")
    done = f"SELECT coalesce(sum(cursor), 0) FROM moderation_chunk WHERE job_id = {job}"
    eventually("the backfill is under way", lambda: site.value(done) >= WARM_UP_ITEMS, 60)
    before, began = site.value(done), time.time()
    status = f"SELECT status FROM moderation_job WHERE id = {job}"
    while site.value(status) != "done":
        time.sleep(1)  # to ask takes time from them
    consumer.terminate()
    consumer.communicate(timeout=20)
    ready = "SELECT count(*) FROM chat_attachment WHERE processing_state = 'ready'"
    assert site.value(ready) == count
    finished = "SELECT (julianday(finished_at) - 2440587.5) * 86400 FROM moderation_job"
    ended = float(site.value(f"{finished} WHERE id = {job}"))
    return float(count - before) / (ended - began)


def call(url: str, token: str = "", body: bytes = b"", kind: str = "application/json") -> Any:
    request = urllib.request.Request(url, data=body or None, headers={"Content-Type": kind})
    if token:
        request.add_header("Authorization", f"Token {token}")
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.load(answer)


class Client:
    """Uploads the same clip again and again, and waits for its poster."""

    def __init__(self, url: str, password: str, path: Path, name: str = "admin") -> None:
        self.url = url
        person = json.dumps({"username": name, "password": password}).encode()
        self.token = call(f"{url}/api/auth/token/", body=person)["token"]
        made = call(
            f"{url}/api/chat/conversations/", self.token, b'{"title": "b", "participants": []}'
        )
        self.conversation = made["id"]
        self.content = path.read_bytes()

    def upload(self) -> float:
        """Seconds from the first byte to the answer, which names the poster."""
        boundary = uuid4().hex
        body = (
            f'--{boundary}\r\nContent-Disposition: form-data; name="conversation"\r\n\r\n'
            f"{self.conversation}\r\n--{boundary}\r\n"
            'Content-Disposition: form-data; name="file"; filename="v.mp4"\r\n'
            "Content-Type: video/mp4\r\n\r\n"
        ).encode()
        body += self.content + f"\r\n--{boundary}--\r\n".encode()
        started = time.perf_counter()
        video = call(
            f"{self.url}/api/chat/videos/upload/",
            self.token,
            body,
            f"multipart/form-data; boundary={boundary}",
        )
        seconds = time.perf_counter() - started
        assert video["thumbnail_url"], video
        return seconds


def under_way(site: Installation, code: str) -> None:
    """Start or resume a job so; returns once something more is done of it."""
    done = "SELECT coalesce(sum(cursor), 0) FROM moderation_chunk"
    before = site.value(done)
    site.python(code)
    eventually("the backfill is under way", lambda: site.value(done) > before, 30)


def uploads_beside(
    site: Installation, uploads: int, path: Path, turns: int = 6, pause_seconds: float = 10
) -> tuple[list[float], list[float], str]:
    """Seconds of each upload: with nothing else going on, and under a full backfill, which take
    turns; and how that stood at the end.  The pause is for what follows uploads."""
    with site.connect() as database:
        database.execute(LEGACY)
        database.commit()
    port = free_port()
    site.environment |= {
        "PORT": str(port),
        "HOST": "127.0.0.1",
        "WORKERS": "2",
        "THROTTLE": "0",
    }
    web = subprocess.Popen(
        [sys.executable, "-m", "gunicorn", "--config", "config/gunicorn.py", "config.wsgi"],
        cwd=ROOT,
        env=site.environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    url = f"http://127.0.0.1:{port}"

    def is_up() -> bool:
        try:
            return bool(call(f"{url}/health/"))
        except OSError:
            return False

    try:
        eventually("the server is up", is_up, 30)
        client = Client(url, site.environment["ADMIN_PASSWORD"], path)
        for _ in range(5):
            client.upload()
        # The consumer of uploads runs in both: what follows an upload is not the backfill's cost.
        uploads_consumer = started(site, "uploads")
        jobs = started(site, "jobs")
        idle: list[float] = []
        busy: list[float] = []
        for turn in range(turns):
            idle += [client.upload() for _ in range(uploads // turns)]
            time.sleep(pause_seconds)
            under_way(site, STEER.format(verb="resume") if turn else START)
            busy += [client.upload() for _ in range(uploads // turns)]
            if turn < turns - 1:
                site.python(STEER.format(verb="pause"))
                time.sleep(pause_seconds)
        status = site.value("SELECT status FROM moderation_job ORDER BY id DESC LIMIT 1")
        for consumer in (jobs, uploads_consumer):
            consumer.terminate()
            consumer.communicate(timeout=20)
    finally:
        web.terminate()
        web.wait(20)
    return idle, busy, status


def percentile(seconds: list[float], share: float) -> float:
    return 1000 * statistics.quantiles(seconds, n=100)[round(100 * share) - 1]


def listed(rates: list[float]) -> str:
    return ", ".join(f"{rate:.1f}" for rate in rates)


@contextmanager
def site_with_clips(folder: Path, count: int) -> Iterator[tuple[Installation, list[Path]]]:
    """With so many videos that nothing was done to; and their files."""
    paths = make_archive(folder / "archive", count)
    with installation(folder / "data") as site:
        imported = ("import_videos", str(folder / "archive"), "--conversation", "A", "--create")
        site.manage(*imported, "--user", "admin")
        yield site, paths


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clips", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--uploads", type=int, default=300)
    options = parser.parse_args()
    with (
        tempfile.TemporaryDirectory(prefix="offchat-bench-") as folder,
        site_with_clips(Path(folder), options.clips) as (site, paths),
    ):
        print(f"{options.clips:,} generated clips, videos a second, SQLite:")
        for workers in (1, 2):
            alone, whole = [engine_alone(site, paths, workers)], []
            for _ in range(options.rounds):
                whole.append(backfill(site, options.clips, workers))
                alone.append(engine_alone(site, paths, workers))
            share = statistics.median(whole) / statistics.median(alone)
            print(
                f"  {workers} worker(s), taking turns: media engine alone {listed(alone)};"
                f" backfill {listed(whole)}; medians {100 * share:.0f} % of it",
                flush=True,
            )
        idle, busy, status = uploads_beside(site, options.uploads, paths[0])
        assert status == "running", "the backfill ended too soon to be measured"
        for share in (0.5, 0.95):
            one, other = percentile(idle, share), percentile(busy, share)
            print(
                f"  upload to poster, p{100 * share:.0f} of {options.uploads}: idle"
                f" {one:.1f} ms, under full backfill {other:.1f} ms = {other / one:.2f} ×"
            )


if __name__ == "__main__":
    main()
