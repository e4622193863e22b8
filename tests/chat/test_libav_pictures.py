"""How much ``LibavMedia`` decodes for a picture, and which picture it is."""

from fractions import Fraction
from pathlib import Path

import pytest

from chat.services.sandbox.libav_media import LibavMedia
from tests.clips import clip

# Key frames every two seconds, and pictures that are held back for those shown before them.
SOURCE = "testsrc=size=320x240:rate=25:duration=8"
CODECS = {
    "h264.mp4": ("-c:v", "libx264", "-pix_fmt", "yuv420p", "-bf", "3", "-g", "50"),
    "h264.ts": ("-c:v", "libx264", "-pix_fmt", "yuv420p", "-bf", "3", "-g", "50"),
    "h265.mp4": (
        *("-c:v", "libx265", "-preset", "ultrafast", "-pix_fmt", "yuv420p"),
        *("-x265-params", "log-level=none:bframes=3:keyint=50:min-keyint=50:open-gop=0"),
    ),
    "mpeg2.mpg": ("-c:v", "mpeg2video", "-bf", "2", "-g", "50", "-q:v", "5"),
    "vp9.webm": ("-c:v", "libvpx-vp9", "-deadline", "realtime", "-cpu-used", "8", "-g", "50"),
}
SOUGHT_BY_BYTES = ("h264.ts", "mpeg2.mpg")


@pytest.fixture(params=CODECS)
def path(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)  # where the log of a child would be
    exact = () if request.param == "vp9.webm" else ("-sc_threshold", "0")
    return clip(request.param, *CODECS[request.param], *exact, source=SOURCE, audio=False)


def seconds_in(media: LibavMedia, time_stamp: int) -> float:
    start = media.stream.start_time or 0
    return float((time_stamp - start) * (media.stream.time_base or Fraction(0)))


def test_a_key_frame_comes_without_the_ones_after_it(path: Path) -> None:
    with LibavMedia(str(path), {}) as media:
        media.probe()
        picture = media._picture(4.5, key_frames_only=True)
        assert picture is not None
        assert picture.key_frame
        at = seconds_in(media, picture.pts)
        if path.name in SOUGHT_BY_BYTES:
            assert 4.0 <= at <= 6.1  # they are sought by bytes: the key frame before or after
        else:
            assert at == pytest.approx(4.0, abs=0.1)
        after = next(packet for packet in media.container.demux(media.stream) if packet.pts)
        assert seconds_in(media, after.pts) < at + 0.5  # two seconds would be the next one


def test_the_first_picture_needs_no_second_opening(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with LibavMedia(str(path), {}) as media:
        media.probe()
        monkeypatch.setattr(media, "reopen", lambda: pytest.fail("it was opened again"))
        picture = media.first_picture()
        assert picture is not None
        assert seconds_in(media, picture.pts) == pytest.approx(0.0, abs=0.1)


def test_a_picture_in_the_middle_is_near_its_time(path: Path) -> None:
    with LibavMedia(str(path), {}) as media:
        media.probe()
        picture = media._picture(5.2, key_frames_only=False)
        assert picture is not None
        waits = path.name in SOUGHT_BY_BYTES  # for the next key frame
        assert seconds_in(media, picture.pts) == pytest.approx(5.2, abs=0.85 if waits else 0.25)


def test_two_points_behind_one_key_frame_are_one_picture(path: Path) -> None:
    with LibavMedia(str(path), {}) as media:
        media.probe()
        first, second, other = (
            media._picture(seconds, key_frames_only=True) for seconds in (4.5, 5.5, 6.5)
        )
        assert first is second
        assert other is not first
