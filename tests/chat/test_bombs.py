"""Bombs through both engines: a clean refusal or the truth, within the limits, nothing left.

Each runs with every layer and option; with the sandbox alone; and, where an option is what stops
it, with the options alone.
"""

import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from chat.errors import VideoError
from chat.services import libav_words, media_helper
from chat.services.media_engines import engine_for
from chat.services.media_helper import TASK_MODULES, MediaHelper
from chat.services.media_limits import MediaLimits
from chat.services.sandbox.layers import LAYERS
from chat.services.video_service import VideoProcessingService
from tests import hostile_files as made
from tests.clips import clip
from tests.processes import left_at_work

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the layers are Linux's")

ALL = frozenset(layer.name for layer in LAYERS)
MEGABYTE = 1_000_000
MEMORY_BYTES = 1024**3
WALL_SECONDS = 4
# To start and end children; measured: 0.04 to 0.5 s on two cores under a load of 4.
SLACK_SECONDS = 2
READY = "ready"


@dataclass(frozen=True)
class Bomb:
    """``outcomes`` are the codes that are right, READY among them where the file is a good video
    for all its weight; ``by_option`` tells that the options alone keep it below 150 MB."""

    name: str
    make: Callable[[], bytes]
    outcomes: frozenset[str]
    by_option: bool = True


def bomb(name: str, make: Callable[[], bytes], *outcomes: str, by_option: bool = True) -> Bomb:
    return Bomb(name, make, frozenset(outcomes), by_option)


BOMBS = (
    bomb("60 M samples", made.sample_table, "too_long"),
    bomb("20 M samples", lambda: made.sample_table(20 * made.MILLION), "no_decodable_frame"),
    bomb(
        "60 tracks of 4 M samples",
        lambda: made.sample_table(4 * made.MILLION, tracks=60),
        "too_many_streams",
    ),
    # Each table is below the cap on one allocation: only the memory limit bounds their sum.
    bomb(
        "15 tracks of 2.5 M samples",
        lambda: made.sample_table(5 * made.MILLION // 2, tracks=15),
        "no_decodable_frame",
        "memory_limit",
        "time_limit",
        by_option=False,
    ),
    bomb("1,200 M samples in fragments", made.fragment_runs, "memory_limit"),
    bomb("2 GB of compressed header", made.compressed_header, "memory_limit"),
    bomb("a comment of 50 MB", made.long_comment, READY, "memory_limit", by_option=False),
    bomb("a million tags", made.many_tags, READY, "memory_limit", by_option=False),
    bomb("60 tracks", lambda: made.film(made.png(64, 64), tracks=60), "too_many_streams"),
    bomb(
        "900 tracks",
        lambda: made.film(made.png(64, 64), tracks=900, samples=1),
        "too_many_streams",
    ),
    bomb("2,000 pictures of 13,000²", made.large_pictures, "too_many_pixels"),
    bomb("H.264 of 8,192²", made.large_h264, "too_many_pixels"),
    bomb("a GIF canvas of 16,000²", made.wide_gif, "unsupported_container", "too_many_pixels"),
    bomb("13,000² said to be 64²", made.said_to_be_small, "too_many_pixels"),
    bomb("64² said to be 65,535²", made.said_to_be_large, READY),
    bomb("two frames 10 h apart", lambda: made.two_frames(10), "too_long"),
    bomb("two frames 2½ h apart", lambda: made.two_frames(2.5), READY),
    bomb("1,000 frames a second", made.thousand_a_second, READY),
    bomb("10 h at 1 frame a second", lambda: made.one_a_second(10), "too_long"),
    bomb("5 h at 1 frame a second", lambda: made.one_a_second(5), READY),
    bomb("said to last for weeks", made.said_to_last_for_weeks, READY),
)


@pytest.fixture(params=["libav", "ffmpeg"], autouse=True)
def _engine(request, settings) -> None:
    settings.MEDIA_ENGINE = request.param
    settings.MEDIA_WALL_SECONDS = WALL_SECONDS
    settings.MEDIA_MEMORY_BYTES = MEMORY_BYTES


@pytest.fixture(scope="module")
def bombs(tmp_path_factory) -> Callable[[Bomb], Path]:
    """The file of a bomb, made once."""
    folder = tmp_path_factory.mktemp("bombs")

    def path(bomb: Bomb) -> Path:
        file = folder / str(BOMBS.index(bomb))
        if not file.exists():
            file.write_bytes(bomb.make())
        return file

    return path


@pytest.fixture(scope="module")
def helpers() -> Iterator[Callable[[frozenset[str]], MediaHelper]]:
    """One helper for each set of layers."""
    started: dict[frozenset[str], MediaHelper] = {}

    def of(layers: frozenset[str]) -> MediaHelper:
        return started.setdefault(layers, MediaHelper(2, layers))

    yield of
    for helper in started.values():
        helper.stop()


@pytest.fixture(scope="module")
def unbounded() -> Iterator[MediaHelper]:
    """All layers, and no cap on libav's allocations in the children."""
    helper = MediaHelper(2, ALL)
    with pytest.MonkeyPatch.context() as patch:
        modules = (*TASK_MODULES, "tests.unbounded_tasks")
        patch.setattr(media_helper, "TASK_MODULES", modules)
        helper.known_tasks()
    assert "unbounded_tasks" not in helper.unavailable
    yield helper
    helper.stop()


def outcome(path: Path, helper: MediaHelper, scratch: Path) -> str:
    """What becomes of the file; whatever it is, all is as it was before."""
    helper.known_tasks()
    helpers_before, started = helper.counts.helpers_started, time.monotonic()
    helper.counts.max_rss_bytes = 0
    try:
        found = VideoProcessingService().examine(path)
        code = READY
        assert found.metadata.width <= 64
        assert found.metadata.frame_rate is None or found.metadata.frame_rate > 0
        assert found.metadata.duration is None or found.metadata.duration < 6 * 3600
        assert found.poster.jpeg
    except VideoError as error:
        code = error.code
    # The time, twice the time for the second chance, and what it takes to start and end children.
    assert time.monotonic() - started < 3 * WALL_SECONDS + SLACK_SECONDS
    assert list(scratch.iterdir()) == []
    assert left_at_work(helper.process_id) == []
    assert helper.counts.helpers_started == helpers_before
    return code


@pytest.mark.parametrize("bomb", BOMBS, ids=lambda bomb: bomb.name)
def test_with_every_layer_and_option(bomb, bombs, helpers, scratch, monkeypatch):
    helper = helpers(ALL)
    monkeypatch.setattr(media_helper, "_helper", helper)
    assert outcome(bombs(bomb), helper, scratch) in bomb.outcomes
    assert helper.counts.max_rss_bytes < MEMORY_BYTES


@pytest.mark.parametrize("bomb", BOMBS, ids=lambda bomb: bomb.name)
def test_with_the_sandbox_alone(bomb, bombs, unbounded, scratch, monkeypatch):
    """Without options the tool may get further, but never past the limits of its process."""
    helper = unbounded
    monkeypatch.setattr(media_helper, "_helper", helper)
    monkeypatch.setattr(libav_words, "input_options", lambda *_limits: {})
    monkeypatch.setattr(libav_words, "MAX_ALLOC_BYTES", 2**31 - 1)
    more = {"memory_limit", "time_limit"} if bomb.outcomes != {READY} else set()
    assert outcome(bombs(bomb), helper, scratch) in bomb.outcomes | more
    assert helper.counts.max_rss_bytes < MEMORY_BYTES


@pytest.mark.parametrize(
    "bomb", [bomb for bomb in BOMBS if bomb.by_option], ids=lambda bomb: bomb.name
)
def test_with_the_options_alone(bomb, bombs, helpers, scratch, monkeypatch):
    helper = helpers(frozenset())
    monkeypatch.setattr(media_helper, "_helper", helper)
    assert outcome(bombs(bomb), helper, scratch) in bomb.outcomes
    assert helper.counts.max_rss_bytes < 150 * MEGABYTE


FILMS = {  # and how long they last, in seconds
    "two frames 10 h apart": (lambda: made.two_frames(10), 72_000),
    "10 h at 1 frame a second": (lambda: made.one_a_second(10), 36_000),
    "1,000 frames a second": (made.thousand_a_second, 10),
}


@pytest.mark.parametrize("film", FILMS)
@pytest.mark.parametrize("defence", ["options alone", "sandbox alone"])
def test_a_storyboard_of_ten_hours(
    film, defence, helpers, unbounded, scratch, tmp_path, settings, monkeypatch
):
    """Of key frames only, however long it lasts: within the time of one."""
    settings.VIDEO_MAX_DURATION_SECONDS = 21 * 3600
    helper = unbounded if defence == "sandbox alone" else helpers(frozenset())
    monkeypatch.setattr(media_helper, "_helper", helper)
    if defence == "sandbox alone":
        monkeypatch.setattr(libav_words, "input_options", lambda *_limits: {})
    path = tmp_path / "film.mp4"
    make, seconds = FILMS[film]
    path.write_bytes(make())
    helper.known_tasks()
    limits = MediaLimits.from_settings()
    with tempfile.TemporaryDirectory() as directory:
        board = engine_for(limits.of_work(limits.storyboard)).write_storyboard(
            path, Path(directory)
        )
    assert board
    assert 1 <= len(board.cues) <= 100
    assert board.cues[-1].end == pytest.approx(seconds, rel=0.01)
    assert helper.counts.max_rss_bytes < MEMORY_BYTES
    assert left_at_work(helper.process_id) == []
    assert list(scratch.iterdir()) == []


@pytest.mark.parametrize("wall_seconds", [0.3, 1.0])
def test_a_second_chance_takes_twice_as_long_and_no_more(
    wall_seconds, scratch, settings, monkeypatch, tmp_path
):
    """Over a file that no machine is ever done with."""
    tool = tmp_path / "ffprobe"
    tool.write_text("#!/bin/sh\nexec sleep 3600\n")
    tool.chmod(0o755)
    settings.FFPROBE_BINARY = str(tool)
    settings.MEDIA_WALL_SECONDS = wall_seconds
    monkeypatch.setattr(media_helper, "TASK_MODULES", ("tests.sleeping_tasks",))
    helper = MediaHelper(2, frozenset({"limits"}))
    monkeypatch.setattr(media_helper, "_helper", helper)
    helper.known_tasks()
    started = time.monotonic()
    with pytest.raises(VideoError) as caught:
        VideoProcessingService().examine(clip())
    took = time.monotonic() - started
    helper.stop()
    assert (caught.value.code, caught.value.permanent) == ("time_limit", True)
    assert 3 * wall_seconds <= took < 3 * wall_seconds + SLACK_SECONDS
