"""The rules of what is true of a video, as tables."""

from fractions import Fraction

import pytest

from chat.errors import VideoError
from chat.services.ffmpeg_engine import probe_from_ffprobe
from chat.services.libav_words import starts_and_ends
from chat.services.video_metadata import Probe, ProbedStream, VideoMetadata

VIDEO = {"index": 0, "kind": "video", "codec": "h264", "width": 640, "height": 360}


def stream(**changes) -> ProbedStream:
    return ProbedStream(**{**VIDEO, **changes})


def probe(*streams: ProbedStream, **changes) -> Probe:
    values = {
        "format_name": "mov,mp4,m4a,3gp,3g2,mj2",
        "major_brand": "isom",
        "duration": 10.0,
        "bit_rate": 800_000,
        "size": 1_000_000,
        "streams": streams or (stream(),),
    }
    return Probe(**{**values, **changes})


def metadata(*streams: ProbedStream, **changes) -> VideoMetadata:
    return VideoMetadata.from_probe(probe(*streams, **changes))


@pytest.mark.parametrize(
    ("angle", "rotation", "size"),
    [
        (0.0, 0, (640, 360)),
        (-90.0, 90, (360, 640)),
        (90.0, 270, (360, 640)),
        (180.0, 180, (640, 360)),
        (-180.0, 180, (640, 360)),
        (-9223372036854775808.0, 0, (640, 360)),  # a zero matrix, on a real file
        (float("nan"), 0, (640, 360)),
    ],
)
def test_size_is_as_displayed_after_rotation(angle, rotation, size):
    found = metadata(stream(display_rotation=angle))
    assert (found.rotation, (found.width, found.height)) == (rotation, size)


@pytest.mark.parametrize(
    ("aspect", "size"),
    [
        (None, (640, 360)),
        (Fraction(1), (640, 360)),
        (Fraction(2), (1280, 360)),
        (Fraction(10, 11), (582, 360)),
        (Fraction(0), (640, 360)),
        (Fraction(65535), (640, 360)),
    ],
)
def test_size_is_in_square_pixels(aspect, size):
    found = metadata(stream(sample_aspect=aspect))
    assert (found.width, found.height) == size


def test_rotation_turns_the_stretched_picture():
    found = metadata(stream(sample_aspect=Fraction(2), display_rotation=-90.0))
    assert (found.width, found.height) == (360, 1280)


@pytest.mark.parametrize(
    ("header", "start", "ends", "duration"),
    [
        (10.0, 0.0, (10.0,), 10.0),
        (10.0, 0.0, (9.7, 10.2), 10.0),  # the header counts sound that lasts a little longer
        (10.0, 0.0, (3.0, 10.0), 10.0),  # a short picture over a long song
        (1.0, 0.0, (1.0, 1.961), 1.0),  # Ogg after a seek
        (143165.0, 0.0, (1.134,), 1.134),  # headers that lie
        (0.015, 0.0, (4.2, 4.0), 4.2),
        (None, 0.0, (7.612,), 7.612),
        (-0.005, 0.0, (5.0,), 5.0),
        (1.7e10, 0.0, (5.0,), 5.0),
        (float("inf"), 0.0, (5.0,), 5.0),
        (float("nan"), 0.0, (), None),
        (1.7e10, 0.0, (), None),
        (0.0003, 0.0, (), None),  # nothing would be left of it
        (0.0003, 0.0, (2.0,), 2.0),
        (12.0, 0.0, (), 12.0),
        (10.0, 100.0, (110.0,), 10.0),  # a broadcast that starts late
    ],
)
def test_duration_is_the_headers_only_where_the_packets_agree(header, start, ends, duration):
    assert metadata(duration=header, starts=(start,), track_ends=ends).duration == duration


@pytest.mark.parametrize(
    ("of_stream", "of_container", "size", "duration", "kbps"),
    [
        (500_000, 800_000, 10**6, 10.0, 500),
        (None, 800_000, 10**6, 10.0, 800),
        (None, None, 10**6, 10.0, 800),
        (0, 0, 10**6, 10.0, 800),
        (None, None, 10**6, None, None),
        (10**15, None, 10**6, 10.0, 800),
    ],
)
def test_bit_rate(of_stream, of_container, size, duration, kbps):
    found = metadata(
        stream(bit_rate=of_stream), bit_rate=of_container, size=size, duration=duration
    )
    assert found.bitrate == kbps


@pytest.mark.parametrize(
    ("average", "base", "rate"),
    [
        (Fraction(30000, 1001), None, 29.97),
        (None, Fraction(25), 25.0),
        (Fraction(0), Fraction(0), None),
        (Fraction(1000), Fraction(25), 25.0),  # a time base instead of a rate
        (Fraction(2147483647, 1000), None, None),
        (Fraction(1, 9000), None, None),  # two pictures in hours
    ],
)
def test_frame_rate_is_none_rather_than_absurd(average, base, rate):
    assert metadata(stream(average_rate=average, base_rate=base)).frame_rate == rate


def test_the_largest_moving_picture_wins_over_cover_art_and_stills():
    cover = stream(index=0, width=4000, height=4000, attached_picture=True, default=True)
    still = stream(index=1, width=3000, height=3000, still_image=True)
    small = stream(index=2, width=64, height=64)
    large = stream(index=3, width=1280, height=720)
    assert probe(cover, still, small, large).video_stream is large


def test_a_default_track_wins_unless_it_is_a_thumbnail():
    default = stream(index=1, width=640, height=360, default=True)
    larger = stream(index=0, width=1280, height=720)
    tiny = stream(index=2, width=64, height=64, default=True)
    assert probe(larger, default).video_stream is default
    assert probe(larger, tiny).video_stream is larger


@pytest.mark.parametrize(
    ("streams", "changes", "code"),
    [
        ((stream(kind="audio", codec="aac"),), {}, "no_video_stream"),
        ((stream(attached_picture=True),), {}, "no_video_stream"),
        ((stream(codec="", codec_tag="vvc1"),), {}, "unsupported_codec"),
        ((stream(width=0),), {}, "unsupported_codec"),
        ((stream(),), {"major_brand": "avif"}, "not_a_video"),
    ],
)
def test_refusals(streams, changes, code):
    with pytest.raises(VideoError) as caught:
        metadata(*streams, **changes)
    assert caught.value.code == code
    assert caught.value.permanent


@pytest.mark.parametrize(
    ("format_name", "brand", "codec", "container", "content_type"),
    [
        ("mov,mp4,m4a,3gp,3g2,mj2", "isom", "h264", "mp4", "video/mp4"),
        ("mov,mp4,m4a,3gp,3g2,mj2", "qt  ", "h264", "mov", "video/quicktime"),
        ("mov,mp4,m4a,3gp,3g2,mj2", "3gp4", "h263", "3gp", "video/3gpp"),
        ("matroska,webm", "", "vp9", "webm", "video/webm"),
        ("matroska,webm", "", "h264", "matroska", "video/x-matroska"),
        ("mpegts", "", "h264", "mpegts", "video/mp2t"),
        ("mpegvideo", "", "mpeg2video", "mpeg", "video/mpeg"),
        ("ogg", "", "theora", "ogg", "video/ogg"),
    ],
)
def test_container_and_content_type(format_name, brand, codec, container, content_type):
    found = metadata(stream(codec=codec), format_name=format_name, major_brand=brand)
    assert (found.container, found.content_type) == (container, content_type)


def test_ffprobes_answer_with_nothing_known_is_read_without_a_crash():
    answer = {
        "format": {"format_name": "matroska,webm"},
        "streams": [{"index": 0, "codec_type": "video", "codec_name": "vp8"}],
        "packets": [{"pts_time": "N/A"}, {}, {"pts_time": "nan"}],
    }
    found = probe_from_ffprobe(answer, size=10)
    assert (found.duration, found.track_ends, found.streams[0].width) == (None, (), 0)


def test_reordered_pictures_do_not_shorten_a_video():
    found = metadata(duration=5.0, starts=(0.958, 0.0), track_ends=(5.0,))
    assert found.duration == 5.0


def test_a_packet_of_absurd_length_does_not_count():
    packets = [(0, 0.5, 0.04), (1, 5.0, 97391.06), (0, None, None)]
    assert starts_and_ends(packets, None) == ((0.5,), (0.54, 5.0))
    assert starts_and_ends(packets, 0.0) == ((0.5, 0.0), (0.54, 5.0))
    assert starts_and_ends(packets, 1.7e10) == ((0.5,), (0.54, 5.0))


def test_an_end_that_was_not_reached_is_unknown():
    assert starts_and_ends([(0, 0.0, None)], 0.0) == ((0.0,), ())
    assert starts_and_ends([(0, 1.0, None)] * 3000, 0.0) == ((0.0,), ())
