"""What browsers play as it is: a table."""

import pytest

from chat.services.browser_support import browser_plays


@pytest.mark.parametrize(
    ("container", "codec", "pixel_format", "audio_codec", "plays"),
    [
        ("mp4", "h264", "yuv420p", "aac", True),
        ("mov", "h264", "yuvj420p", "", True),
        ("mp4", "h264", "", "mp3", True),
        ("mp4", "av1", "yuv420p10le", "opus", True),
        ("webm", "vp8", "yuv420p", "vorbis", True),
        ("webm", "vp9", "yuv420p", "opus", True),
        ("mp4", "h264", "yuv420p10le", "aac", False),
        ("mp4", "h264", "yuv444p", "aac", False),
        ("mp4", "h264", "yuv420p", "ac3", False),
        ("mov", "h264", "yuv420p", "pcm_s16le", False),
        ("mp4", "hevc", "yuv420p", "aac", False),
        ("mov", "prores", "yuv422p10le", "pcm_s16le", False),
        ("mp4", "mpeg4", "yuv420p", "aac", False),
        ("matroska", "h264", "yuv420p", "aac", False),
        ("ogg", "theora", "yuv420p", "vorbis", False),
        ("avi", "h264", "yuv420p", "mp3", False),
        ("mpegts", "h264", "yuv420p", "aac", False),
        ("webm", "h264", "yuv420p", "opus", False),
        ("", "", "", "", False),
    ],
)
def test_table(container, codec, pixel_format, audio_codec, plays):
    assert browser_plays(container, codec, pixel_format, audio_codec) is plays
