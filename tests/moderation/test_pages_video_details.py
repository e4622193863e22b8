"""What a video's page shows when asked: pictures to choose the poster from, the raw probe."""

import io
import json
from html import unescape
from pathlib import Path

import pytest
from django.contrib.auth.models import User
from PIL import Image

from chat.models import ActivityLog, Attachment
from chat.rendition import Rendition
from chat.services.renditions import STORYBOARD
from chat.services.video_service import VideoProcessingService
from moderation.protection import Exposure
from moderation.storyboard_tiles import tiles_of
from tests.clips import clip
from tests.moderation.pages import HTMX, assert_guarded, signed_in

pytestmark = pytest.mark.django_db(transaction=True)

# Red for a second, then blue for two.
TURNING = (
    "color=c=red:size=320x240:rate=25:duration=1[a];"
    "color=c=blue:size=320x240:rate=25:duration=2[b];[a][b]concat"
)


@pytest.fixture(params=["libav", "ffmpeg"], autouse=True)
def _engine(request, settings) -> None:
    settings.MEDIA_ENGINE = request.param


@pytest.fixture
def turning(legacy_video) -> Attachment:
    attachment = legacy_video(clip("turning.mp4", "-g", "25", source=TURNING, audio=False))
    service = VideoProcessingService()
    assert service.process_video_attachment(attachment).ok
    attachment = Attachment.objects.get(pk=attachment.pk)
    service.make_renditions(attachment, works=[STORYBOARD])
    return Attachment.objects.get(pk=attachment.pk)


def colour(attachment: Attachment) -> tuple[int, int, int]:
    with attachment.thumbnail.open("rb") as file, Image.open(io.BytesIO(file.read())) as image:
        pixel = image.convert("RGB").getpixel((image.width // 2, image.height // 2))
    assert isinstance(pixel, tuple)
    return pixel  # type: ignore[return-value]


def test_choosing_another_poster(moderator: User, turning: Attachment) -> None:
    assert colour(turning)[0] > 200  # red
    before = Path(turning.thumbnail.path)
    client = signed_in(moderator)
    url = f"/moderation/videos/{turning.pk}/poster/"

    page = client.get(url).content.decode()
    tiles = tiles_of(turning)  # the engines differ on whether two like pictures are two tiles
    assert [(tile.seconds, tile.x) for tile in tiles][:2] == [(0.0, 0), (1.0, 160)]
    assert page.count("<svg viewBox=") == len(tiles)
    assert "<html" not in client.get(url, headers=HTMX).content.decode()
    assert Exposure.objects.get(user=moderator).revealed == 2

    answer = client.post(url, {"seconds": "2.0"})
    assert answer.status_code == 302
    turning.refresh_from_db()
    assert colour(turning)[2] > 200  # blue
    assert not before.exists()
    chosen = ActivityLog.objects.filter(action="poster_chosen", object_id=turning.pk)
    assert [entry.details for entry in chosen] == [{"seconds": 2.0}]
    assert turning.placeholder == ""  # the old one's is not shown for it
    assert not turning.renditions.filter(kind=Rendition.Kind.POSTER_WEBP).exists()


@pytest.mark.parametrize("seconds", ["", "nan", "-1", "999", "1e9"])
def test_a_time_without_a_picture(moderator: User, turning: Attachment, seconds: str) -> None:
    before = turning.thumbnail.name
    url = f"/moderation/videos/{turning.pk}/poster/"
    answer = signed_in(moderator).post(url, {"seconds": seconds}, follow=True)
    assert "The poster was not changed." in answer.content.decode()
    turning.refresh_from_db()
    assert turning.thumbnail.name == before
    folder = Path(turning.thumbnail.path).parent
    assert [path.name for path in folder.iterdir()] == [Path(str(before)).name]
    assert not ActivityLog.objects.filter(action="poster_chosen").exists()


def test_what_ffprobe_says(viewer: User, turning: Attachment) -> None:
    url = f"/moderation/videos/{turning.pk}/probe/"
    html = signed_in(viewer).get(url, headers=HTMX).content.decode()
    told = json.loads(unescape(html.partition(">")[2].partition("</pre>")[0]))
    assert told["streams"][0]["codec_name"] == "h264"
    assert told["format"]["format_name"].startswith("mov")
    assert "filename" not in told["format"]
    Path(turning.file.path).write_bytes(b"no video at all")
    assert "It tells nothing" in signed_in(viewer).get(url).content.decode()
    Path(turning.file.path).unlink()
    assert "It tells nothing" in signed_in(viewer).get(url).content.decode()


def test_who_may(outsider: User, viewer: User, turning: Attachment) -> None:
    for part in ("poster/", "probe/"):
        assert_guarded(f"/moderation/videos/{turning.pk}/{part}", outsider)
    assert signed_in(viewer).get(f"/moderation/videos/{turning.pk}/poster/").status_code == 403
    assert signed_in(viewer).get("/moderation/videos/999999/probe/").status_code == 404
