"""Calling off what a media child does: a long transcode, one that waits for a place, and none."""

import signal
import sys
import threading
import time

import pytest

from chat.rendition import Rendition
from chat.services import media_runner
from chat.services.interruption import Interrupted, interruptible
from chat.services.media_helper import MediaHelper, media_helper
from chat.services.media_limits import MediaLimits
from chat.services.renditions import PREVIEW, Renderer
from chat.services.sandbox.layers import Limits
from chat.services.scratch import scratch_folder
from chat.services.video_service import VideoProcessingService
from tests.chat.test_sandbox import ALL, is_running, running_children, wait_until
from tests.clips import clip

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")

LIMITS = Limits(wall_seconds=60, cpu_seconds=60, memory_bytes=1024**3, output_bytes=10**8)
STOPS_WITHIN_SECONDS = 3.0


@pytest.fixture
def helper():
    one = MediaHelper(1, ALL)
    one.known_tasks()
    yield one
    one.stop()


@pytest.mark.django_db(transaction=True)
def test_a_running_transcode_ends_when_its_caller_says_so(legacy_video, scratch, stored_files):
    source = "testsrc2=size=1280x720:rate=30:duration=40"
    path = clip("long.avi", "-c:v", "mpeg4", "-q:v", "3", source=source, audio=False)
    attachment = legacy_video(path)
    assert VideoProcessingService().process_video_attachment(attachment).ok
    attachment.refresh_from_db()
    before = stored_files()
    children: list[int] = []
    said: list[float] = []

    def stop() -> bool:
        """As soon as the transcoder has written something."""
        if any(file.stat().st_size for file in scratch.rglob("preview.mp4")):
            children.extend(running_children(media_helper()))
            said.append(time.monotonic())
        return bool(said)

    with pytest.raises(Interrupted), interruptible(stop, every_seconds=0.1):
        Renderer((PREVIEW,)).prepare(attachment)
    assert time.monotonic() - said[0] < STOPS_WITHIN_SECONDS
    assert children
    assert not any(is_running(pid) for pid in children)
    assert len(said) == 1  # what is stopped stays so, without being asked again
    assert list(scratch.iterdir()) == []
    assert stored_files() == before
    assert not Rendition.objects.exists()
    # Nothing of it stays: the same may be asked for, here and by this helper.
    assert VideoProcessingService(MediaLimits.from_settings()).extract_video_metadata(path).width


def test_nothing_is_started_once_stopped(helper, tmp_path):
    with pytest.raises(Interrupted), interruptible(lambda: True):
        media_runner.run(["/bin/touch", "made"], LIMITS, tmp_path, helper=helper)
    assert not (tmp_path / "made").exists()


def test_what_waits_for_a_place_is_never_started(helper, tmp_path):
    """One child at a time: the second call is told to stop before its turn."""
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
    free = threading.Event()

    def first() -> None:
        with pytest.raises(Interrupted), interruptible(free.is_set, every_seconds=0.05):
            media_runner.run(["/bin/sleep", "60"], LIMITS, tmp_path / "first", helper=helper)

    thread = threading.Thread(target=first)
    thread.start()
    wait_until(lambda: running_children(helper), "nothing was started")
    asked = iter((False, False, True))
    with pytest.raises(Interrupted), interruptible(lambda: next(asked), every_seconds=0.05):
        media_runner.run(["/bin/touch", "made"], LIMITS, tmp_path / "second", helper=helper)
    free.set()
    thread.join(STOPS_WITHIN_SECONDS)
    assert not thread.is_alive()
    ended = media_runner.run(["/bin/true"], LIMITS, tmp_path / "second", helper=helper)
    assert ended.returncode == 0
    assert not (tmp_path / "second" / "made").exists()


def test_the_question_is_asked_as_often_as_was_said(helper, tmp_path):
    """It may cost a query; a probe takes a hundredth of a second."""
    asked = []
    with interruptible(lambda: bool(asked.append(time.monotonic())), every_seconds=30):
        for _ in range(5):
            media_runner.run(["/bin/true"], LIMITS, tmp_path, helper=helper)
    assert len(asked) == 1


def test_what_the_question_raises_ends_the_child_too(helper, tmp_path):
    def question() -> bool:
        if running_children(helper):
            raise ConnectionError("the database is gone")
        return False

    with pytest.raises(ConnectionError), interruptible(question, every_seconds=0.05):
        media_runner.run(["/bin/sleep", "60"], LIMITS, tmp_path, helper=helper)
    wait_until(lambda: not running_children(helper), "the child outlived the question")


def test_other_threads_go_on(helper, tmp_path):
    ended = []

    def other() -> None:
        ended.append(media_runner.run(["/bin/true"], LIMITS, tmp_path, helper=helper).returncode)

    with interruptible(lambda: True):
        thread = threading.Thread(target=other)
        thread.start()
        thread.join(30)
    assert ended == [0]


@pytest.mark.parametrize("attempt", range(5))
def test_a_signal_that_ends_the_wait_ends_the_child_before_its_folder_goes(
    helper, scratch, attempt
):
    """Ctrl-C while the tool writes: the interruption comes out, not what it would trip over."""

    def interrupted(_signum, _frame):
        raise KeyboardInterrupt

    write = 'i=0; while :; do : > "f$i"; i=$((i+1)); done'
    before = signal.signal(signal.SIGALRM, interrupted)
    try:
        with pytest.raises(KeyboardInterrupt), scratch_folder() as folder:  # noqa: PT012
            signal.setitimer(signal.ITIMER_REAL, 0.3)
            media_runner.run(["/bin/sh", "-c", write], LIMITS, folder, helper=helper)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert not running_children(helper)
    assert list(scratch.iterdir()) == []
