"""The dashboard as a person uses it, in a real browser, with real videos and a real consumer."""

import re

import pytest
from playwright.sync_api import Page, expect

from moderation.tables import VideoTable
from tests.browser.conftest import PASSWORD, OpenPage, Stage, assert_fits, sign_in
from tests.running import eventually

pytestmark = pytest.mark.browser

ROWS = "#results tbody tr"


def stay(page: Page) -> None:
    """Mark the document, to see later that no page load has replaced it."""
    page.evaluate("() => { window.stayed = true; }")


def has_stayed(page: Page) -> bool:
    return bool(page.evaluate("() => window.stayed === true"))


def rows(page: Page) -> list[str]:
    return [name.strip() for name in page.locator(f"{ROWS} .row-link").all_inner_texts()]


def test_signing_in_and_out(open_page: OpenPage) -> None:
    page = open_page(user="")
    page.goto("/moderation/jobs/")
    expect(page).to_have_url(re.compile(r"/moderation/sign-in/\?next=/moderation/jobs/"))
    page.get_by_label("User name").fill("admin")
    page.get_by_label("Password").fill("wrong")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_contain_text("not right")
    page.get_by_label("Password").fill(PASSWORD)
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile(r"/moderation/jobs/$"))
    page.get_by_label("Your account").click()
    page.get_by_role("button", name="Sign out").click()
    expect(page).to_have_url(re.compile(r"/moderation/sign-in/$"))


def test_searching_filtering_and_going_back(open_page: OpenPage) -> None:
    page = open_page()
    every = page.locator(ROWS).count()
    assert every > 10
    stay(page)

    page.keyboard.press("/")
    page.keyboard.type("mp4")
    expect(page).to_have_url(re.compile(r"\?q=mp4$"))
    expect(page.locator(".chip")).to_have_text(["matches “mp4”"])
    found = page.locator(ROWS).count()
    assert 0 < found < every
    expect(page.get_by_role("searchbox")).to_be_focused()

    page.get_by_role("searchbox").blur()
    page.keyboard.press("f")
    page.get_by_role("combobox", name="State").select_option("Failed")
    expect(page).to_have_url(re.compile(r"state=failed"))
    page.get_by_label("Length from").fill("a while")
    page.keyboard.press("Tab")
    expect(page.locator("#id_duration_min_error")).to_contain_text("“a while” is not a length")
    page.get_by_label("Length from").fill("")
    page.keyboard.press("Tab")
    expect(page.locator("#id_duration_min_error")).to_be_empty()
    assert has_stayed(page)

    while "?" in page.url:
        page.go_back()
        page.wait_for_timeout(100)
    expect(page.locator(ROWS)).to_have_count(every)
    expect(page.get_by_role("searchbox")).to_have_value("")


def test_sorting(open_page: OpenPage) -> None:
    page = open_page()
    stay(page)
    header = page.get_by_role("columnheader", name="Name")
    header.get_by_role("link").click()
    expect(header).to_have_attribute("aria-sort", "ascending")
    ascending = rows(page)
    header.get_by_role("link").click()
    expect(header).to_have_attribute("aria-sort", "descending")
    expect(page).to_have_url(re.compile("sort=-name"))
    assert rows(page) == ascending[::-1]
    assert has_stayed(page)
    page.keyboard.press("f")
    page.get_by_role("combobox", name="State").select_option("Ready")
    expect(page).to_have_url(re.compile("sort=-name"))  # the order outlives a filter
    expect(page).to_have_url(re.compile("state=ready"))


def test_the_keyboard_keeps_its_place(open_page: OpenPage) -> None:
    page = open_page()
    page.goto("/moderation/videos/")
    page.locator("#sort-size").press("Enter")
    header = page.get_by_role("columnheader", name="Size")
    expect(header).to_have_attribute("aria-sort", re.compile("ascending|descending"))
    expect(page.locator("#sort-size")).to_be_focused()
    page.goto("/moderation/activity/")
    page.get_by_role("link", name="Older").press("Enter")
    expect(page).to_have_url(re.compile("before="))
    expect(page.locator("#page-older")).to_be_focused()


def test_a_chip_takes_its_filter_away(open_page: OpenPage) -> None:
    page = open_page()
    page.goto("/moderation/videos/?q=zzz&codec=h264")
    expect(page.get_by_role("heading", name="No video matches")).to_be_visible()
    page.get_by_role("link", name="matches “zzz”").click()
    expect(page).to_have_url(re.compile(r"/videos/\?codec=h264$"))
    assert page.locator(ROWS).count() > 0


def test_playing_and_seeking(open_page: OpenPage) -> None:
    page = open_page()
    page.goto("/moderation/videos/?codec=h264&state=ready&sort=-duration")
    page.locator(ROWS).first.click()
    page.get_by_role("link", name="Reveal").click()
    player = page.locator("video")
    metadata = "video => video.readyState >= 1 && video.videoWidth"
    eventually("metadata is there", lambda: player.evaluate(metadata), 20)
    duration = player.evaluate("video => video.duration")
    assert duration > 1
    player.evaluate("(video) => { video.muted = true; video.currentTime = video.duration / 2; }")
    sought = "video => !video.seeking && video.readyState >= 2"
    eventually("the frame is there", lambda: player.evaluate(sought), 20)
    assert abs(player.evaluate("video => video.currentTime") - duration / 2) < 0.2
    player.evaluate("video => video.play()")
    moved = f"video => video.currentTime > {duration / 2 + 0.1}"
    eventually("it plays on from there", lambda: player.evaluate(moved), 20)
    expect(page.locator("#cannot-play")).to_be_hidden()
    expect(page.get_by_text("viewed").first).to_be_visible()


def backfill(stage: Stage) -> None:
    """See to it that the demo's legacy videos are processed; some of them fail."""
    pending = "SELECT count(*) FROM chat_attachment WHERE processing_state = 'pending'"
    if stage.installation.value(pending):
        stage.installation.manage("backfill_video_metadata", status=1)


def test_a_preview_plays_where_the_original_does_not(open_page: OpenPage, stage: Stage) -> None:
    """HEVC, of which Chromium has no decoder."""
    backfill(stage)
    page = open_page()
    page.goto("/moderation/videos/?codec=hevc&state=ready")
    page.locator(ROWS).first.click()

    def is_offered() -> bool:
        page.reload()
        return page.get_by_text("This is a smaller copy").is_visible()

    eventually("the preview is made", is_offered, 120)
    page.get_by_role("link", name="Reveal").click()
    player = page.locator("video")
    moved = "video => { video.muted = true; video.play(); return video.currentTime > 0.2; }"
    eventually("it plays", lambda: player.evaluate(moved), 20)
    expect(page.locator("#cannot-play")).to_be_hidden()


def test_a_video_that_the_browser_cannot_play(open_page: OpenPage, stage: Stage) -> None:
    backfill(stage)
    page = open_page()
    page.goto("/moderation/videos/?state=failed")
    page.locator(ROWS).first.click()
    expect(page.get_by_text("Processing failed.")).to_be_visible()
    with page.expect_download() as download:
        page.get_by_role("link", name="Download", exact=True).click()
    assert download.value.path().stat().st_size > 0


def test_the_theme_follows_the_system_until_it_is_chosen(open_page: OpenPage) -> None:
    page = open_page(color_scheme="dark")
    html = page.locator("html")
    expect(html).to_have_attribute("data-bs-theme", "dark")
    choose = page.get_by_role("group", name="Theme")
    page.get_by_label("Theme").first.click()
    expect(choose.get_by_role("button", name="As the system")).to_have_attribute(
        "aria-pressed", "true"
    )
    choose.get_by_role("button", name="Light").click()
    expect(choose).to_be_hidden()
    expect(html).to_have_attribute("data-bs-theme", "light")
    page.reload()
    expect(html).to_have_attribute("data-bs-theme", "light")
    page.get_by_label("Theme").first.click()
    choose.get_by_role("button", name="As the system").click()
    expect(html).to_have_attribute("data-bs-theme", "dark")
    page.emulate_media(color_scheme="light")
    expect(html).to_have_attribute("data-bs-theme", "light")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(247, 248, 250)"


@pytest.mark.parametrize("width", [390, 768, 1024, 1440])
def test_every_page_fits(open_page: OpenPage, stage: Stage, width: int) -> None:
    page = open_page(width=width, height=844)
    video = stage.installation.value("SELECT max(id) FROM chat_attachment")
    for path in ("videos/", f"videos/{video}/", "activity/", "jobs/", "jobs/new/?only=all"):
        page.goto(f"/moderation/{path}")
        assert_fits(page)
    every = "&".join(f"columns={name}" for name in VideoTable.CHOOSABLE)
    for path in (f"videos/?{every}", "videos/?columns=number", "reports/"):
        page.goto(f"/moderation/{path}")
        expect(page.locator("main")).to_be_visible()
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), path
    if width == 390:
        page.goto("/moderation/videos/")
        expect(page.locator(".rail")).to_have_css("position", "fixed")
        page.locator("details.filters > summary").click()
        page.get_by_role("combobox", name="State").select_option("Failed")
        page.get_by_role("button", name="Done").click()
        expect(page.get_by_role("combobox", name="State")).to_be_hidden()
        expect(page.locator(".chip")).to_contain_text("state is failed")
        assert_fits(page)


def test_without_javascript(open_page: OpenPage) -> None:
    page = open_page(java_script_enabled=False)
    page.locator("details.filters > summary").click()
    page.get_by_role("combobox", name="State").select_option("Ready")
    page.get_by_role("button", name="Apply").click()
    expect(page).to_have_url(re.compile(r"state=ready"))
    page.get_by_role("link", name="Size").click()
    expect(page).to_have_url(re.compile(r"sort=size"))
    expect(page.get_by_label("Select all on this page")).to_be_hidden()
    page.get_by_role("checkbox").nth(0).check()
    page.get_by_role("button", name="Process again").click()
    expect(page.get_by_text("1 selected video")).to_be_visible()
    page.get_by_role("link", name="Measure how long it takes").click()
    expect(page.locator(".estimate")).to_contain_text("1 measured")
    page.get_by_label("Workers at once").fill("0")
    page.get_by_role("button", name="Start on 1 video").click()
    expect(page.locator("#id_workers_error")).to_contain_text("greater than or equal to 1")
    page.get_by_label("Workers at once").fill("1")
    page.get_by_role("button", name="Start on 1 video").click()
    expect(page).to_have_url(re.compile(r"/moderation/jobs/\d+/$"))


def test_somebody_without_the_right(open_page: OpenPage, stage: Stage) -> None:
    stage.installation.python(
        "from django.contrib.auth.models import User\n"
        "User.objects.filter(username='guest').exists() or "
        f"User.objects.create_user('guest', password='{PASSWORD}')"
    )
    page = open_page(user="")
    page.goto("/moderation/sign-in/")
    page.get_by_label("User name").fill("guest")
    page.get_by_label("Password").fill(PASSWORD)
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="You may not open this page")).to_be_visible()
    page.get_by_role("button", name="Sign out").click()
    sign_in(page, "admin")
    open_page.forgive("403 (Forbidden)")  # which the browser itself reports
