"""Whatever is done with an untrusted picture or video, the worker itself opens none of it: only
the media helper's children decode."""

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import FileSystemStorage, storages
from PIL import Image

from chat.errors import VideoError
from chat.models import Attachment
from chat.services.images import examine_image
from chat.services.video_service import VideoProcessingService, store_poster
from tests.clips import clip
from tests.hostile_files import png

HDR = (
    "-c:v", "libx265", "-pix_fmt", "yuv420p10le", "-color_trc", "smpte2084",
    "-color_primaries", "bt2020", "-colorspace", "bt2020nc", "-x265-params", "log-level=error",
)  # fmt: skip


@pytest.fixture(params=["libav", "ffmpeg"], autouse=True)
def _engine(request, settings) -> None:
    settings.MEDIA_ENGINE = request.param


@pytest.fixture
def no_pictures(monkeypatch) -> None:
    """Of this process: the helper, which has its own Pillow, is not touched."""

    def open_picture(*_args, **_options):
        raise AssertionError("the worker opened a picture")

    monkeypatch.setattr(Image, "open", open_picture)
    monkeypatch.setattr(Image.Image, "load", open_picture)


@pytest.mark.parametrize("hdr", [False, True], ids=["sdr", "hdr"])
def test_a_poster(hdr, no_pictures):
    path = clip("hdr.mp4", *HDR, audio=False) if hdr else clip()
    poster = VideoProcessingService().examine(path).poster
    assert not poster.blank
    assert (poster.width, poster.height) == (320, 240)


def test_a_blank_poster(no_pictures):
    black = clip("black.mp4", source="color=black:size=64x64:rate=25:duration=1", audio=False)
    assert VideoProcessingService().examine(black).poster.blank


def test_a_picture(no_pictures, tmp_path):
    path = tmp_path / "p.png"
    path.write_bytes(png(40, 30))
    found = examine_image(path)
    assert found
    assert (found.width, found.height, found.thumbnail.blank) == (40, 30, False)


@pytest.mark.django_db(transaction=True)
def test_all_renditions(no_pictures, legacy_video):
    attachment = legacy_video(clip("r.avi", "-c:v", "mpeg4", "-c:a", "mp3"))
    service = VideoProcessingService()
    assert service.process_video_attachment(attachment).ok
    attachment = Attachment.objects.get(pk=attachment.pk)
    assert [done.error for done in service.make_renditions(attachment)] == [None] * 3


class TearingStorage(FileSystemStorage):
    """A disk that keeps the first half of what it is given and reports no error."""

    def _save(self, name, content):
        whole = content.read()
        return super()._save(name, ContentFile(whole[: len(whole) // 2]))


def test_a_stored_poster_is_read_again(monkeypatch, tmp_path):
    poster = VideoProcessingService().examine(clip()).poster
    name = store_poster(poster)
    with storages["default"].open(name) as stored, Image.open(stored, formats=["JPEG"]) as image:
        assert image.size == (320, 240)
    torn = TearingStorage(location=tmp_path / "torn")
    monkeypatch.setattr(Attachment._meta.get_field("thumbnail"), "storage", torn)
    with pytest.raises(VideoError) as caught:
        store_poster(poster)
    assert caught.value.code == "storage_error"
    assert not [path for path in (tmp_path / "torn").rglob("*") if path.is_file()]
