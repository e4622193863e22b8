"""``make bench-api``: uploads, downloads and lists of the API, against what the machine can do.

Every figure is of a running web server with one worker on loopback, except the lists, which are
timed in one process over many rows (``bench.api_lists``).
"""

import bench.ready  # noqa: F401, I001  (sets Django up)

import argparse
import hashlib
import http.client
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

import psutil

from chat.serializers_video import MAX_CONTENT_CHARACTERS
from chat.services.video_service import VideoProcessingService
from tests.api.server import ApiServer, api_server
from tests.running import eventually, free_port
from tests.services import end_with_tests, stop

MEGABYTE = 1_000_000
BLOCK = 1024 * 1024
BOUNDARY = "frontier"
LARGE_BYTES = 2_000 * MEGABYTE
PREFIX = "/stored/"
NGINX = """
daemon off; pid {folder}/nginx.pid; error_log {folder}/error.log; worker_processes 1;
events {{ worker_connections 64; }}
http {{
    access_log off; sendfile on;
    client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/f; uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
    server {{
        listen 127.0.0.1:{port};
        location / {{ proxy_pass {django}; proxy_set_header Host $host; }}
        location {prefix} {{ internal; alias {media}/; }}
        location /static-file/ {{ alias {media}/; }}
    }}
}}
"""


# --- Sending and receiving ----------------------------------------------------------------------


def form(content: str) -> tuple[bytes, bytes]:
    """What stands before and behind a file in a multipart body."""
    field = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{{}}"{{}}\r\n\r\n'
    head = field.format("file", '; filename="video.mp4"')
    return (
        head.encode(),
        f"\r\n{field.format('content', '')}{content}\r\n--{BOUNDARY}--\r\n".encode(),
    )


def upload(
    server: ApiServer,
    path: str,
    blocks: Iterator[bytes],
    size: int,
    content: str = "",
    status: int = 201,
) -> tuple[float, Any]:
    """(seconds to the answer, its body); ``content`` comes behind the file."""
    head, tail = form(content)
    start = perf_counter()
    connection = http.client.HTTPConnection(server.url.removeprefix("http://"), timeout=600)
    connection.putrequest("POST", f"/api/chat/{path}?conversation={server.conversation}")
    connection.putheader("Authorization", f"Token {server.tokens['anna']}")
    connection.putheader("Content-Type", f"multipart/form-data; boundary={BOUNDARY}")
    connection.putheader("Content-Length", str(len(head) + size + len(tail)))
    connection.endheaders(head)
    for block in blocks:
        connection.send(block)
    connection.send(tail)
    answer = connection.getresponse()
    body = json.loads(answer.read())
    taken = perf_counter() - start
    assert answer.status == status, body
    return taken, body


def blocks_of(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while block := file.read(BLOCK):
            yield block


def download(url: str, token: str) -> tuple[float, int]:
    """(seconds, bytes)."""
    host, _, path = url.removeprefix("http://").partition("/")
    buffer, received = bytearray(BLOCK), 0
    start = perf_counter()
    connection = http.client.HTTPConnection(host, timeout=600)
    connection.request("GET", f"/{path}", headers={"Authorization": f"Token {token}"})
    answer = connection.getresponse()
    assert answer.status == 200, (url, answer.status)
    while count := answer.readinto(buffer):
        received += count
    return perf_counter() - start, received


# --- Uploads ------------------------------------------------------------------------------------


def noisy_video(folder: Path) -> Path:
    """About 50 MB of H.264, 1280 × 720, 20 seconds."""
    path = folder / "video.mp4"
    source = "testsrc2=size=1280x720:rate=25:duration=20,noise=alls=40:allf=t"
    rate = ["-b:v", "20M", "-minrate", "20M", "-maxrate", "20M", "-bufsize", "2M"]
    codec = ["-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p", *rate]
    command = ["ffmpeg", "-v", "error", "-f", "lavfi", "-i", source, *codec, str(path)]
    subprocess.run(command, check=True)
    return path


def cat(source: Path, folder: Path) -> float:
    """Seconds of `cat` into a file that is hashed on the way and brought to the disk."""
    target = folder / "copy"
    start = perf_counter()
    with (
        subprocess.Popen(["cat", source], stdout=subprocess.PIPE) as process,
        target.open("wb") as file,
    ):
        assert process.stdout is not None
        digest = hashlib.sha256()
        while block := process.stdout.read(BLOCK):
            digest.update(block)
            file.write(block)
        file.flush()
        os.fsync(file.fileno())
    taken = perf_counter() - start
    target.unlink()
    return taken


def media(source: Path) -> float:
    start = perf_counter()
    VideoProcessingService().examine(source)
    return perf_counter() - start


def uploads(server: ApiServer, folder: Path, rounds: int) -> None:
    video = noisy_video(folder)
    size = video.stat().st_size
    # Looked at when all has arrived and is on the disk: then the answer comes at once.
    refused = "x" * (MAX_CONTENT_CHARACTERS + 1)
    steps: dict[str, Callable[[], float]] = {
        "cat into a hashing, fsyncing file": lambda: cat(video, folder),
        "media: metadata and poster": lambda: media(video),
        "upload, refused at its end: receive, hash, fsync": lambda: upload(
            server, "videos/upload/", blocks_of(video), size, refused, 400
        )[0],
        "upload, to 201: the same, media, rows": lambda: upload(
            server, "videos/upload/", blocks_of(video), size
        )[0],
    }
    media(video)  # starts the helper
    taken: dict[str, list[float]] = {name: [] for name in steps}
    for _ in range(rounds):  # in turns: what slows the machine slows all of them
        for name, step in steps.items():
            taken[name].append(1000 * step())
    print(f"\nUpload of {size / MEGABYTE:.1f} MB, {rounds} rounds: ms, median (best)")
    for name, each in taken.items():
        print(f"  {name:54} {median(each):8.0f} ({min(each):.0f})")
    copied, read, _, whole = (median(each) for each in taken.values())
    budget = 1.5 * copied + read
    print(f"  budget, 1.5 × cat + media {budget:33.0f}    {verdict(whole <= budget)}")


def memory(server: ApiServer, size: int) -> str:
    """Uploads so many bytes while the web worker is watched; the download address."""
    (worker,) = psutil.Process(server.installation.started[-1].pid).children()
    block = os.urandom(BLOCK)
    before = peak = worker.memory_info().rss
    ended = threading.Event()

    def watch() -> None:
        nonlocal peak
        while not ended.wait(0.02):
            peak = max(peak, worker.memory_info().rss)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        pieces = (block[: min(BLOCK, size - at)] for at in range(0, size, BLOCK))
        taken, body = upload(server, "upload/", pieces, size)
    finally:
        ended.set()
        watcher.join()
    print(f"\nUpload of {size / MEGABYTE:.0f} MB: {size / MEGABYTE / taken:.0f} MB/s")
    grown = (peak - before) / MEGABYTE
    print(f"  resident memory of the web worker: {before / MEGABYTE:.0f} MB before, ", end="")
    print(f"at most {grown:.1f} MB more    {verdict(grown < 32)}")
    return str(body["download_url"])


# --- Downloads ----------------------------------------------------------------------------------


@contextmanager
def nginx(folder: Path, django: str, media_root: Path) -> Iterator[str]:
    """The address of an nginx in front of Django that sends stored files itself."""
    port = free_port()
    configuration = folder / "nginx.conf"
    configuration.write_text(
        NGINX.format(folder=folder, port=port, django=django, media=media_root, prefix=PREFIX)
    )
    # Its own account must reach the files: it runs as who started the benchmark.
    options = ["-g", "user root;"] if os.geteuid() == 0 else []
    command = ["nginx", "-e", str(folder / "error.log"), "-c", str(configuration), *options]
    process = subprocess.Popen(command, start_new_session=True, preexec_fn=end_with_tests)
    try:
        url = f"http://127.0.0.1:{port}"
        eventually("nginx answers", lambda: answers(url), 30)
        yield url
    finally:
        stop(process)


def answers(url: str) -> bool:
    try:
        connection = http.client.HTTPConnection(url.removeprefix("http://"), timeout=10)
        connection.request("GET", "/health/")
        return connection.getresponse().status == 200
    except OSError:
        return False


def rate(url: str, token: str, rounds: int) -> float:
    """MB/s: the median of so many downloads."""
    found = [download(url, token) for _ in range(rounds + 1)][1:]
    return median(size / MEGABYTE / seconds for seconds, size in found)


def downloads_by_nginx(folder: Path, size: int, rounds: int) -> None:
    if shutil.which("nginx") is None:
        print("  nginx is not on this machine: not measured")
        return
    with api_server(folder / "accel", ACCEL_REDIRECT_PREFIX=PREFIX) as server:
        media_root = server.installation.data_dir / "media"
        block = os.urandom(BLOCK)
        pieces = (block[: min(BLOCK, size - at)] for at in range(0, size, BLOCK))
        _, body = upload(server, "upload/", pieces, size)
        stored = max(
            (path for path in media_root.rglob("*") if path.is_file()),
            key=lambda path: path.stat().st_size,
        )
        with nginx(folder, server.url, media_root) as front:
            token = server.tokens["anna"]
            static = rate(f"{front}/static-file/{stored.relative_to(media_root)}", token, rounds)
            address = f"{front}/api/chat/videos/{body['id']}/download/"
            accel = rate(address, token, rounds)
    print(f"  nginx, a static file {static:41.0f}")
    share = accel / static
    print(f"  nginx, X-Accel-Redirect {accel:38.0f}    ", end="")
    print(f"{share:.2f} × static, budget 0.80 ×    {verdict(share >= 0.8)}")


# --- Lists --------------------------------------------------------------------------------------


def lists(rows: int, rounds: int) -> None:
    command = [sys.executable, "-m", "bench.api_lists", str(rows), str(rounds)]
    ran = subprocess.run(command, env={**os.environ, "THROTTLE": "0"}, check=True, text=True,
                         capture_output=True)  # fmt: skip
    print(f"\nOver {rows:,} videos, {rounds} times each: ms, p50 and p95 (CPU p95), budget 50")
    for each in json.loads(ran.stdout):
        found, worst = quantile(each["ms"], 0.5), quantile(each["ms"], 0.95)
        name = f"{each['what']}; {each['who']}"
        print(
            f"  {name:54} {found:6.1f} {worst:6.1f} ({quantile(each['cpu_ms'], 0.95):.1f})", end=""
        )
        print(f"    {verdict(worst <= 50)}")


def quantile(values: list[float], part: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(part * len(ordered)))]


def verdict(kept: bool) -> str:
    return "kept" if kept else "MISSED"


def load() -> str:
    return f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} processors"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, nargs="*", default=[10_000, 1_000_000])
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--large-bytes", type=int, default=LARGE_BYTES)
    options = parser.parse_args()
    print(load())
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with api_server(folder / "server") as server:
            uploads(server, folder, options.rounds)
            address = memory(server, options.large_bytes)
            alone = rate(address, server.tokens["anna"], 3)
        print(f"\nDownload of {options.large_bytes / MEGABYTE:.0f} MB, one at a time: MB/s")
        print(f"  Django alone {alone:49.0f}    budget 125    {verdict(alone >= 125)}")
        downloads_by_nginx(folder, options.large_bytes, 3)
    for rows in options.rows:
        lists(rows, options.rounds)
    print(f"\n{load()}")


if __name__ == "__main__":
    main()
