"""VideoProcessingService on real clips and real ffmpeg."""

import dataclasses
import io
import socket
import threading
from pathlib import Path

import pytest
from PIL import Image, ImageStat

from chat.errors import VideoError
from chat.models import ActivityLog, Attachment
from chat.services.examination import VideoBounds
from chat.services.media_limits import MediaLimits
from chat.services.video_service import VideoProcessingService
from tests.clips import clip, rotated

pytestmark = pytest.mark.usefixtures("_private_files")


@pytest.fixture(params=["libav", "ffmpeg"], autouse=True)
def _engine(request, settings) -> None:
    settings.MEDIA_ENGINE = request.param


def service(**changes) -> VideoProcessingService:
    """With limits and bounds changed by name."""
    limits = MediaLimits.from_settings()
    bounds = {name: changes.pop(name) for name in VideoBounds.__slots__ if name in changes}
    bounds = dataclasses.replace(limits.bounds, **bounds)
    return VideoProcessingService(dataclasses.replace(limits, bounds=bounds, **changes))


def refused(path: Path, **limits) -> str:
    with pytest.raises(VideoError) as caught:
        service(**limits).examine(path)
    return caught.value.code


def picture(jpeg: bytes) -> Image.Image:
    return Image.open(io.BytesIO(jpeg), formats=["JPEG"])


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


def test_a_large_picture_is_bounded_on_both_sides():
    thin = clip("thin.mp4", source="testsrc=size=16x2000:rate=5:duration=1", audio=False)
    poster = service(poster_max_width=320, poster_max_height=320).generate_thumbnail(thin)
    assert (poster.width, poster.height) == (3, 320)


def test_a_black_beginning_is_not_the_poster():
    graph = (
        "color=black:size=320x240:rate=25:duration=1[a];"
        "testsrc=size=320x240:rate=25:duration=4[b];[a][b]concat=n=2:v=1"
    )
    one_key_frame = ("-c:v", "libx264", "-preset", "ultrafast", "-g", "1000", "-sc_threshold", "0")
    for name, options in (("many.mp4", ()), ("single.mp4", one_key_frame)):
        poster = service().generate_thumbnail(
            clip(name, *options, "-pix_fmt", "yuv420p", source=graph, audio=False)
        )
        assert ImageStat.Stat(picture(poster.jpeg).convert("L")).stddev[0] > 30


def test_a_repeated_key_frame_does_not_end_the_search(settings):
    """The first two points lie behind the same black key frame; the third has its own."""
    if settings.MEDIA_ENGINE == "ffmpeg":
        pytest.skip("the tool drops a picture that is before the point sought, if it is the last")
    source = (
        "color=black:size=320x240:rate=25:duration=5.5[a];"
        "testsrc=size=320x240:rate=25:duration=4.5[b];[a][b]concat"
    )
    rare = ("-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p", "-g", "1000")
    path = clip(
        "late.mp4", *rare, "-sc_threshold", "0", "-force_key_frames", "5.52", source=source,
        audio=False,
    )  # fmt: skip
    poster = picture(service().generate_thumbnail(path).jpeg)
    assert ImageStat.Stat(poster.convert("L")).stddev[0] > 30


def test_a_wholly_black_video_still_has_a_poster():
    black = clip("black.mp4", source="color=black:size=320x240:rate=25:duration=2", audio=False)
    assert picture(service().generate_thumbnail(black).jpeg).size == (320, 240)


def test_a_single_frame_is_a_video():
    single = clip("one.mp4", source="testsrc=size=64x64:rate=25:duration=0.04", audio=False)
    assert service().examine(single).poster.width == 64


def test_a_name_full_of_patterns_reads_only_that_file(tmp_path):
    for name in ("pic%d.mp4", "-version", "file:x.mp4", "concat:a|b.mp4", "Кролик 🐰.mp4"):
        path = tmp_path / name
        path.write_bytes(clip().read_bytes())
        assert service().examine(path).metadata.codec == "h264"


def test_location_does_not_reach_the_poster():
    tagged = clip("gps.mov", "-metadata", "location=+48.8584+002.2945/", audio=False)
    assert b"48.85" in tagged.read_bytes()
    assert b"48.85" not in service().generate_thumbnail(tagged).jpeg


def test_nothing_is_left_in_the_temporary_directory(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    service().examine(clip())
    refused(Path(__file__))
    assert list(tmp_path.iterdir()) == [tmp_path / "incoming"]


# --- What is refused ----------------------------------------------------------------------------


def test_refuses_what_is_not_a_video(tmp_path):
    png = tmp_path / "still.mp4"
    Image.new("RGB", (64, 64), "red").save(png, "PNG")
    text = tmp_path / "text.mp4"
    text.write_text("hello " * 1000)
    empty = tmp_path / "empty.mp4"
    empty.touch()
    assert refused(png) == "unsupported_container"
    assert refused(text) == "not_a_video"
    assert refused(empty) == "empty_file"


def test_refuses_sound_with_a_cover_picture(tmp_path):
    cover = tmp_path / "cover.png"
    Image.new("RGB", (64, 64), "red").save(cover)
    options = ("-i", str(cover), "-map", "1", "-map", "2", "-c:v", "copy")
    song = clip("song.m4a", *options, "-disposition:v:0", "attached_pic")
    assert refused(song) == "no_video_stream"


def test_refuses_a_header_without_its_pictures(tmp_path):
    whole = bytearray(clip("faststart.mp4", "-movflags", "+faststart").read_bytes())
    start = whole.index(b"mdat") + 4
    whole[start:] = bytes(len(whole) - start)
    broken = tmp_path / "zeroed.mp4"
    broken.write_bytes(whole)
    assert refused(broken) == "no_decodable_frame"


def test_refuses_a_file_cut_before_its_index(tmp_path):
    whole = clip().read_bytes()
    cut = tmp_path / "cut.mp4"
    cut.write_bytes(whole[: len(whole) // 2])
    assert refused(cut) == "corrupt"


FADE_IN = "testsrc=size=320x240:rate=25:duration=2,fade=in:st={}:d=0.1"
ONE_KEY_FRAME = ("-g", "1000", "-keyint_min", "1000", "-sc_threshold", "0")


@pytest.mark.parametrize("dark_seconds", [0.3, 1.5])
@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("f.mp4", ("-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p")),
        ("f.ts", ("-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p")),
        ("f.mkv", ("-c:v", "libx265", "-preset", "ultrafast", "-x265-params", "log-level=none")),
        ("f2.ts", ("-c:v", "libx265", "-preset", "ultrafast", "-x265-params", "log-level=none")),
        (
            "f.mpg",
            (
                "-c:v",
                "mpeg2video",
            ),
        ),
    ],
)
def test_a_poster_is_not_blank_where_one_key_frame_is_and_others_are_not(
    name, options, dark_seconds
):
    """Black at its only key frame, and for most of the time."""
    path = clip(name, *options, *ONE_KEY_FRAME, source=FADE_IN.format(dark_seconds), audio=False)
    poster = service().examine(path).poster
    assert not poster.blank
    with picture(poster.jpeg) as image:
        assert ImageStat.Stat(image.convert("L")).stddev[0] > 20


def test_refuses_what_passes_a_limit():
    path = clip()
    assert refused(path, max_pixels=1000) == "too_many_pixels"
    assert refused(path, max_duration_seconds=0.5) == "too_long"
    assert refused(path, max_streams=1) == "too_many_streams"
    assert refused(path, wall_seconds=0.001) == "time_limit"


@pytest.mark.parametrize("mebibytes", [2, 32, 64])
@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("large.mp4", ()),
        ("large.webm", ("-c:v", "libvpx-vp9", "-deadline", "realtime", "-cpu-used", "8")),
        ("large.ts", ("-c:v", "mpeg2video")),
        ("large.avi", ("-c:v", "mpeg4")),
        ("large.mov", ("-c:v", "png")),
        ("large-av1.mp4", ("-c:v", "libsvtav1", "-preset", "12", "-svtav1-params", "logscale=0")),
    ],
)
def test_an_operator_is_told_that_memory_was_short(name, options, mebibytes):
    """Whatever the decoder makes of it; H.264's keeps it to itself."""
    large = clip(name, *options, source="testsrc=size=1920x1080:rate=25:duration=0.2", audio=False)
    with pytest.raises(VideoError) as caught:
        service(memory_bytes=mebibytes * 1024**2).examine(large)
    assert caught.value.code == "memory_limit"
    assert f"MEDIA_MEMORY_BYTES: {mebibytes * 1024**2} bytes" in caught.value.detail


class Listener(threading.Thread):
    """Counts connections to a loopback port."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        self.connections = 0
        self.start()

    def run(self) -> None:
        while True:
            try:
                connection, _ = self.socket.accept()
            except OSError:
                return
            self.connections += 1
            connection.close()

    def __enter__(self) -> "Listener":
        return self

    def __exit__(self, *_exc: object) -> None:
        self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()
        self.join(5)


def disguises(neighbour: Path, port: int) -> dict[str, str]:
    """Text files that ffmpeg by default follows to another file or to the network."""
    hls = "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n{}\n#EXT-X-ENDLIST\n"
    dash = (
        '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static"'
        ' mediaPresentationDuration="PT1S" profiles="urn:mpeg:dash:profile:isoff-main:2011">'
        '<Period><AdaptationSet mimeType="video/mp4"><Representation id="1" bandwidth="1">'
        "<BaseURL>{}</BaseURL></Representation></AdaptationSet></Period></MPD>"
    )
    remote = f"http://127.0.0.1:{port}/x.ts"
    return {
        "hls-absolute": hls.format(neighbour),
        "hls-relative": hls.format(neighbour.name),
        "hls-http": hls.format(remote),
        "dash": dash.format(neighbour.name),
        "dash-http": dash.format(remote),
        "ffconcat": f"ffconcat version 1.0\nfile {neighbour.name}\n",
        "ffconcat-absolute": f"ffconcat version 1.0\nfile '{neighbour}'\n",
        "sdp": f"v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\n"
        f"m=video {port} RTP/AVP 96\na=rtpmap:96 H264/90000\n",
    }


def test_a_playlist_in_disguise_opens_no_second_file_and_no_socket(tmp_path):
    neighbour = tmp_path / "neighbour.ts"
    neighbour.write_bytes(clip("n.ts", "-c:v", "mpeg2video").read_bytes())
    with Listener() as listener:
        for name, text in disguises(neighbour, listener.port).items():
            path = tmp_path / f"{name}.mp4"
            path.write_text(text)
            assert refused(path) in ("unsupported_container", "not_a_video"), name
        assert listener.connections == 0


# --- Rows ---------------------------------------------------------------------------------------


def test_makes_a_legacy_attachment_ready(legacy_video):
    attachment = legacy_video()
    assert service().process_video_attachment(attachment).ok
    attachment = Attachment.objects.get(pk=attachment.pk)
    assert attachment.processing_state == "ready"
    assert attachment.video_dimensions == (320, 240)
    assert attachment.duration_formatted == "00:01"
    assert (attachment.codec, attachment.content_type) == ("h264", "video/mp4")
    with attachment.thumbnail.open() as file, Image.open(file) as poster:
        assert poster.size == (320, 240)
    entry = ActivityLog.objects.get(object_id=attachment.pk)
    assert (entry.action, entry.outcome, entry.actor_name) == (
        "attachment_processed",
        "ok",
        "system",
    )


def test_twice_changes_nothing_but_the_time(legacy_video, django_capture_on_commit_callbacks):
    attachment = legacy_video()
    service().process_video_attachment(attachment)
    before = Attachment.objects.values().get(pk=attachment.pk)
    with django_capture_on_commit_callbacks(execute=True):
        service().process_video_attachment(Attachment.objects.get(pk=attachment.pk))
    after = Attachment.objects.values().get(pk=attachment.pk)
    changed = {name for name in before if before[name] != after[name]}
    assert changed <= {"processed_at", "thumbnail"}
    posters = list(Path(attachment.thumbnail.storage.path("posters")).rglob("*.jpg"))
    assert [str(p) for p in posters] == [attachment.thumbnail.storage.path(after["thumbnail"])]


def test_a_permanent_failure_is_written_with_its_code(legacy_video, tmp_path):
    broken = tmp_path / "broken.mp4"
    broken.write_text("not a video at all " * 100)
    attachment = legacy_video(broken)
    assert not service().process_video_attachment(attachment).ok
    attachment = Attachment.objects.get(pk=attachment.pk)
    assert (attachment.processing_state, attachment.failure_code) == ("failed", "not_a_video")
    assert not attachment.thumbnail


def test_a_lost_file_is_a_failure_too(legacy_video):
    attachment = legacy_video()
    Path(attachment.file.path).unlink()
    assert service().process_video_attachment(attachment).error.code == "missing_file"


def test_a_row_deleted_meanwhile_leaves_no_poster(legacy_video):
    attachment = legacy_video()
    prepared = service().prepare(attachment)
    Attachment.objects.filter(pk=attachment.pk).delete()
    assert service().record(prepared) is False
    assert not attachment.thumbnail.storage.exists(prepared.thumbnail)


def test_a_passing_failure_does_not_spoil_a_ready_video(legacy_video):
    attachment = legacy_video()
    service().process_video_attachment(attachment)
    ready = Attachment.objects.get(pk=attachment.pk)
    slow = service(wall_seconds=0.001).process_video_attachment(ready)
    assert slow.error.code == "time_limit"
    after = Attachment.objects.get(pk=attachment.pk)
    assert (after.processing_state, after.codec) == ("ready", "h264")
    assert after.thumbnail.storage.exists(after.thumbnail.name)


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
