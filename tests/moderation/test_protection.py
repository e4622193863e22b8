"""What spares the people who look: the blurred picture, each person's choice, how many reveals."""

import base64
import io

import pytest
from django.contrib.auth.models import User
from django.urls import reverse
from PIL import Image, ImageStat

from chat.models import ActivityLog, Attachment, Conversation
from chat.services.video_service import VideoProcessingService
from config.env import env_subset
from moderation.protection import Exposure, Protection, protection_of
from tests.clips import clip
from tests.moderation.pages import assert_guarded, signed_in, video

# Of a picture that is red on its left and blue on its right.
THUMB_HASH = "Ll0GVQYJeIiHeIeHd5dweJh3"
NAME = base64.urlsafe_b64encode(base64.b64decode(THUMB_HASH)).decode().rstrip("=")


@pytest.fixture
def ready(conversation: Conversation) -> Attachment:
    return video(conversation, thumbnail="posters/none.jpg", placeholder=THUMB_HASH)


def picture(content: bytes) -> Image.Image:
    with Image.open(io.BytesIO(content), formats=["PNG"]) as image:
        image.load()
    return image


@pytest.mark.django_db(transaction=True)
def test_the_blurred_picture_is_the_poster_without_detail(viewer, legacy_video) -> None:
    source = "color=c=red:size=320x240:rate=25:duration=1,drawbox=x=160:w=160:color=cyan:t=fill"
    attachment = legacy_video(clip("halves.mp4", source=source, audio=False))
    service = VideoProcessingService()
    assert service.process_video_attachment(attachment).ok
    attachment = Attachment.objects.get(pk=attachment.pk)
    service.make_renditions(attachment)
    attachment.refresh_from_db()
    name = base64.urlsafe_b64encode(base64.b64decode(attachment.placeholder)).decode()
    client = signed_in(viewer)
    answer = client.get(f"/moderation/blurred/{name.rstrip('=')}.png")
    assert answer.headers["Content-Type"] == "image/png"
    assert "immutable" in answer.headers["Cache-Control"]
    assert "private" in answer.headers["Cache-Control"]
    image = picture(answer.content)
    assert image.size == (32, 23)  # the hash knows the shape roughly
    red, _green, blue = image.resize((2, 1), Image.Resampling.BOX).getpixel((0, 0))
    assert red > blue + 60
    red, _green, blue = image.resize((2, 1), Image.Resampling.BOX).getpixel((1, 0))
    assert blue > red + 60
    grey = picture(client.get(f"/moderation/blurred/{name.rstrip('=')}.png?grey").content)
    assert grey.mode == "L"
    assert ImageStat.Stat(grey).stddev[0] > 5


@pytest.mark.parametrize("name", ["x", "a" * 300, "%00", "AAAA", "gICAgICAgICA", "ÿ"])
def test_what_is_no_placeholder(viewer: User, name: str) -> None:
    assert signed_in(viewer).get(f"/moderation/blurred/{name}.png").status_code == 404


def test_who_may_see_it(outsider: User, ready: Attachment) -> None:
    assert_guarded(f"/moderation/blurred/{NAME}.png", outsider)


def test_the_list_has_stand_ins_only(viewer: User, ready: Attachment) -> None:
    html = signed_in(viewer).get("/moderation/videos/").content.decode()
    assert f'<img src="/moderation/blurred/{NAME}.png?grey"' in html
    assert f'src="/moderation/videos/{ready.pk}/thumbnail/' not in html


def test_a_poster_without_a_placeholder_is_hidden_too(
    viewer: User, conversation: Conversation
) -> None:
    video(conversation, thumbnail="posters/none.jpg")
    html = signed_in(viewer).get("/moderation/videos/").content.decode()
    assert "data-reveal" in html
    assert "<img" not in html.partition("<tbody")[2].partition("</tbody>")[0]


def test_the_video_is_hidden_until_asked_for(viewer: User, ready: Attachment) -> None:
    client = signed_in(viewer)
    url = reverse("moderation:video", args=[ready.pk])
    html = client.get(url).content.decode()
    without_template = html.partition("<template")[0] + html.partition("</template>")[2]
    assert "<video" in html
    assert "<video" not in without_template
    assert "/thumbnail/" not in without_template
    assert 'href="?reveal=clear"' in html

    revealed = client.get(f"{url}?reveal=clear").content.decode()
    assert "<template data-video" not in revealed
    assert "<video" in revealed
    assert " muted" in revealed
    assert "is-grey" in revealed
    assert "is-blurred" in client.get(f"{url}?reveal=blurred").content.decode()
    assert Exposure.objects.get(user=viewer).revealed == 2
    assert "<template data-video" in client.get(url).content.decode()  # hidden again


def test_everybody_chooses(viewer: User, moderator: User, ready: Attachment, settings) -> None:
    client = signed_in(viewer)
    answer = client.post("/moderation/protection/", {"small": "on", "next": "/moderation/jobs/"})
    assert answer.status_code == 302
    assert answer["Location"] == "/moderation/jobs/"
    assert protection_of(viewer) == Protection(False, False, False, True)
    assert protection_of(moderator) == Protection(True, True, True, False)
    html = client.get(reverse("moderation:video", args=[ready.pk])).content.decode()
    assert "<template data-video" not in html
    assert "is-small" in html
    assert " muted" not in html

    client.post("/moderation/protection/", {"usual": "1"})
    settings.REVIEWER_PROTECTION = ["blur"]
    assert protection_of(viewer) == Protection(True, False, False, False)


@pytest.mark.parametrize("target", ["https://example.org/", "//example.org", "", "javascript:x"])
def test_it_leads_nowhere_else(viewer: User, target: str) -> None:
    answer = signed_in(viewer).post("/moderation/protection/", {"next": target})
    assert answer["Location"] == "/moderation/videos/"


def test_a_reveal_is_a_view_and_counts(viewer: User, ready: Attachment, settings) -> None:
    settings.BREAK_AFTER_REVEALS = 3
    client = signed_in(viewer)
    url = reverse("moderation:revealed", args=[ready.pk])
    said = [client.post(url).content.decode() for _ in range(4)]
    assert ["3 pictures" in words for words in said] == [False, False, True, False]
    seen = ActivityLog.objects.filter(action="attachment_viewed", object_id=ready.pk)
    assert seen.count() == 1  # one visit
    assert client.get(url).status_code == 405
    assert client.post(reverse("moderation:revealed", args=[10**6])).status_code == 404


def test_a_break_is_suggested_without_javascript_too(
    viewer: User, ready: Attachment, settings
) -> None:
    settings.BREAK_AFTER_REVEALS = 2
    client = signed_in(viewer)
    url = reverse("moderation:video", args=[ready.pk])
    said = [client.get(f"{url}?reveal={how}").content.decode() for how in ("clear", "blurred")]
    assert ["A few minutes of something else help" in html for html in said] == [False, True]
    assert "You have revealed 2 pictures" in said[1]
    assert "You have revealed" not in client.get(url).content.decode()  # nothing was revealed


def test_who_may_count(outsider: User, ready: Attachment) -> None:
    client = signed_in(outsider)
    assert client.post(reverse("moderation:revealed", args=[ready.pk])).status_code == 403
    assert client.post("/moderation/protection/", {}).status_code == 403


@pytest.mark.parametrize(
    ("value", "expected"), [("", ["blur"]), ("none", []), ("Mute,blur", ["mute", "blur"])]
)
def test_the_setting(monkeypatch, value: str, expected: list[str]) -> None:
    monkeypatch.setenv("REVIEWER_PROTECTION", value)
    assert env_subset("REVIEWER_PROTECTION", ["blur"], ["blur", "mute"]) == expected


def test_a_setting_that_is_none_of_them(monkeypatch) -> None:
    monkeypatch.setenv("REVIEWER_PROTECTION", "blurr")
    with pytest.raises(Exception, match="blurr is none of blur, mute"):
        env_subset("REVIEWER_PROTECTION", ["blur"], ["blur", "mute"])
