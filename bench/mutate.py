"""``make fuzz N=10000 SEED=1``: mutated files through both engines, contained or it fails.

Whatever a file does to a decoder, the helper and this process live on, nothing runs past its
limit and nothing is left.  ``--replay INDEX`` writes one file again and shows what becomes of it.
"""

import argparse
import contextlib
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from django.conf import settings

import bench.ready  # noqa: F401  (before what needs Django)
from bench.mutations import Mutation, mutation
from chat.errors import VideoError
from chat.services.ffmpeg_engine import FfmpegEngine
from chat.services.libav_engine import LibavEngine
from chat.services.media_engines import refuse_unreadable
from chat.services.media_helper import media_helper
from chat.services.media_limits import MediaLimits, with_second_chance
from tests.clips import clip
from tests.engine_differences import AAC, AV1, H264, H265, MP3, OPUS, VORBIS, VP9, corpus_files
from tests.processes import left_at_work

ENGINES = ("libav", "ffmpeg")
BATCH = 10
LOG_EACH_FILES = 500
MAX_SOURCE_BYTES = 400_000
GRACE_SECONDS = 3.0  # beyond the wall-clock limit, for a busy machine
SMALL = "testsrc=size=128x96:rate=25:duration=0.6"
# The same bytes each time, without random numbers of a muxer.
EXACT = ("-fflags", "+bitexact", "-flags:v", "+bitexact", "-flags:a", "+bitexact", "-threads", "1")
CLIPS: dict[str, tuple[str, ...]] = {
    "a.mp4": (*H264, *AAC),
    "b.mp4": (*H264, *AAC, "-movflags", "frag_keyframe+empty_moov"),
    "c.mp4": (*H265, *AAC),
    "d.mp4": (*AV1, *AAC),
    "e.mov": ("-c:v", "mjpeg", "-c:a", "pcm_s16le"),
    "f.mkv": (*H264, *VORBIS),
    "g.webm": ("-c:v", "libvpx", *VORBIS),
    "h.webm": (*VP9, *OPUS),
    "i.avi": ("-c:v", "mpeg4", *MP3),
    "j.flv": ("-c:v", "flv1", *MP3, "-ar", "44100"),
    "k.wmv": ("-c:v", "wmv2", "-c:a", "wmav2"),
    "l.ts": ("-c:v", "mpeg2video", "-c:a", "mp2"),
    "m.mpg": ("-c:v", "mpeg1video", "-c:a", "mp2"),
    "n.ogv": ("-c:v", "libtheora", *VORBIS),
}


@dataclass
class Trial:
    """One file in one engine."""

    found: Mutation
    engine: str
    outcome: str = ""
    seconds: float = 0.0
    failure: str = ""


@dataclass
class Report:
    """What became of so many files, by engine."""

    files: int = 0
    outcomes: dict[str, Counter[str]] = field(
        default_factory=lambda: {engine: Counter() for engine in ENGINES}
    )
    worst_seconds: tuple[float, int, str] = (0.0, 0, "")  # seconds, index, engine
    failures: list[str] = field(default_factory=list)

    def add(self, trial: Trial) -> None:
        found = trial.found
        self.outcomes[trial.engine][trial.outcome] += 1
        self.worst_seconds = max(self.worst_seconds, (trial.seconds, found.index, trial.engine))
        if trial.failure:
            how = f"{trial.engine}, {found.source} after {', '.join(found.steps)}"
            self.failures.append(f"{found.index} ({how}): {trial.failure}")


def sources() -> list[tuple[str, bytes]]:
    """Small clips of several containers, and the small files of the corpus when present."""
    own = [(name, clip(name, *options, *EXACT, source=SMALL)) for name, options in CLIPS.items()]
    others = [(name, path) for name, path in corpus_files()]
    small = [(n, p) for n, p in [*own, *others] if p.stat().st_size <= MAX_SOURCE_BYTES]
    return [(name, path.read_bytes()) for name, path in small]


def run(seed: int, indices: Sequence[int]) -> Report:
    """Each file through both engines, a batch at a time, with nothing of it left.  Ctrl-C ends
    it with the report of the batches that were done."""
    report, originals = Report(), sources()
    with ThreadPoolExecutor(4) as pool, contextlib.suppress(KeyboardInterrupt):
        for start in range(0, len(indices), BATCH):
            batch = indices[start : start + BATCH]
            try_batch([mutation(seed, index, originals) for index in batch], report, pool)
            report.files += len(batch)
            progress(report.files, len(indices))
    return report


def try_batch(batch: list[Mutation], report: Report, pool: ThreadPoolExecutor) -> None:
    helper = media_helper()
    helper.known_tasks()
    process = helper.process_id
    with tempfile.TemporaryDirectory() as folder, scratch_directory() as scratch:
        work = []
        for found in batch:
            path = Path(folder) / str(found.index)
            path.write_bytes(found.content)
            work += [(found, path, engine) for engine in ENGINES]
        for trial in pool.map(try_one, work):
            report.add(trial)
        left = [str(file) for file in scratch.rglob("*")]
    indices = f"{batch[0].index} to {batch[-1].index}"
    if helper.process_id != process:
        report.failures.append(f"{indices}: the helper died")
    if left:
        report.failures.append(f"{indices}: left {left}")
    if running := left_at_work(helper.process_id):
        report.failures.append(f"{indices}: left processes {running}")


@contextlib.contextmanager
def scratch_directory() -> Iterator[Path]:
    """Where temporary files go meanwhile, to see what is left of them."""
    with tempfile.TemporaryDirectory() as folder:
        before, tempfile.tempdir = tempfile.tempdir, folder
        try:
            yield Path(folder)
        finally:
            tempfile.tempdir = before


def try_one(work: tuple[Mutation, Path, str]) -> Trial:
    found, path, engine = work
    started = time.monotonic()
    trial = Trial(found, engine)
    try:
        trial.outcome = outcome(path, engine)
    except Exception as error:  # anything but a VideoError is what is looked for here
        trial.outcome = "failure"
        trial.failure = f"raised {type(error).__name__}: {error}"
    trial.seconds = time.monotonic() - started
    if trial.seconds > settings.MEDIA_WALL_SECONDS + GRACE_SECONDS:
        trial.failure = f"took {trial.seconds:.1f} s"
    return trial


def outcome(path: Path, engine: str) -> str:
    engines: dict[str, type[LibavEngine] | type[FfmpegEngine]]
    engines = {"libav": LibavEngine, "ffmpeg": FfmpegEngine}
    try:
        refuse_unreadable(path)
        limits = MediaLimits.from_settings()
        found = with_second_chance(limits, lambda given: engines[engine](given).examine(path))
    except VideoError as error:
        if error.code == "decoder_crashed":
            # By a signal ("ended by SIGSEGV: …"), or by an exception at the end of a traceback.
            by_signal = error.detail.startswith("ended by")
            said = error.detail if by_signal else error.detail.rstrip().rpartition("\n")[2]
            return f"decoder_crashed ({said.partition(':')[0]})"
        return error.code
    duration = found.metadata.duration
    if duration is not None and not 0 < duration <= settings.VIDEO_MAX_DURATION_SECONDS:
        raise ValueError(f"a duration of {duration}")
    return "ready"


def progress(done: int, count: int) -> None:
    """On a terminal in one line that changes; in a log a line now and then."""
    on_terminal = sys.stderr.isatty()
    if on_terminal or done % LOG_EACH_FILES == 0:
        start, end = ("\r", "\n" if done == count else "") if on_terminal else ("", "\n")
        print(f"{start}{done} of {count}", end=end, file=sys.stderr, flush=True)


def lines(report: Report, seed: int) -> Iterator[str]:
    counts = media_helper().counts
    seconds, index, engine = report.worst_seconds
    yield f"{report.files} files of seed {seed}, through {' and '.join(ENGINES)}"
    for name, outcomes in report.outcomes.items():
        yield f"  {name}: " + ", ".join(f"{code} {n}" for code, n in outcomes.most_common())
    yield f"  worst time {seconds:.2f} s (file {index}, {engine})"
    yield f"  worst memory of a child {counts.max_rss_bytes / 1e6:.0f} MB"
    yield f"  children {counts.children}, ended by a signal {counts.children_killed}"
    yield f"  helpers started {counts.helpers_started} (1 is right)"
    yield f"  failures {len(report.failures)}"
    for failure in report.failures:
        yield f"    seed {seed} index {failure}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("count", type=int, nargs="?", default=10_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--replay", type=int, help="do this index alone, and keep its file")
    options = parser.parse_args()
    indices = range(options.count) if options.replay is None else [options.replay]
    if options.replay is not None:
        found = mutation(options.seed, options.replay, sources())
        kept = Path(f"mutation-{options.seed}-{options.replay}")
        kept.write_bytes(found.content)
        print(f"{kept}: {found.source} after {', '.join(found.steps)}")
    report = run(options.seed, indices)
    print("\n".join(lines(report, options.seed)))
    sys.exit(bool(report.failures) or report.files < len(indices))


if __name__ == "__main__":
    main()
