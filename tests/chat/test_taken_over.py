"""A decoder that was taken over, and a tool that never ends: whatever they do ends within the
limits, with nothing left."""

import contextlib
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from chat.errors import VideoError
from chat.services import media_helper, media_runner
from chat.services.media_helper import MediaHelper
from chat.services.sandbox.layers import LAYERS, Limits
from tests.hostile_tasks import NAME
from tests.processes import left_at_work

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the layers are Linux's")

ALL = frozenset(layer.name for layer in LAYERS)
MEGABYTE = 1_000_000
# What ends most of them is another limit than the clock, whatever the machine's speed.
LIMITS = Limits(wall_seconds=20, cpu_seconds=1, memory_bytes=1024**3, output_bytes=10 * MEGABYTE)
BRIEF = replace(LIMITS, wall_seconds=1)


@pytest.fixture
def taken_over(request, monkeypatch) -> Iterator[MediaHelper]:
    monkeypatch.setattr(media_helper, "TASK_MODULES", ("tests.hostile_tasks",))
    helper = MediaHelper(2, request.param)
    yield helper
    helper.stop()


@pytest.mark.parametrize(
    ("taken_over", "task", "limits", "code"),
    [
        (ALL, "spin", LIMITS, "time_limit"),
        (ALL, "spin_in_a_fork", LIMITS, "decoder_crashed"),  # seccomp: the fork fails
        (ALL, "write_200_megabytes", LIMITS, "output_limit"),
        # The limits alone, and none at all: the helper's clock and its hold on the session.
        ({"limits"}, "spin", LIMITS, "time_limit"),
        ({"limits"}, "write_200_megabytes", LIMITS, "output_limit"),
        (frozenset(), "spin", BRIEF, "time_limit"),
        (frozenset(), "spin_in_a_fork_that_is_waited_for", BRIEF, "time_limit"),
    ],
    indirect=["taken_over"],
)
def test_a_task_that_was_taken_over_is_ended(task, limits, code, taken_over, scratch):
    with tempfile.TemporaryDirectory() as directory:
        source = Path(directory) / "input"
        source.touch()
        with pytest.raises(VideoError) as caught:
            media_runner.run_task(task, {}, limits, Path(directory), source, taken_over)
        assert caught.value.code == code
        size = sum(file.stat().st_size for file in Path(directory).iterdir())
    assert size <= LIMITS.output_bytes + MEGABYTE
    assert left_at_work(taken_over.process_id) == []
    assert not spinning(taken_over)
    assert taken_over.counts.helpers_started == 1
    assert list(scratch.iterdir()) == []


@pytest.mark.parametrize("taken_over", [frozenset(), {"limits"}], indirect=True)
def test_a_spinner_that_was_left_behind_is_ended_with_its_parent(taken_over, tmp_path):
    """Without seccomp the fork succeeds, and the task ends well."""
    source = tmp_path / "input"
    source.touch()
    media_runner.run_task("spin_in_a_fork", {}, LIMITS, tmp_path, source, taken_over)
    assert not spinning(taken_over)


def spinning(helper: MediaHelper) -> bool:
    """Whether a spinner of the hostile tasks still runs in the helper's session a second later."""
    deadline = time.monotonic() + 1
    session = helper.process_id
    assert session
    while any(is_a_spinner(path, session) for path in Path("/proc").glob("[0-9]*/stat")):
        if time.monotonic() > deadline:
            return True
        time.sleep(0.01)
    return False


def is_a_spinner(stat: Path, session: int) -> bool:
    try:
        name, _, rest = stat.read_text().partition("(")[2].rpartition(")")
    except OSError:  # it has ended
        return False
    state, _parent, _group, its_session = rest.split()[:4]
    return name == NAME and state != "Z" and int(its_session) == session


@pytest.mark.parametrize("task", ["answer_with_a_link", "answer_with_a_pipe"])
@pytest.mark.parametrize("layers", [ALL, frozenset({"limits"})], ids=["all layers", "limits"])
def test_an_answer_that_is_no_file_is_none(task, layers, scratch, monkeypatch, tmp_path):
    """With every layer the link cannot be made; without Landlock it is not followed."""
    target = tmp_path / "target"
    target.write_text('"of another user"')
    monkeypatch.setattr(media_helper, "TASK_MODULES", ("tests.hostile_tasks",))
    helper = MediaHelper(2, layers)
    with tempfile.TemporaryDirectory() as directory:
        source = Path(directory) / "input"
        source.touch()
        with pytest.raises(VideoError) as caught:
            media_runner.run_task(
                task, {"target": str(target)}, LIMITS, Path(directory), source, helper
            )
    helper.stop()
    assert caught.value.code == "decoder_crashed"


@pytest.fixture(scope="module")
def helper() -> Iterator[MediaHelper]:
    """With every layer."""
    helper = MediaHelper(2, ALL)
    yield helper
    helper.stop()


@pytest.mark.parametrize(
    "output", [["-f", "null", "-"], ["-f", "rawvideo", "file:large"], ["-f", "rawvideo", "-"]]
)
def test_a_tool_that_never_ends_is_ended(output, helper, scratch):
    endless = ["ffmpeg", "-v", "error", "-f", "lavfi", "-i", "testsrc=size=1280x720", *output]
    with tempfile.TemporaryDirectory() as directory:
        with contextlib.suppress(VideoError):
            ended = media_runner.run(endless, LIMITS, Path(directory), helper=helper)
            assert ended.returncode  # ffmpeg gives up by itself where a file may not grow
        assert sum(file.stat().st_size for file in Path(directory).iterdir()) < 25 * MEGABYTE
    assert left_at_work(helper.process_id) == []
    assert list(scratch.iterdir()) == []
