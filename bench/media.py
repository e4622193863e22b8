"""``make bench-media DIR=…``: what one video costs here and elsewhere, in one interleaved run.

Then: what a second worker adds, what each layer of the sandbox costs, where the time goes.
"""

import argparse
import contextlib
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import bench.ready  # noqa: F401  (before what needs Django)
from bench import others
from chat.errors import VideoError
from chat.services import libav_words, media_helper, media_runner
from chat.services.ffmpeg_engine import FfmpegEngine
from chat.services.libav_engine import LibavEngine
from chat.services.media_helper import MediaHelper
from chat.services.media_limits import MediaLimits
from chat.services.sandbox.layers import LAYERS

LIMITS = MediaLimits.from_settings()
BENCH_TASKS = (*media_helper.TASK_MODULES, "bench.sandbox_tasks")


@dataclass
class Contestant:
    name: str
    examine: Callable[[Path], object]
    wall: list[float] = field(default_factory=list)
    cpu: float = 0.0
    failed: set[str] = field(default_factory=set)

    def take(self, path: Path) -> None:
        helper = media_helper.media_helper()
        theirs, ours, started = helper.used_cpu_seconds(), own_cpu_seconds(), time.perf_counter()
        try:
            self.examine(path)
        except Exception:  # theirs may fail in any way; that they did is what is counted
            self.failed.add(path.name)
        self.wall.append(time.perf_counter() - started)
        self.cpu += own_cpu_seconds() - ours
        settle()
        self.cpu += helper.used_cpu_seconds() - theirs


def settle() -> None:
    """Wait until the helper has given back what it can and forked its next child: what a call
    leaves to be done belongs to its own CPU time, not to that of whoever comes next."""
    deadline = time.monotonic() + 1
    process = media_helper.media_helper().process_id
    listed = Path(f"/proc/{process}/task/{process}/children")
    while process and len(listed.read_text().split()) != 1 and time.monotonic() < deadline:
        time.sleep(0.001)
    time.sleep(0.002)  # the new one gets ready


def own_cpu_seconds() -> float:
    """Of this process and its ended children."""
    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + ended.ru_utime + ended.ru_stime


def contestants() -> list[Contestant]:
    found = [
        Contestant("ours, libav engine", LibavEngine(LIMITS).examine),
        Contestant("ours, ffmpeg engine", FfmpegEngine(LIMITS).examine),
        Contestant("ffprobe and ffmpeg, bare", others.bare_pair),
        Contestant("MediaCMS, its commands", others.mediacms),
    ]
    try:
        import video_encoding  # noqa: F401

        found.append(Contestant("django-video-encoding 2.0.0", others.django_video_encoding))
    except ImportError:
        print("django-video-encoding is not installed: pip install -r bench/requirements.txt")
    return found


def videos(folder: Path) -> list[Path]:
    """Those files of the folder that are videos, by our own word."""
    engine, found = LibavEngine(LIMITS), []
    for path in sorted(folder.iterdir()):
        with contextlib.suppress(VideoError):
            engine.examine(path)
            found.append(path)
    return found


@contextlib.contextmanager
def silence() -> Iterator[None]:
    """Others' children write to our standard error."""
    kept, nothing = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nothing)


def compare(files: list[Path], rounds: int) -> None:
    all_of_them = contestants()
    with silence():
        for turn in range(rounds):
            for number, path in enumerate(files):
                shift = (turn + number) % len(all_of_them)
                for contestant in all_of_them[shift:] + all_of_them[:shift]:
                    contestant.take(path)
    print(
        f"\nOne video: metadata and a poster.  {len(files)} videos, {rounds} rounds, interleaved."
    )
    print(
        f"{'ms per video':30} {'mean':>7} {'median':>7} {'CPU':>7} {'× mean':>7} {'× CPU':>9}"
        f" {'failed':>7}"
    )
    ours = statistics.mean(all_of_them[0].wall)
    our_cpu = all_of_them[0].cpu / len(all_of_them[0].wall)
    for contestant in all_of_them:
        mean, median = statistics.mean(contestant.wall), statistics.median(contestant.wall)
        cpu = contestant.cpu / len(contestant.wall)
        print(
            f"{contestant.name:30} {mean * 1e3:7.1f} {median * 1e3:7.1f} {cpu * 1e3:7.1f}"
            f" {mean / ours:7.1f} {cpu / our_cpu:9.1f} {len(contestant.failed):7}"
        )


def work(files: list[Path], seconds: float) -> int:
    """How many videos one worker examines in this time."""
    engine, count = LibavEngine(LIMITS), 0
    media_helper.media_helper().known_tasks()
    engine.examine(files[0])
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        engine.examine(files[count % len(files)])
        count += 1
    return count


def scale(files: list[Path], seconds: float) -> None:
    print(f"\nWorkers, each with its own helper, {seconds:g} s:")
    alone = 0.0
    for workers in (1, 2):
        command = [sys.executable, "-m", "bench.media", "--worker", str(seconds)]
        processes = [
            subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
            )
            for _ in range(workers)
        ]
        names = json.dumps([str(path) for path in files]).encode()
        for process in processes:
            assert process.stdin
            process.stdin.write(names)
            process.stdin.close()
        rate = sum(int(process.stdout.read()) for process in processes if process.stdout) / seconds
        for process in processes:
            process.wait()
        alone = alone or rate
        print(f"  {workers}: {rate:6.1f} videos/s  ({rate / alone:.2f} × one)")


def ask(helper: MediaHelper, task: str, path: Path) -> object:
    """A bench task over the file, as ``LibavEngine`` asks for its own."""
    with tempfile.TemporaryDirectory() as name:
        source = Path(name) / "input"
        source.symlink_to(path.resolve())
        parameters = {
            "path": str(source),
            "options": libav_words.input_options(
                LIMITS.bounds.max_pixels, LIMITS.bounds.max_streams
            ),
            "bounds": LIMITS.bounds.to_json(),
        }
        return media_runner.run_task(
            task, parameters, LIMITS.of_a_process, Path(name), source, helper
        )


def layers(path: Path, count: int = 200) -> None:
    print(f"\nAn empty task in a child of its own, layers switched on one by one ({count} each):")
    names = [layer.name for layer in LAYERS]
    helpers = [MediaHelper(2, frozenset(names[:number])) for number in range(len(names) + 1)]
    times: list[list[float]] = [[] for _ in helpers]
    for _ in range(count):
        for helper, taken in zip(helpers, times, strict=True):
            started = time.perf_counter()
            ask(helper, "bench.nothing", path)
            taken.append(time.perf_counter() - started)
    before = 0.0
    for name, helper, taken in zip(["none", *names], helpers, times, strict=True):
        median = statistics.median(taken) * 1e3
        print(f"  {name:20} {median:6.2f} ms median, {median - before:+.2f}")
        before = median
        helper.stop()


def stages(files: list[Path], rounds: int) -> None:
    helper = MediaHelper(2)
    ask(helper, "bench.nothing", files[0])  # its start is no part of a call
    spent: dict[str, list[float]] = {}
    for _ in range(rounds):
        for path in files:
            asked = time.monotonic()
            answer = ask(helper, "bench.stages", path)
            answered = time.monotonic()
            assert isinstance(answer, dict)
            began, ended = answer.pop("began"), answer.pop("ended")
            answer |= {
                "whole call": answered - asked,
                "start: ask, hand over, other layers": began - asked,
                "all in the child": ended - began,
                "end: write, stop, answer, clean up": answered - ended,
            }
            for stage, seconds in answer.items():
                spent.setdefault(stage, []).append(seconds)
    helper.stop()
    count = rounds * len(files)
    print(
        "\nWhere the time of the libav engine goes, ms (mean over all videos; median where it is):"
    )
    for stage, seconds in sorted(spent.items(), key=lambda item: -sum(item[1])):
        mean, median = sum(seconds) / count, statistics.median(seconds)
        print(f"  {stage:36} {mean * 1e3:6.2f} {median * 1e3:6.2f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", type=Path, nargs="?")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--worker", type=float, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        print(work([Path(name) for name in json.load(sys.stdin)], options.worker))
        return
    files = videos(options.folder)
    load = ", ".join(f"{value:.1f}" for value in os.getloadavg())
    print(f"{os.cpu_count()} processors, load {load}; layers: ", end="")
    print(", ".join(f"{n} {s}" for n, s in media_helper.media_helper().layer_states.items()))
    compare(files, options.rounds)
    scale(files, 10)
    media_helper.TASK_MODULES = BENCH_TASKS
    layers(files[0])
    stages(files, options.rounds)


if __name__ == "__main__":
    main()
