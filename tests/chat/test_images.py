"""Pictures: opened in the sandboxed child alone, by four decoders, within a cap of pixels."""

import io
import tempfile
from pathlib import Path

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from PIL import Image

from chat.errors import VideoError
from chat.models import Attachment
from chat.services import media_helper
from chat.services.images import examine_image
from chat.services.media_helper import MediaHelper
from tests import hostile_files

ANY = "/api/chat/upload/"
EPS = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 100 100\n%%EndComments\nshowpage\n%%EOF\n"


def encoded(image: Image.Image, kind: str, **options) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def photo(width: int = 800, height: int = 400, mode: str = "RGB") -> Image.Image:
    """Red on the left, blue on the right."""
    image = Image.new("RGB", (width, height), "red")
    image.paste("blue", (width // 2, 0, width, height))
    return image.convert(mode)


def thumbnail(jpeg: bytes) -> Image.Image:
    return Image.open(io.BytesIO(jpeg), formats=["JPEG"])


@pytest.fixture
def stored(tmp_path):
    def write(content: bytes) -> Path:
        path = tmp_path / "picture.jpg"  # whatever it is
        path.write_bytes(content)
        return path

    return write


@pytest.mark.parametrize(
    ("kind", "content_type"),
    [
        ("JPEG", "image/jpeg"),
        ("PNG", "image/png"),
        ("WEBP", "image/webp"),
        ("GIF", "image/gif"),
    ],
)
def test_a_picture_is_described(kind, content_type, stored):
    found = examine_image(stored(encoded(photo(), kind)))
    assert (found.content_type, found.width, found.height) == (content_type, 800, 400)
    small = thumbnail(found.thumbnail.jpeg)
    assert small.size == (640, 320)
    red, _, blue = small.getpixel((100, 100))
    assert red > 200
    assert blue < 60


def test_a_phone_picture_stands_upright_and_tells_no_place(stored):
    exif = Image.Exif()
    exif[0x0112] = 6  # turn by 90° clockwise
    exif.get_ifd(0x8825)[1] = "N"  # GPS
    content = encoded(photo(), "JPEG", exif=exif, comment=b"at home")
    found = examine_image(stored(content))
    assert (found.width, found.height) == (400, 800)
    small = thumbnail(found.thumbnail.jpeg)
    assert small.size == (320, 640)
    assert small.getpixel((160, 100))[0] > 200  # the left side is at the top now
    assert not small.getexif()
    assert b"at home" not in found.thumbnail.jpeg


def test_a_jpeg_that_holds_several_pictures_is_a_jpeg(stored):
    content = encoded(photo(), "MPO", save_all=True, append_images=[photo(80, 40)])
    found = examine_image(stored(content))
    assert (found.content_type, found.width, found.height) == ("image/jpeg", 800, 400)


@pytest.mark.parametrize("mode", ["RGBA", "P", "L", "LA", "1"])
def test_every_kind_of_png_becomes_a_thumbnail(mode, stored):
    found = examine_image(stored(encoded(photo(mode=mode), "PNG")))
    assert thumbnail(found.thumbnail.jpeg).size == (640, 320)


def test_transparency_becomes_white(stored):
    found = examine_image(stored(encoded(Image.new("RGBA", (50, 50), (0, 0, 0, 0)), "PNG")))
    assert min(thumbnail(found.thumbnail.jpeg).getpixel((25, 25))) > 250


def test_sixteen_bits_a_sample_are_not_washed_out(stored):
    image = Image.new("I;16", (50, 50), 0x8000)
    found = examine_image(stored(encoded(image, "PNG")))
    assert thumbnail(found.thumbnail.jpeg).getpixel((25, 25))[0] == pytest.approx(128, abs=4)


def test_cmyk_is_read(stored):
    found = examine_image(stored(encoded(photo(mode="CMYK"), "JPEG")))
    assert thumbnail(found.thumbnail.jpeg).getpixel((100, 100))[0] > 200


@pytest.mark.parametrize(
    "content",
    [
        EPS,
        b"\xff\xd8\xff\xe0" + bytes(20),
        b"GIF89a" + bytes(20),
        encoded(photo(), "PNG")[:500],
        encoded(photo(), "BMP"),
        encoded(photo(), "TIFF"),
        encoded(photo(), "PPM"),
        b"<svg xmlns='http://www.w3.org/2000/svg'/>",
    ],
    ids=["eps", "no jpeg", "no gif", "cut png", "bmp", "tiff", "ppm", "svg"],
)
def test_what_is_no_whole_picture_of_a_listed_format_is_not_one(content, stored):
    assert examine_image(stored(content)) is None


@pytest.mark.parametrize(
    "content",
    [
        lambda: hostile_files.png(13_000, 13_000),
        hostile_files.wide_gif,
        lambda: hostile_files.wide_gif(10_000, 5_001),
    ],
    ids=["png", "gif", "one row more than allowed"],
)
@pytest.mark.parametrize("layers", [None, frozenset()], ids=["every layer", "no layer"])
def test_a_pixel_bomb_is_refused_before_it_is_decoded(
    content, layers, stored, monkeypatch, tmp_path, request
):
    path = stored(content())
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(scratch))
    if layers is not None:
        helper = MediaHelper(1, layers)
        request.addfinalizer(helper.stop)
        monkeypatch.setattr(media_helper, "_helper", helper)
    helper = media_helper.media_helper()
    helper.known_tasks()
    helper.counts.max_rss_bytes = 0
    with pytest.raises(VideoError) as caught:
        examine_image(path)
    assert caught.value.code == "too_many_pixels"
    assert helper.counts.max_rss_bytes < 100_000_000
    assert list(scratch.iterdir()) == []


def test_a_picture_at_the_cap_fits_in_memory(stored):
    """Decoded without any short cut: PNG, with transparency."""
    image = Image.new("RGBA", (10_000, 5_000), (200, 30, 30, 128))
    found = examine_image(stored(encoded(image, "PNG", compress_level=1)))
    assert (found.width, found.height) == (10_000, 5_000)


def test_without_a_cap_the_sandbox_bounds_it(stored, settings):
    settings.IMAGE_MAX_PIXELS = 10**10
    settings.MEDIA_MEMORY_BYTES = 512 * 1024**2
    with pytest.raises(VideoError) as caught:
        examine_image(stored(hostile_files.png(30_000, 30_000)))
    assert caught.value.code in ("memory_limit", "time_limit")
    assert "picture" in caught.value.message


def test_too_little_time_is_doubled_once(stored, settings):
    settings.MEDIA_WALL_SECONDS = 0.0001
    with pytest.raises(VideoError) as caught:
        examine_image(stored(encoded(Image.new("RGB", (3_000, 3_000)), "PNG")))
    assert (caught.value.code, caught.value.permanent) == ("time_limit", True)
    assert "MEDIA_WALL_SECONDS" in caught.value.detail
    assert "twice" in caught.value.detail
    assert "picture" in caught.value.message


def upload(client, conversation, content: bytes):
    file = SimpleUploadedFile("photo.jpg", content, content_type="image/jpeg")
    body = {"conversation": conversation.pk, "file": file}
    return client.post(ANY, body, format="multipart")


def test_an_upload_gets_its_size_and_a_thumbnail(
    as_member, conversation, stored_files, django_capture_on_commit_callbacks
):
    content = encoded(photo(), "GIF")

    response = upload(as_member, conversation, content)

    assert response.status_code == 201
    found = response.json()
    assert (found["kind"], found["content_type"]) == ("image", "image/gif")
    assert (found["width"], found["height"]) == (800, 400)
    assert found["processing_state"] is None
    small = as_member.get(found["thumbnail_url"])
    assert small.headers["Content-Type"] == "image/jpeg"
    assert thumbnail(b"".join(small)).size == (640, 320)
    assert len(stored_files()) == 2

    with django_capture_on_commit_callbacks(execute=True):
        assert as_member.delete(f"/api/chat/attachments/{found['id']}/").status_code == 204
    assert stored_files() == []


def test_a_pixel_bomb_leaves_nothing(as_member, conversation, stored_files):
    response = upload(as_member, conversation, hostile_files.wide_gif())

    assert response.status_code == 422
    assert response.json()["code"] == "too_many_pixels"
    assert stored_files() == []
    assert not Attachment.objects.exists()


def test_a_picture_is_no_video(as_member, conversation, stored_files):
    file = SimpleUploadedFile("photo.mp4", encoded(photo(), "JPEG"))
    body = {"conversation": conversation.pk, "file": file}
    response = as_member.post("/api/chat/videos/upload/", body, format="multipart")
    assert response.status_code == 415
    assert stored_files() == []
