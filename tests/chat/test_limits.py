"""Every limit is a setting with its unit in its name, and what it stops is told to the operator:
the code, the setting and its value."""

import pytest

from chat.errors import VideoError
from chat.models import Attachment
from chat.services.images import examine_image
from chat.services.media_limits import MediaLimits
from chat.services.renditions import PREVIEW, STORYBOARD, Renderer
from chat.services.video_service import VideoProcessingService
from tests.clips import clip
from tests.hostile_files import png

MEBIBYTE = 1024**2


@pytest.fixture(params=["libav", "ffmpeg"], autouse=True)
def _engine(request, settings) -> None:
    settings.MEDIA_ENGINE = request.param


@pytest.mark.parametrize(
    ("name", "value", "code", "found"),
    [
        ("VIDEO_MAX_PIXELS", 76_799, "too_many_pixels", ("76800", "320x240")),
        ("VIDEO_MAX_DURATION_SECONDS", 0.5, "too_long", ("1",)),
        ("VIDEO_MAX_STREAMS", 1, "too_many_streams", ("2", "max_streams")),
        ("MEDIA_WALL_SECONDS", 0.001, "time_limit", ("",)),
        ("MEDIA_MEMORY_BYTES", 2 * MEBIBYTE, "memory_limit", ("",)),
    ],
)
def test_a_refusal_names_the_limit_and_its_value(name, value, code, found, settings):
    setattr(settings, name, value)
    large = clip("l.mp4", source="testsrc=size=1920x1080:rate=25:duration=0.2", audio=False)
    with pytest.raises(VideoError) as caught:
        VideoProcessingService().examine(large if code == "memory_limit" else clip())
    error = caught.value
    assert error.code == code
    told = f"{value}"
    assert told in error.detail, error.detail
    # libav's own words name no setting of ours.
    assert name in error.detail or "max_" in error.detail or "pixel count" in error.detail
    assert any(words in error.detail for words in found), error.detail
    assert error.permanent
    assert told not in error.message  # the user is told what to do instead


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("work", [STORYBOARD, PREVIEW], ids=lambda work: work.name)
@pytest.mark.parametrize(
    ("limit", "value", "told", "code"),
    [
        # No machine decodes a picture within the time that a process needs to begin.
        ("WALL_SECONDS", 0.001, "0.001 s", "time_limit"),
        ("MEMORY_BYTES", 2 * MEBIBYTE, f"{2 * MEBIBYTE} bytes", "memory_limit"),
        ("OUTPUT_BYTES", 1000, "1000 bytes", "output_limit"),
    ],
)
def test_each_kind_of_work_has_its_own(work, limit, value, told, code, legacy_video, settings):
    source = "testsrc2=size=1280x720:rate=25:duration=3"
    attachment = legacy_video(clip("w.avi", "-c:v", "mpeg4", source=source, audio=False))
    assert VideoProcessingService().process_video_attachment(attachment).ok
    setattr(settings, f"{work.name.upper()}_{limit}", value)
    attachment = Attachment.objects.get(pk=attachment.pk)
    error = Renderer((work,), limits=MediaLimits.from_settings()).prepare(attachment).error
    assert error
    assert error.code == code, error.detail
    assert f"{work.name.upper()}_{limit}" in error.detail, error.detail
    assert told in error.detail, error.detail


def test_of_a_picture_too(settings, tmp_path):
    settings.IMAGE_MAX_PIXELS = 4095
    path = tmp_path / "p.png"
    path.write_bytes(png(64, 64))
    with pytest.raises(VideoError) as caught:
        examine_image(path)
    assert caught.value.code == "too_many_pixels"
    assert "4096" in caught.value.detail
    assert "4095" in caught.value.detail
