"""The overview in a browser: charts over their tables."""

import re

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import OpenPage, Stage

pytestmark = pytest.mark.browser

# A bar is where the accent is; the middle row of one in the chart of codecs, from the left.
FIRST_BAR = """figure => {
    const chart = Chart.getChart(figure.querySelector("canvas"));
    const {x, y} = chart.getDatasetMeta(0).data[0].getCenterPoint();
    const context = chart.canvas.getContext("2d"), scale = chart.currentDevicePixelRatio;
    return {x, y, pixel: [...context.getImageData(x * scale, y * scale, 1, 1).data]};
}"""


def test_charts_and_the_tables_behind_them(open_page: OpenPage, stage: Stage) -> None:
    stage.installation.python("from moderation import figures; figures.recount()")
    page = open_page(color_scheme="light")
    page.goto("/moderation/")
    codecs = page.get_by_role("figure", name="Codecs")
    bar = codecs.evaluate(FIRST_BAR)
    assert bar["pixel"] == [51, 80, 196, 255]  # --accent-strong
    page.emulate_media(color_scheme="dark")
    expect(page.locator("html")).to_have_attribute("data-bs-theme", "dark")
    assert codecs.evaluate(FIRST_BAR)["pixel"] == [66, 99, 235, 255]

    table = codecs.get_by_role("table")
    expect(table).to_be_hidden()
    codecs.get_by_text("Numbers").click()
    expect(table).to_be_visible()
    row = table.get_by_role("row").nth(1)
    codec, videos = row.get_by_role("rowheader").inner_text(), row.get_by_role("cell").inner_text()
    codecs.locator("canvas").click(position={"x": bar["x"], "y": bar["y"]})
    expect(page.locator(".chip")).to_contain_text(f"codec is {codec}")
    expect(page.locator(".total")).to_have_text(re.compile(rf"^{videos} videos?$"))
    page.go_back()
    page.keyboard.press("j")
    page.keyboard.press("j")
    expect(page.locator(".is-current a")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile("videos/"))
    open_page.forgive("willReadFrequently")  # this test's own doing


def test_without_javascript_the_tables_are_there(open_page: OpenPage) -> None:
    page = open_page(java_script_enabled=False)
    page.goto("/moderation/")
    expect(page.locator("canvas").first).to_be_hidden()
    codecs = page.get_by_role("figure", name="Codecs")
    codecs.get_by_text("Numbers").click()
    codecs.get_by_role("link", name="H.264").click()
    expect(page).to_have_url(re.compile("codec=h264"))
