"""Keys and the command palette, on the list of videos and elsewhere."""

import re

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import OpenPage

pytestmark = pytest.mark.browser

ROWS = "#results tbody tr"


def test_rows_by_keyboard(open_page: OpenPage) -> None:
    page = open_page()
    page.goto("/moderation/videos/")
    rows = page.locator(ROWS)
    page.keyboard.press("j")
    expect(rows.nth(0)).to_have_class(re.compile("is-current"))
    page.keyboard.press("j")
    page.keyboard.press("j")
    page.keyboard.press("k")
    expect(rows.nth(1).locator("[data-row-open]")).to_be_focused()
    page.keyboard.press("x")
    expect(rows.nth(1).get_by_role("checkbox")).to_be_checked()
    name = rows.nth(1).locator("[data-row-open]").get_attribute("title")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text(name or "")


def test_the_current_row_outlives_a_swap(open_page: OpenPage) -> None:
    page = open_page()
    page.goto("/moderation/videos/?per_page=100")
    page.keyboard.press("j")
    page.keyboard.press("j")
    row = page.locator(f"{ROWS}.is-current").get_attribute("id")
    header = page.get_by_role("columnheader", name="Name")
    header.get_by_role("link").click()
    expect(header).to_have_attribute("aria-sort", "ascending")
    expect(page.locator(f"{ROWS}.is-current")).to_have_id(row or "")


def test_no_key_is_taken_while_one_types_or_holds_another(open_page: OpenPage) -> None:
    page = open_page()
    page.goto("/moderation/videos/")
    page.keyboard.press("/")
    page.keyboard.type("g j?x")
    expect(page.get_by_role("searchbox")).to_have_value("g j?x")
    expect(page.get_by_role("dialog")).to_have_count(0)
    page.get_by_role("searchbox").fill("")
    page.get_by_role("searchbox").blur()
    page.keyboard.press("Control+j")
    page.keyboard.press("Alt+j")
    expect(page.locator(".is-current")).to_have_count(0)
    expect(page).to_have_url(re.compile("/moderation/videos/"))


def test_going_places_and_seeing_the_keys(open_page: OpenPage) -> None:
    page = open_page()
    pages = {"o": "", "a": "activity/", "j": "jobs/", "h": "health/", "v": "videos/"}
    for key, address in pages.items():
        page.keyboard.press("g")
        page.keyboard.press(key)
        expect(page).to_have_url(re.compile(f"/moderation/{address}$"))
        page.wait_for_load_state()  # keys are taken once the page is there
    page.keyboard.press("?")
    dialog = page.get_by_role("dialog", name="Keys")
    expect(dialog.get_by_role("heading", name="Go to")).to_be_visible()
    expect(dialog).to_contain_text("Next row")
    expect(dialog).to_contain_text("Search videos")
    for each in dialog.locator("dt").all():
        expect(each).to_be_in_viewport(ratio=1)
    page.keyboard.press("j")  # taken by nothing beneath
    expect(page.locator(".is-current")).to_have_count(0)
    page.set_viewport_size({"width": 390, "height": 844})
    assert dialog.evaluate("all => all.scrollWidth <= all.clientWidth")
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()


def test_the_palette(open_page: OpenPage) -> None:
    page = open_page()
    page.goto("/moderation/jobs/")
    palette = page.get_by_role("dialog", name="Commands")
    chosen = palette.locator('[aria-selected="true"]')

    page.keyboard.press("Control+k")
    expect(palette.get_by_role("combobox")).to_be_focused()
    page.keyboard.type("dark th")
    expect(palette).to_contain_text("Search videos for “dark th”")  # the server has answered
    expect(chosen).to_contain_text("Dark theme")
    page.keyboard.press("Enter")
    expect(page.locator("html")).to_have_attribute("data-bs-theme", "dark")
    expect(palette).to_be_hidden()

    page.get_by_label("Commands", exact=True).first.click()
    page.keyboard.type("go")
    page.keyboard.press("ArrowUp")  # from the first to the last
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Escape")

    page.keyboard.press("Control+k")
    page.keyboard.type("dusk")
    expect(chosen).to_contain_text("Harbour at dusk.mp4")
    field = palette.get_by_role("combobox")
    expect(field).to_have_attribute("aria-activedescendant", re.compile("^palette-videos-1$"))
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("Harbour at dusk.mp4")

    page.wait_for_load_state()  # keys are taken once the page is there
    number = page.url.rstrip("/").rpartition("/")[2]
    page.keyboard.press("Control+k")
    page.keyboard.type(f"#{number}")
    expect(chosen).to_contain_text("Harbour at dusk.mp4")
    page.keyboard.press("Control+k")
    expect(palette).to_be_hidden()


def test_a_palette_whose_search_fails_says_so(open_page: OpenPage) -> None:
    """Itself: what the page says is behind it."""
    page = open_page()
    address = "**/moderation/palette/**"
    page.route(address, lambda route: route.fulfill(status=503, body="<h1>Oh</h1>"))
    palette = page.get_by_role("dialog", name="Commands")
    page.keyboard.press("Control+k")
    page.keyboard.type("harbour")
    expect(palette.get_by_text("The server did not answer")).to_be_visible()
    page.unroute(address)
    page.keyboard.type(" at")
    expect(palette.locator('[aria-selected="true"]')).to_contain_text("Harbour at dusk.mp4")
    expect(palette.get_by_text("The server did not answer")).to_be_hidden()
    open_page.forgive("status of 503")  # which the browser itself reports
    open_page.forgive("Error Code 503")
