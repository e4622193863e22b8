"""Reviewer protection by pixels: what is painted, and what is fetched, before and after."""

import io

import pytest
from PIL import Image, ImageChops, ImageFilter, ImageStat
from playwright.sync_api import Page, expect

from tests.browser.conftest import OpenPage, Stage
from tests.running import eventually

pytestmark = pytest.mark.browser

UNFILTERED = ("/thumbnail/", "/stream/", "/preview/", "/storyboard")


@pytest.fixture
def sharp_video(stage: Stage) -> int:
    """A test pattern: all colours, all edges."""
    sql = "SELECT id FROM chat_attachment WHERE original_name = 'screen-recording.webm'"
    number: int = stage.installation.value(sql)
    ready = f"SELECT placeholder != '' FROM chat_attachment WHERE id = {number}"
    stage.installation.wait_for(ready, 1, seconds=120)
    return number


def painted(page: Page) -> Image.Image:
    """The left of the player, where neither words nor controls are."""
    box = page.locator("#player").bounding_box()
    if page.evaluate("document.fullscreenElement !== null"):
        box = {"x": 0, "y": 0, "width": 1440, "height": 900}
    assert box
    clip = {
        "x": box["x"] + box["width"] * 0.03,
        "y": box["y"] + box["height"] * 0.05,
        "width": box["width"] * 0.28,
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
    open_page: OpenPage, sharp_video: int
) -> None:
    page = open_page()
    fetched: list[str] = []
    page.on("request", lambda request: fetched.append(request.url))

    def unfiltered() -> list[str]:
        return [url for url in fetched if any(part in url for part in UNFILTERED)]

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

    page.get_by_role("button", name="Enter fullscreen").click()
    eventually("fullscreen", lambda: page.evaluate("!!document.fullscreenElement"), 10)
    page.wait_for_timeout(300)
    whole = painted(page)
    assert saturation(whole) < 0.5
    assert sharpness(whole) < 20

    page.keyboard.press("Shift+B")  # no longer blurred, still without colour
    page.wait_for_timeout(300)
    clear = painted(page)
    assert saturation(clear) < 0.5
    assert sharpness(clear) > 40
    page.keyboard.press("c")
    page.wait_for_timeout(300)
    assert saturation(painted(page)) > 10

    page.keyboard.press("b")  # hidden again, and out of fullscreen
    expect(page.get_by_text("Hidden until you ask for it")).to_be_visible()
    eventually("no fullscreen", lambda: page.evaluate("!document.fullscreenElement"), 10)
    assert page.locator("#player video").count() == 0
    assert sharpness(painted(page)) < 20


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


def test_choosing(open_page: OpenPage, sharp_video: int) -> None:
    page = open_page()
    page.goto(f"/moderation/videos/{sharp_video}/")
    page.get_by_label("Protection while you look").click()
    page.get_by_label("Blur pictures until I ask for them").uncheck()
    page.get_by_role("button", name="Keep").click()
    expect(page.get_by_text("Your protection has been changed")).to_be_visible()
    expect(page.locator("#player video")).to_be_visible()
    page.get_by_label("Protection while you look").click()
    page.get_by_role("button", name="As usual here").click()
    expect(page.get_by_text("Hidden until you ask for it")).to_be_visible()
