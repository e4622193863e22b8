"""The list of videos in a real browser: grid, scrubbing, selection, bulk actions, views."""

import re

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import A_STORYBOARD, OpenPage, Stage, assert_fits
from tests.browser.more_videos import more_videos
from tests.running import eventually

pytestmark = pytest.mark.browser

LIST = "/moderation/videos/"
ROWS = "#results tbody tr"


def names(page: Page) -> list[str]:
    return [name.strip() for name in page.locator(f"{ROWS} .row-link").all_inner_texts()]


def test_one_address_gives_one_list(open_page: OpenPage) -> None:
    """Filter, sort, columns; then Back, Forward, reload and the address in another tab."""
    page = open_page()
    page.keyboard.press("f")
    page.get_by_label("Container").select_option("mp4")
    expect(page.locator(".chip")).to_have_text(["container is MP4"])
    page.keyboard.press("Escape")
    page.get_by_text("Columns", exact=True).click()
    page.get_by_label("Uploader", exact=True).last.check()
    expect(page).to_have_url(re.compile("columns=uploader"))
    page.keyboard.press("Escape")
    page.locator("#sort-size").click()
    expect(page).to_have_url(re.compile("sort=size"))
    shown, url = names(page), page.url
    assert len(shown) > 3
    page.locator(".chip").click()
    expect(page.locator(".chip")).to_have_count(0)
    page.go_back()
    expect(page.locator(".chip")).to_have_text(["container is MP4"])
    assert (names(page), page.url) == (shown, url)
    page.reload()
    assert names(page) == shown
    other = page.context.new_page()
    other.goto(url)
    assert names(other) == shown
    expect(other.locator("th.col-uploader")).to_be_visible()
    # Into a tab of its own: what the link alone would show, sorted the other way.
    with page.context.expect_page() as opened:
        page.locator("#sort-size").click(modifiers=["Control"])
    expect(opened.value).to_have_url(re.compile("sort=-?size"))
    expect(opened.value.locator(".chip")).to_have_text(["container is MP4"])
    assert sorted(names(opened.value)) == sorted(shown)
    assert (names(page), page.url) == (shown, url)


@pytest.mark.parametrize(
    ("address", "field", "value"),
    [
        ("reports", "State", "settled"),
        ("activity", "Action", "signed_in"),
        ("people", "Role", "viewer"),
    ],
)
def test_so_does_one_address_of_the_other_lists(
    open_page: OpenPage, address: str, field: str, value: str
) -> None:
    page = open_page()
    page.goto(f"/moderation/{address}/")

    def rows(of: Page) -> list[str]:
        of.wait_for_load_state()
        numbers = "rows => rows.map((row) => row.id || row.querySelector('a').href)"
        shown: list[str] = of.locator("#results tbody tr").evaluate_all(numbers)
        return shown

    everything = rows(page)
    page.keyboard.press("f")
    page.get_by_label(field, exact=True).select_option(value)
    expect(page.locator(".chip")).to_have_count(1)
    shown, url = rows(page), page.url
    assert f"={value}" in url
    page.go_back()
    expect(page.locator(".chip")).to_have_count(0)
    assert rows(page) == everything
    page.go_forward()
    expect(page.locator(".chip")).to_have_count(1)
    assert (rows(page), page.url) == (shown, url)
    page.reload()
    assert rows(page) == shown
    other = page.context.new_page()
    other.goto(url)
    assert rows(other) == shown


def test_neighbours_are_fetched_ahead_and_viewed_when_they_are_opened(
    stage: Stage, open_page: OpenPage
) -> None:
    with more_videos(stage, "ahead", 2) as (following, first):
        views = (
            "SELECT count(*) FROM chat_activitylog WHERE action = 'attachment_viewed'"
            f" AND object_type = 'attachment' AND object_id = {following}"
        )
        page = open_page()
        page.goto(f"{LIST}?q=ahead")
        with page.expect_event("requestfinished", lambda done: f"/{following}/?from=" in done.url):
            page.locator(f'{ROWS} .row-link[href*="/{first}/"]').click()
        assert stage.installation.value(views) == 0
        page.keyboard.press("j")
        expect(page.get_by_role("heading", level=1)).to_have_text("ahead 01.webm")
        came = page.evaluate("performance.getEntriesByType('navigation')[0].deliveryType")
        assert came == "navigational-prefetch"
        stage.installation.wait_for(views, 1)


def test_a_refresh_keeps_selection_focus_and_scroll(open_page: OpenPage) -> None:
    page = open_page(height=500)
    page.locator(f"{ROWS} [name=selected]").nth(8).check()
    link = page.locator(f"{ROWS} .row-link").nth(9)
    link.focus()
    scrolled = page.evaluate("scrollY")
    assert scrolled > 0
    with page.expect_response(lambda answer: "/moderation/videos/" in answer.url):
        page.evaluate("htmx.trigger('[hx-trigger*=refresh-now]', 'refresh-now')")
    page.wait_for_function("() => !document.querySelector('.htmx-request')")
    expect(page.locator(f"{ROWS} [name=selected]").nth(8)).to_be_checked()
    expect(link).to_be_focused()
    assert page.evaluate("scrollY") == scrolled
    expect(page.locator("[data-selected-count]")).to_have_text("1 selected")


def test_tiles_are_scrubbed_by_pointer_and_keyboard(stage: Stage, open_page: OpenPage) -> None:
    stage.installation.wait_for(A_STORYBOARD, 1, 120)
    page = open_page()
    page.get_by_label("Grid", exact=True).click()
    expect(page).to_have_url(re.compile("view=grid"))
    page.goto(f"{LIST}?view=grid&sort=-duration")  # the longest has most moments
    tile = page.locator("[data-storyboard]").first
    expect(tile).to_be_visible()
    tile.get_by_role("button").click()
    heights = page.evaluate(
        """() => { const first = document.querySelectorAll(".tile-picture");
        const top = first[0].getBoundingClientRect().top;
        return [...first].map((each) => each.getBoundingClientRect())
            .filter((box) => Math.abs(box.top - top) < 1).map((box) => box.height); }"""
    )
    assert len(heights) > 1
    assert max(heights) - min(heights) < 2

    box = tile.bounding_box()
    assert box
    position = "() => document.querySelector('.scrub-screen')?.style.backgroundPosition"
    page.mouse.move(box["x"] + 4, box["y"] + box["height"] / 2)
    expect(tile.locator(".scrub-screen")).to_be_visible()
    first = page.evaluate(position)
    page.mouse.move(box["x"] + box["width"] - 4, box["y"] + box["height"] / 2)
    eventually("another moment is shown", lambda: page.evaluate(position) != first, 10)
    page.mouse.move(0, 0)
    expect(page.locator(".scrub")).to_have_count(0)

    page.keyboard.press("Tab")
    tile.get_by_role("link").focus()
    expect(tile.locator(".scrub-screen")).to_be_visible()
    page.keyboard.press("ArrowRight")
    second = page.evaluate(position)
    page.keyboard.press("ArrowLeft")
    assert page.evaluate(position) != second
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile(r"/moderation/videos/\d+/"))


def test_a_grid_fits_a_phone(open_page: OpenPage) -> None:
    page = open_page(width=390, height=844)
    page.goto(f"{LIST}?view=grid")
    expect(page.locator(".tile").first).to_be_visible()
    assert_fits(page)
    page.locator("summary", has_text="Filters").click()
    expect(page.locator("#id_codec")).to_be_visible()
    assert_fits(page)


@pytest.mark.parametrize("javascript", [True, False])
def test_selected_rows_are_quarantined_and_given_back(
    open_page: OpenPage, javascript: bool
) -> None:
    page = open_page(java_script_enabled=javascript)
    page.goto(f"{LIST}?container=webm")
    boxes = page.locator(f"{ROWS} [name=selected]")
    boxes.nth(0).check()
    page.get_by_role("button", name="Quarantine").click()
    expect(page.get_by_role("heading", name="Quarantine 1 video")).to_be_visible()
    page.get_by_label("Reason").select_option("spam")
    page.get_by_role("button", name="Quarantine 1 video").click()
    expect(page).to_have_url(re.compile(r"\?container=webm$"))
    expect(page.get_by_text("1 video quarantined.")).to_be_visible()
    expect(page.locator(ROWS).first).to_contain_text("Quarantined")
    page.get_by_role("button", name="Undo").click()
    expect(page.get_by_text("1 video as before.")).to_be_visible()
    expect(page.locator(ROWS).first).not_to_contain_text("Quarantined")


def test_a_row_is_decided_on_by_key_pointer_and_menu(open_page: OpenPage) -> None:
    page = open_page()
    page.goto(f"{LIST}?container=webm")
    second = page.locator(ROWS).nth(1)
    at_hand = second.locator(".row-decisions")
    expect(at_hand).to_have_css("opacity", "0")
    second.hover()
    expect(at_hand).to_have_css("opacity", "1")
    name = names(page)[1]
    for press in (("j", "j", "q"), ("j", "j", "m", "Enter")):  # its key; its menu, at its first
        for key in press:
            page.keyboard.press(key)
        expect(page.get_by_role("heading", name="Quarantine 1 video")).to_be_visible()
        expect(page.locator(".samples")).to_contain_text(name[:4])
        page.get_by_role("link", name="Leave as it is").click()
        expect(page).to_have_url(re.compile(r"\?container=webm$"))
    # What is selected comes before the row one is at.
    for key in ("j", "x", "j", "x", "j", "q"):
        page.keyboard.press(key)
    expect(page.get_by_role("heading", name="Quarantine 2 videos")).to_be_visible()


def test_a_rows_menu_without_javascript(open_page: OpenPage) -> None:
    page = open_page(java_script_enabled=False)
    page.goto(f"{LIST}?container=webm")
    last = page.locator(ROWS).last
    last.locator("summary").click()
    last.get_by_role("link", name="Its history", exact=True).click()
    expect(page.locator(".chip")).to_have_count(2)


def test_everything_that_matches_is_named_before_it_is_done(open_page: OpenPage) -> None:
    page = open_page()
    page.goto(f"{LIST}?container=webm")
    page.locator(f"{ROWS} [name=selected]").first.check()
    page.get_by_label("Everything that matches").check()
    page.get_by_role("button", name="Restore").click()
    expect(page.get_by_role("heading", name=re.compile(r"Restore \d+ videos"))).to_be_visible()
    expect(page.get_by_text("container is WebM")).to_be_visible()
    page.get_by_role("link", name="Leave as it is").click()
    expect(page).to_have_url(re.compile(r"\?container=webm$"))


def test_saving_a_view(open_page: OpenPage) -> None:
    page = open_page()
    page.goto(f"{LIST}?state=failed&view=grid")
    page.keyboard.press("v")
    page.get_by_label("New view of what you see now").fill("Broken ones")
    page.keyboard.press("Enter")
    tab = page.get_by_role("navigation", name="Views").get_by_role("link", name="Broken ones")
    expect(tab).to_have_attribute("aria-current", "page")
    page.get_by_role("navigation", name="Views").get_by_role("link", name="All videos").click()
    expect(page.locator(ROWS).first).to_be_visible()
    tab.click()
    expect(page.locator(".chip")).to_have_text(["state is failed"])
    page.keyboard.press("v")
    page.get_by_role("button", name="Delete “Broken ones”").click()
    expect(tab).to_have_count(0)
