"""Reviewer protection by pixels: what is painted, and what is fetched, before and after."""

import io
import re
from collections.abc import Iterator

import pytest
from PIL import Image, ImageChops, ImageFilter, ImageStat
from playwright.sync_api import Locator, Page, expect

from tests.browser.conftest import A_STORYBOARD, OpenPage, Stage
from tests.running import eventually

pytestmark = pytest.mark.browser

IS_LOADED = "image => image.complete && image.naturalWidth > 0"
# Of what is in the element, without what is around it.
PAINTED_WIDTH = """element => {
    const {paddingLeft, paddingRight} = getComputedStyle(element);
    return element.clientWidth - parseFloat(paddingLeft) - parseFloat(paddingRight);
}"""
UNFILTERED = ("/thumbnail/", "/stream/", "/preview/", "/storyboard")


@pytest.fixture
def sharp_video(stage: Stage) -> int:
    """A test pattern: all colours, all edges."""
    sql = "SELECT id FROM chat_attachment WHERE original_name = 'screen-recording.webm'"
    number: int = stage.installation.value(sql)
    ready = f"SELECT placeholder != '' FROM chat_attachment WHERE id = {number}"
    stage.installation.wait_for(ready, 1, seconds=120)
    return number


IN_TROUBLE = """
from django.contrib.auth.models import User
from django.utils import timezone
from chat.models import Attachment
from chat.services import reports
from chat.services.activity import Actor
from moderation.models import Failure, Job
video = Attachment.objects.get(pk={sharp})
reports.report(video, Actor(user=User.objects.get(username="jonas")), "hate", "", 1)
now = timezone.now()
ended = {{"status": "done", "planned_at": now, "finished_at": now}}
job = Job.objects.create(kind="metadata", scope_words="of a test", total=1, **ended)
Failure.objects.create(job=job, attachment=video, code="corrupt")
print(job.pk)
"""
OUT_OF_TROUBLE = """
from chat.models import ReportCase
from moderation.models import Job
ReportCase.objects.filter(attachment={sharp}).delete()
Job.objects.filter(scope_words="of a test").delete()
"""


@pytest.fixture
def failed_job(stage: Stage, sharp_video: int) -> Iterator[int]:
    """That failed on the video, which is reported too: it is on every page that shows such."""
    yield int(stage.installation.python(IN_TROUBLE.format(sharp=sharp_video)))
    stage.installation.python(OUT_OF_TROUBLE.format(sharp=sharp_video))


def unfiltered_of(urls: list[str]) -> list[str]:
    return [
        url for url in urls if "/static/" not in url and any(part in url for part in UNFILTERED)
    ]


# While it fades in, what is behind it shines through.
APPEARED = "frame => Promise.all(frame.getAnimations().map(animation => animation.finished))"


def painted(
    page: Page, place: Locator | None = None, left: float = 0.03, width: float = 0.28
) -> Image.Image:
    """The left of the player, or a piece of another place: neither words nor controls are
    there."""
    box = (place or page.locator("#player")).bounding_box()
    if page.evaluate("document.fullscreenElement !== null"):
        box = {"x": 0, "y": 0, "width": 1440, "height": 900}
    assert box
    clip = {
        "x": box["x"] + box["width"] * left,
        "y": box["y"] + box["height"] * 0.05,
        "width": box["width"] * width,
        "height": box["height"] * 0.55,
    }
    shot = page.screenshot(clip=clip)  # type: ignore[arg-type]
    return Image.open(io.BytesIO(shot)).convert("RGB")


def saturation(image: Image.Image) -> float:
    """Mean difference of the channels, 0 to 255."""
    red, green, blue = image.split()
    parts = (ImageChops.difference(red, green), ImageChops.difference(green, blue))
    return sum(float(ImageStat.Stat(part).mean[0]) for part in parts)


def sharpness(image: Image.Image) -> float:
    """Strength of the strongest hundredth of edges, 0 to 255."""
    edges = image.convert("L").filter(ImageFilter.FIND_EDGES)
    # The filter leaves the border as it was.
    inner = edges.crop((1, 1, image.width - 1, image.height - 1))
    strengths = sorted(inner.tobytes())
    return float(strengths[len(strengths) * 99 // 100])


def wait_until_painted(page: Page) -> None:
    loaded = "() => document.querySelector('#player video')?.readyState >= 2"
    eventually("a frame is there", lambda: page.evaluate(loaded), 20)
    page.wait_for_timeout(400)  # the poster fades


def test_nothing_is_fetched_or_painted_before_it_is_asked_for(
    stage: Stage, open_page: OpenPage, sharp_video: int
) -> None:
    stage.installation.wait_for(f"{A_STORYBOARD} AND attachment_id = {sharp_video}", 1, 120)
    page = open_page()
    fetched: list[str] = []
    page.on("request", lambda request: fetched.append(request.url))

    def unfiltered() -> list[str]:
        return unfiltered_of(fetched)

    page.goto("/moderation/videos/?codec=vp9")
    page.wait_for_load_state("networkidle")
    page.goto(f"/moderation/videos/{sharp_video}/")
    expect(page.get_by_text("Hidden until you ask for it")).to_be_visible()
    page.wait_for_load_state("networkidle")
    assert unfiltered() == []
    hidden = painted(page)
    assert saturation(hidden) < 0.5
    assert sharpness(hidden) < 20

    page.keyboard.press("Shift+B")  # play it blurred
    wait_until_painted(page)
    blurred = painted(page)
    assert unfiltered() != []
    assert saturation(blurred) < 0.5
    assert sharpness(blurred) < 20
    muted = page.locator("#player video").evaluate("video => video.muted")
    assert muted

    page.locator(".plyr__progress input").hover()  # the storyboard above the place
    moment = page.locator(".plyr__preview-thumb__image-container")
    expect(moment.locator("img").first).to_be_visible()
    moment.locator("img").first.evaluate("image => image.decode()")
    page.locator(".plyr__preview-thumb--is-shown").evaluate(APPEARED)
    board = painted(page, moment, left=0.3)
    assert saturation(board) < 0.5
    assert sharpness(board) < 20

    page.get_by_role("button", name="Enter fullscreen").click()
    eventually("fullscreen", lambda: page.evaluate("!!document.fullscreenElement"), 10)
    page.wait_for_timeout(300)
    whole = painted(page)
    assert saturation(whole) < 0.5
    assert sharpness(whole) < 20

    page.keyboard.press("Shift+B")  # no longer blurred, still without colour
    eventually("it is clear", lambda: sharpness(painted(page)) > 40, 10)
    assert saturation(painted(page)) < 0.5
    page.keyboard.press("c")
    eventually("it has colours", lambda: saturation(painted(page)) > 10, 10)

    page.keyboard.press("b")  # hidden again, and out of fullscreen
    expect(page.get_by_text("Hidden until you ask for it")).to_be_visible()
    eventually("no fullscreen", lambda: page.evaluate("!document.fullscreenElement"), 10)
    assert page.locator("#player video").count() == 0
    page.evaluate("scrollTo(0, 0)")  # from beneath the bar, where a click may have scrolled it
    eventually("its stand-in is painted", lambda: sharpness(painted(page)) < 20, 10)


@pytest.mark.parametrize(
    ("address", "picture"),
    [
        ("videos/?q=screen-recording", "tbody .thumb"),
        ("videos/?view=grid&q=screen-recording", ".tile-picture"),
        ("videos/{before}/?from=sort%3Dname", '.neighbours [rel="next"] .thumb'),
        ("videos/decide/?action=quarantine&selected={sharp}", ".samples .thumb"),
        ("jobs/new/?kind=thumbnails&selection=1&selected={sharp}", ".samples .thumb"),
        ("jobs/{job}/", ".list-failures .thumb"),
        ("reports/", ".list-reports tr:has([href*='/{sharp}/']) .thumb"),
        ("videos/{sharp}/report/", ".paper figure"),
    ],
)
def test_every_small_picture_is_a_stand_in(
    stage: Stage,
    open_page: OpenPage,
    sharp_video: int,
    failed_job: int,
    address: str,
    picture: str,
) -> None:
    before = (
        "SELECT id FROM chat_attachment WHERE kind = 'video' AND original_name < 'screen-'"
        " ORDER BY original_name DESC LIMIT 1"
    )
    numbers = {
        "sharp": sharp_video,
        "before": stage.installation.value(before),
        "job": failed_job,
    }
    page = open_page()
    fetched: list[str] = []
    page.on("request", lambda request: fetched.append(request.url))
    page.goto(f"/moderation/{address.format(**numbers)}")
    page.wait_for_load_state("networkidle")
    place = page.locator(picture.format(**numbers)).first
    expect(place.locator("img")).to_be_visible()
    image = painted(page, place)
    assert saturation(image) < 0.5
    assert sharpness(image) < 20
    assert unfiltered_of(fetched) == []
    for height in (400, 900):  # whatever comes into view, and whatever is hovered
        page.set_viewport_size({"width": 1440, "height": height})
        place.hover()
    page.wait_for_load_state("networkidle")
    assert unfiltered_of(fetched) == []


def choose(page: Page, *measures: str) -> None:
    page.get_by_label("Protection while you look").click()
    for name in ("blur", "greyscale", "mute", "small"):
        page.locator(f".menu-form [name={name}]").set_checked(name in measures)
    page.get_by_role("button", name="Keep").click()
    expect(page.get_by_text("Your protection has been changed")).to_be_visible()


def test_each_measure_alone(open_page: OpenPage, sharp_video: int) -> None:
    """Everywhere a picture is painted, without blur: colour, sound and size."""
    page = open_page("vera")
    small_pictures = {
        "videos/?q=screen-recording": "tbody .thumb",
        "videos/?view=grid&q=screen-recording": ".tile-picture",
    }

    def seen(measure: str) -> tuple[list[float], list[float], bool]:
        """How colourful and how wide each is; whether the video is mute."""
        choose(page, measure)
        colours, widths = [], []
        for address, picture in small_pictures.items():
            page.goto(f"/moderation/{address}")
            image = page.locator(picture).first.locator("img")
            eventually("it is there", lambda i=image: i.evaluate(IS_LOADED), 20)
            colours.append(saturation(painted(page, page.locator(picture).first, left=0.3)))
            widths.append(image.evaluate(PAINTED_WIDTH))
        page.goto(f"/moderation/videos/{sharp_video}/")
        wait_until_painted(page)
        colours.append(saturation(painted(page, page.locator("#player video"))))
        widths.append(page.locator("#player video").evaluate(PAINTED_WIDTH))
        mute = bool(page.locator("#player video").evaluate("video => video.muted"))
        page.keyboard.press("F")
        eventually("fullscreen", lambda: page.evaluate("!!document.fullscreenElement"), 10)
        page.wait_for_timeout(300)
        # Beside the button that plays it.
        colours.append(saturation(painted(page, left=0.36, width=0.1)))
        widths.append(page.locator("#player video").evaluate(PAINTED_WIDTH))
        page.keyboard.press("F")
        eventually("no fullscreen", lambda: page.evaluate("!document.fullscreenElement"), 10)
        return colours, widths, mute

    colours, widths, mute = seen("greyscale")
    assert max(colours) < 0.5
    assert not mute
    coloured, small, mute = seen("small")
    assert min(coloured) > 5
    assert not mute
    assert all(now < before * 0.8 for now, before in zip(small, widths, strict=True))
    coloured, wide, mute = seen("mute")
    assert min(coloured) > 5
    assert mute
    assert wide == widths
    page.goto("/moderation/videos/")
    page.get_by_label("Protection while you look").click()
    page.get_by_role("button", name="As usual here").click()
    expect(page.get_by_role("button", name=re.compile("^Reveal ")).first).to_be_visible()


def test_leaving_hides(open_page: OpenPage, sharp_video: int) -> None:
    page = open_page()
    page.goto(f"/moderation/videos/{sharp_video}/")
    page.keyboard.press("b")
    wait_until_painted(page)
    page.goto("/moderation/videos/")
    page.go_back()
    expect(page.get_by_text("Hidden until you ask for it")).to_be_visible()
    assert page.locator("#player video").count() == 0


def test_a_picture_of_a_list(open_page: OpenPage, sharp_video: int) -> None:
    page = open_page()
    page.goto("/moderation/videos/?q=screen-recording")
    button = page.get_by_role("button", name="Reveal screen-recording.webm")
    image = page.locator("#results tbody .thumb img").first
    stand_in = image.get_attribute("src")
    assert "/blurred/" in str(stand_in)
    page.keyboard.press("j")
    page.keyboard.press("b")
    expect(button).to_have_attribute("aria-pressed", "true")
    assert "/thumbnail/" in str(image.get_attribute("src"))
    page.keyboard.press("b")
    expect(image).to_have_attribute("src", str(stand_in))


def test_a_grid(stage: Stage, open_page: OpenPage, sharp_video: int) -> None:
    stage.installation.wait_for(f"{A_STORYBOARD} AND attachment_id = {sharp_video}", 1, 120)
    page = open_page()
    fetched: list[str] = []
    page.on("request", lambda request: fetched.append(request.url))

    def unfiltered() -> list[str]:
        return unfiltered_of(fetched)

    page.goto("/moderation/videos/?view=grid&q=screen-recording")
    tile = page.locator(".tile:has([data-storyboard])").first
    picture = tile.locator(".tile-picture")
    tile.hover()
    page.mouse.move(0, 0)
    page.keyboard.press("j")
    page.keyboard.press("ArrowRight")
    page.wait_for_load_state("networkidle")
    assert unfiltered() == []
    assert page.locator(".scrub").count() == 0

    page.keyboard.press("b")
    shown = (
        "image => image.src.includes('/thumbnail/') && image.complete && image.naturalWidth > 0"
    )
    eventually("the poster", lambda: picture.locator("img").evaluate(shown), 10)
    expect(picture.locator(".scrub-screen")).to_be_visible()
    assert {part for part in UNFILTERED if any(part in url for url in unfiltered())} == {
        "/thumbnail/",
        "/storyboard",
    }
    board = painted(page, picture, left=0.3)
    assert sharpness(board) > 3
    assert saturation(board) < 0.5
    with page.expect_response(lambda answer: "view=grid" in answer.url):
        page.evaluate("htmx.trigger('[hx-trigger*=refresh-now]', 'refresh-now')")
    page.wait_for_timeout(300)
    assert picture.locator("img").evaluate(shown)  # a refresh leaves it

    page.keyboard.press("b")
    expect(page.locator(".scrub")).to_have_count(0)
    assert "/blurred/" in str(picture.locator("img").get_attribute("src"))
    tile.hover()
    page.wait_for_timeout(300)
    assert page.locator(".scrub").count() == 0


def test_without_javascript(open_page: OpenPage, sharp_video: int) -> None:
    page = open_page(java_script_enabled=False)
    page.goto(f"/moderation/videos/{sharp_video}/")
    assert page.locator("video").count() == 0
    page.get_by_role("link", name="Reveal").click()
    expect(page.locator("video[controls]")).to_be_visible()
    page.goto(f"/moderation/videos/{sharp_video}/")
    assert page.locator("video").count() == 0


def test_the_player_steps_and_begins_where_it_was_told(
    open_page: OpenPage, sharp_video: int
) -> None:
    page = open_page()
    page.goto(f"/moderation/videos/{sharp_video}/?t=0.6")
    page.keyboard.press("b")
    wait_until_painted(page)
    place = "document.querySelector('#player video').currentTime"
    assert abs(page.evaluate(place) - 0.6) < 0.1
    page.keyboard.press(".")
    eventually("a frame on", lambda: abs(page.evaluate(place) - 0.64) < 0.005, 5)
    page.keyboard.press(",")
    page.keyboard.press(",")
    eventually("two frames back", lambda: abs(page.evaluate(place) - 0.56) < 0.005, 5)
    page.keyboard.press("t")
    eventually("to the moment", lambda: abs(page.evaluate(place) - 0.6) < 0.005, 5)

    page.get_by_role("button", name="Settings").click()
    page.get_by_role("menuitem", name=re.compile("^Speed")).click()
    page.get_by_role("menuitemradio", name="2×").click()
    assert page.evaluate("document.querySelector('#player video').playbackRate") == 2


def test_choosing(stage: Stage, open_page: OpenPage, sharp_video: int) -> None:
    page = open_page()
    page.goto(f"/moderation/videos/{sharp_video}/")
    page.get_by_label("Protection while you look").click()
    page.get_by_label("Blur pictures until I ask for them").uncheck()
    page.get_by_role("button", name="Keep").click()
    expect(page.get_by_text("Your protection has been changed")).to_be_visible()
    expect(page.locator("#player video")).to_be_visible()
    stage.installation.wait_for(A_STORYBOARD, 1, 120)
    page.goto("/moderation/videos/?view=grid&sort=-duration")
    tile = page.locator("[data-storyboard]").first
    assert "/thumbnail/" in str(tile.locator("img").get_attribute("src"))
    tile.hover()
    expect(tile.locator(".scrub-screen")).to_be_visible()
    page.get_by_label("Protection while you look").click()
    page.get_by_role("button", name="As usual here").click()
    expect(page.get_by_role("button", name=re.compile("^Reveal ")).first).to_be_visible()
