"""Previews of real clips, by real ffmpeg."""

import io
from pathlib import Path

import pytest
from PIL import Image, ImageStat

from chat.services.renditions import PREVIEW, STORYBOARD, missing
from chat.services.video_service import VideoProcessingService
from tests.chat.renditions import MPEG4, Kind, cues, make, probed
from tests.clips import clip, rotated

pytestmark = [pytest.mark.django_db(transaction=True)]


def test_no_preview_of_what_browsers_play(ready):
    attachment = ready(clip("plain.mp4"))
    row = make(attachment, PREVIEW)[Kind.PREVIEW]
    assert (row.file.name, row.failure_code) == ("", "")
    assert not missing(attachment, [PREVIEW])


def test_a_preview_of_what_is_too_heavy(ready, settings):
    settings.PREVIEW_HEAVY_KBPS = 1
    assert make(ready(), PREVIEW)[Kind.PREVIEW].file


def test_a_preview_of_what_browsers_do_not_decode(ready):
    high = clip("high.mp4", "-c:v", "libx264", "-pix_fmt", "yuv444p")
    assert make(ready(high), PREVIEW)[Kind.PREVIEW].file


@pytest.mark.parametrize(
    ("source", "audio", "size"),
    [
        ("testsrc=size=1280x720:rate=60:duration=1", True, (854, 480)),
        ("testsrc=size=720x1280:rate=25:duration=1", False, (480, 854)),
        ("testsrc=size=321x241:rate=25:duration=1", True, (322, 242)),
        ("testsrc=size=64x64:rate=25:duration=0.04", False, (64, 64)),
    ],
)
def test_previews_are_small_even_and_not_too_fast(ready, source, audio, size):
    options = ("-c:v", "ffv1", "-c:a", "flac")
    attachment = ready(clip("p.mkv", *options, source=source, audio=audio))
    found = probed(make(attachment, PREVIEW)[Kind.PREVIEW])
    assert (found.width, found.height) == size
    assert found.frame_rate is None or found.frame_rate <= 31
    assert found.audio_codec == ("aac" if audio else "")


def test_a_preview_is_upright_deinterlaced_and_starts_with_its_index(ready, tmp_path):
    wide = clip("p.mov", "-c:v", "mpeg4", source="testsrc=size=320x180:rate=25:duration=1")
    row = make(ready(rotated(wide, tmp_path / "r.mov")), PREVIEW)[Kind.PREVIEW]
    found = probed(row)
    assert (found.width, found.height, found.rotation) == (180, 320, 0)
    content = Path(row.file.path).read_bytes()
    assert content.index(b"moov") < content.index(b"mdat")
    interlaced = ("-c:v", "mpeg2video", "-flags", "+ildct+ilme", "-top", "1", "-c:a", "mp2")
    assert make(ready(clip("i.mpg", *interlaced)), PREVIEW)[Kind.PREVIEW].file


def test_a_preview_of_hdr_is_tone_mapped(ready):
    hdr = (
        "-c:v", "libx265", "-pix_fmt", "yuv420p10le", "-color_trc", "smpte2084",
        "-color_primaries", "bt2020", "-colorspace", "bt2020nc", "-x265-params", "log-level=error",
    )  # fmt: skip
    attachment = ready(clip("hdr.mp4", *hdr, audio=False))
    row = make(attachment, PREVIEW)[Kind.PREVIEW]
    poster = VideoProcessingService().generate_thumbnail(Path(row.file.path))
    with Image.open(attachment.thumbnail.path) as image:
        before = ImageStat.Stat(image.convert("L")).mean[0]
    with Image.open(io.BytesIO(poster.jpeg)) as image:
        assert ImageStat.Stat(image.convert("L")).mean[0] == pytest.approx(before, abs=25)


def test_a_preview_shows_no_more_than_its_limit(ready, settings):
    settings.PREVIEW_MAX_SECONDS = 2
    source = "testsrc=size=320x240:rate=25:duration=5"
    attachment = ready(clip("long.avi", *MPEG4, source=source, audio=False))
    assert probed(make(attachment, PREVIEW)[Kind.PREVIEW]).duration == pytest.approx(2, abs=0.1)


def test_half_an_hour_of_few_pictures_has_a_preview(ready):
    source = "testsrc=size=64x64:rate=1/5:duration=1800"
    attachment = ready(clip("sparse.mkv", "-c:v", "mpeg4", source=source, audio=False))
    found = probed(make(attachment, PREVIEW)[Kind.PREVIEW])
    assert found.duration == pytest.approx(1800, abs=20)


def test_ten_hours_between_two_pictures_cost_little(ready, engine, settings):
    settings.VIDEO_MAX_DURATION_SECONDS = 11 * 3600
    gap = ("-c:v", "libx264", "-vf", "settb=1/1000,setpts=N*36000000", "-vsync", "0")
    source = "testsrc=size=64x64:rate=1:duration=2"
    attachment = ready(clip("gap.mkv", *gap, source=source, audio=False))
    settings.STORYBOARD_WALL_SECONDS = settings.PREVIEW_WALL_SECONDS = 5
    assert len(cues(make(attachment, STORYBOARD))) <= 100
    for done in VideoProcessingService().make_renditions(attachment, works=[PREVIEW]):
        assert done.error is None or done.error.code == "corrupt"


def test_sound_that_cannot_be_decoded_is_left_out(ready, tmp_path):
    whole = clip("s.mkv", "-c:v", "mpeg4", "-c:a", "flac").read_bytes()
    broken = tmp_path / "s.mkv"
    assert b"fLaC" in whole
    broken.write_bytes(whole.replace(b"fLaC", b"xxxx"))
    found = probed(make(ready(broken), PREVIEW)[Kind.PREVIEW])
    assert found.codec == "h264"
