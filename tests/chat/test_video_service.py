"""VideoProcessingService on real clips: what it reads of a video, with each engine."""

from pathlib import Path

import pytest
from PIL import ImageStat

from tests.chat.examining import picture, refused, service
from tests.clips import clip, rotated

pytestmark = pytest.mark.usefixtures("_private_files", "engine")


VP9 = ("-c:v", "libvpx-vp9", "-deadline", "realtime", "-cpu-used", "8", "-c:a", "libopus")

CODECS = [
    ("a.mp4", (), "h264", "mp4", "aac"),
    ("a.mov", (), "h264", "mov", "aac"),
    ("a.mkv", (), "h264", "matroska", "vorbis"),
    ("a.webm", VP9, "vp9", "webm", "opus"),
    ("a.avi", ("-c:v", "mpeg4", "-c:a", "mp3"), "mpeg4", "avi", "mp3"),
    ("a.ts", ("-c:v", "mpeg2video", "-c:a", "mp2"), "mpeg2video", "mpegts", "mp2"),
    ("a.ogv", ("-c:v", "libtheora", "-c:a", "libvorbis"), "theora", "ogg", "vorbis"),
    ("a.flv", ("-c:v", "flv1", "-ar", "44100"), "flv1", "flv", "mp3"),
]


@pytest.mark.parametrize(("name", "options", "codec", "container", "audio"), CODECS)
def test_reads_metadata_and_poster(name, options, codec, container, audio):
    examined = service().examine(clip(name, *options))
    found = examined.metadata
    assert (found.codec, found.container, found.audio_codec) == (codec, container, audio)
    assert (found.width, found.height, found.rotation) == (320, 240, 0)
    assert found.duration == pytest.approx(1.0, abs=0.15)
    assert found.frame_rate == pytest.approx(25, abs=0.1)
    assert found.bitrate
    assert picture(examined.poster.jpeg).size == (320, 240)
    assert ImageStat.Stat(picture(examined.poster.jpeg).convert("L")).stddev[0] > 30


def test_the_four_methods_agree():
    path = clip()
    examined = service().examine(path)
    assert service().extract_video_metadata(path) == examined.metadata
    assert service().generate_thumbnail(path) == examined.poster
    assert service().validate_video_file(path) is None


def test_rotation_is_applied_to_size_and_picture(tmp_path):
    upright = clip("upright.mp4", source="testsrc=size=320x180:rate=25:duration=1", audio=False)
    examined = service().examine(rotated(upright, tmp_path / "rotated.mp4"))
    assert (examined.metadata.width, examined.metadata.height) == (180, 320)
    assert picture(examined.poster.jpeg).size == (180, 320)


def test_anamorphic_pixels_are_squared():
    path = clip("wide.mp4", "-c:v", "libx264", "-vf", "setsar=2/1", audio=False)
    examined = service().examine(path)
    assert (examined.metadata.width, examined.metadata.height) == (640, 240)
    assert picture(examined.poster.jpeg).size == (640, 240)


def test_a_single_frame_is_a_video():
    single = clip("one.mp4", source="testsrc=size=64x64:rate=25:duration=0.04", audio=False)
    assert service().examine(single).poster.width == 64


def test_a_name_full_of_patterns_reads_only_that_file(tmp_path):
    for name in ("pic%d.mp4", "-version", "file:x.mp4", "concat:a|b.mp4", "Кролик 🐰.mp4"):
        path = tmp_path / name
        path.write_bytes(clip().read_bytes())
        assert service().examine(path).metadata.codec == "h264"


def test_nothing_is_left_in_the_temporary_directory(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    service().examine(clip())
    refused(Path(__file__))
    assert list(tmp_path.iterdir()) == [tmp_path / "incoming"]


def with_late_sound(flv: bytes, seconds: float) -> bytes:
    """The FLV without what is heard before ``seconds``, and without a word of it in the header
    (Adobe Flash Video File Format 10.1, annex E)."""
    kept = bytearray(flv[:4] + b"\x01" + flv[5:13])
    at = 13
    while at < len(flv):
        kind, size = flv[at], int.from_bytes(flv[at + 1 : at + 4], "big")
        milliseconds = int.from_bytes(flv[at + 7 : at + 8] + flv[at + 4 : at + 7], "big")
        end = at + 11 + size + 4
        if kind == 9 or (kind == 8 and milliseconds >= seconds * 1000):
            kept += flv[at:end]
        at = end
    return bytes(kept)


def test_a_track_that_appears_late_does_not_matter(tmp_path):
    pictures, sound = "testsrc=size=128x96:rate=25:duration=30[out0]", "sine=duration=30[out1]"
    options = ("-c:v", "flv1", "-c:a", "libmp3lame", "-ar", "44100")
    whole = clip("late.flv", *options, source=f"{pictures};{sound}", audio=False)
    path = tmp_path / "late.flv"
    path.write_bytes(with_late_sound(whole.read_bytes(), 25.0))
    found = service().examine(path).metadata
    assert (found.width, found.height) == (128, 96)
    assert found.duration == pytest.approx(30.0, abs=0.2)
