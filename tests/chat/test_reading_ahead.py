"""The next video is read while the last one is stored."""

import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.db.models.fields.files import FieldFile

from chat.models import Attachment
from chat.services import video_service
from chat.services.media_helper import MediaHelper, media_helper
from chat.services.media_limits import MediaLimits
from chat.services.poster import Poster
from chat.services.reading_ahead import Reader
from chat.services.video_service import VideoProcessingService
from tests.chat.test_sandbox import running_children, wait_until
from tests.clips import clip

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc"),
]
MakeVideo = Callable[..., Attachment]


def readers() -> list[str]:
    names = (thread.name for thread in threading.enumerate())
    return [name for name in names if name.startswith("reader")]


def long_video() -> Path:
    """Half a second and more for a child: all black, so that many pictures are looked at."""
    return clip(
        "black.mp4", "-c:v", "libx264", "-g", "500",
        source="color=black:size=1920x1080:rate=30:duration=20", audio=False,
    )  # fmt: skip


def test_the_next_one_is_read_while_this_one_is_stored(
    legacy_video: MakeVideo, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = legacy_video(), legacy_video()
    service = VideoProcessingService()
    service.examine(clip())  # the helper is up
    before = media_helper().counts.children
    store = video_service.store_poster
    read_meanwhile: list[bool] = []

    def slowly(poster: Poster) -> str:
        children = media_helper().counts
        wait_until(lambda: children.children == before + 2, "the second was not read")
        read_meanwhile.append(True)
        return store(poster)

    monkeypatch.setattr(video_service, "store_poster", slowly)
    service.expect(first)
    service.expect(second)
    assert service.prepare(first).ok
    monkeypatch.setattr(video_service, "store_poster", store)
    assert read_meanwhile == [True]
    assert service.prepare(second).ok
    assert media_helper().counts.children == before + 2  # nothing was read twice
    assert not readers()


def test_one_child_at_a_time(legacy_video: MakeVideo, monkeypatch: pytest.MonkeyPatch) -> None:
    videos = [legacy_video() for _ in range(6)]
    exchange = MediaHelper._exchange
    running, counted = threading.Semaphore(1), []

    def alone(helper: MediaHelper, request: dict[str, Any], patience: float) -> Any:
        counted.append(running.acquire(blocking=False))
        try:
            return exchange(helper, request, patience)
        finally:
            running.release()

    monkeypatch.setattr(MediaHelper, "_exchange", alone)
    service = VideoProcessingService()
    for video in videos:
        service.expect(video)
    assert all(service.prepare(video).ok for video in videos)
    assert counted == [True] * 6


def test_what_is_called_off_leaves_nothing(legacy_video: MakeVideo, scratch: Path) -> None:
    path = long_video()
    service = VideoProcessingService()
    for _ in range(2):
        service.expect(legacy_video(path))
    wait_until(lambda: bool(running_children(media_helper())), "nothing was begun")
    service.close()
    assert not running_children(media_helper())
    assert not readers()
    assert list(scratch.iterdir()) == []
    assert service.prepare(legacy_video()).ok


def test_another_one_than_expected(legacy_video: MakeVideo) -> None:
    expected, wanted = legacy_video(), legacy_video()
    service = VideoProcessingService()
    service.expect(expected)
    assert service.prepare(wanted).ok
    assert service.prepare(expected).ok
    assert not readers()


def test_a_file_that_is_not_there_is_missed_when_it_is_its_turn(legacy_video: MakeVideo) -> None:
    gone, there = legacy_video(), legacy_video()
    Path(gone.file.path).unlink()
    service = VideoProcessingService()
    service.expect(gone)
    service.expect(there)
    error = service.prepare(gone).error
    assert error
    assert error.code == "missing_file"
    assert service.prepare(there).ok


def test_a_broken_one_stops_no_other(legacy_video: MakeVideo, tmp_path: Path) -> None:
    broken = tmp_path / "broken.mp4"
    broken.write_text("not a video")
    bad, good = legacy_video(broken), legacy_video()
    service = VideoProcessingService()
    service.expect(bad)
    service.expect(good)
    error = service.prepare(bad).error
    assert error
    assert error.code == "not_a_video"
    assert service.prepare(good).ok


def test_a_copy_of_a_file_stored_elsewhere_goes_when_it_was_read(
    legacy_video: MakeVideo, scratch: Path, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on S3: the storage has no paths."""
    videos = [legacy_video() for _ in range(2)]
    settings.FILE_UPLOAD_TEMP_DIR = str(scratch)

    def no_path(_file: FieldFile) -> str:
        raise NotImplementedError

    with monkeypatch.context() as patched:
        patched.setattr(FieldFile, "path", property(no_path))
        service = VideoProcessingService()
        for video in videos:
            service.expect(video)
        assert len(list(scratch.glob("tmp*"))) == 2
        assert service.prepare(videos[0]).ok
        assert len(list(scratch.glob("tmp*"))) == 1
        service.close()
    assert list(scratch.iterdir()) == []


def test_what_was_begun_ends_within_its_limits(legacy_video: MakeVideo, settings: Any) -> None:
    settings.MEDIA_WALL_SECONDS = 0.001
    service = VideoProcessingService(MediaLimits.from_settings())
    videos = [legacy_video(), legacy_video()]
    for video in videos:
        service.expect(video)
    for video in videos:
        error = service.prepare(video).error
        assert error
        assert error.code == "time_limit"


def test_a_reader_that_is_closed_begins_nothing() -> None:
    reader = Reader(VideoProcessingService().examine)
    reader.close()
    with pytest.raises(RuntimeError):
        reader.begin(clip())
