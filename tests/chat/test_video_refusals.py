"""What is refused as a video and why, with each engine."""

from pathlib import Path

import pytest
from PIL import Image

from chat.errors import VideoError
from tests.chat.examining import refused, service
from tests.clips import clip
from tests.hostile_references import Listener

pytestmark = pytest.mark.usefixtures("_private_files", "engine")


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
