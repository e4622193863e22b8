"""What the eye notices: nothing moves as a page loads, narrow windows, forced colours, paper."""

import pytest
from playwright.sync_api import expect

from tests.browser.accessibility import violations
from tests.browser.conftest import OpenPage, Stage, assert_fits

pytestmark = pytest.mark.browser

# Adds up what moved without anybody having touched anything, as browsers measure it.
WATCH_SHIFTS = """window.shifted = 0;
new PerformanceObserver((list) => {
    for (const entry of list.getEntries()) if (!entry.hadRecentInput) shifted += entry.value;
}).observe({ type: "layout-shift", buffered: true });"""

# Targets of the pointer that are smaller than 24 x 24 px with no room around them (WCAG 2.5.8).
# Links within sentences are excepted, and boxes that have a label to click.
SMALL_TARGETS = """() => {
    const boxes = [...document.querySelectorAll("a[href], button, summary, input, select")]
        .filter((each) => each.checkVisibility({ visibilityProperty: true }))
        .filter((each) => !each.closest("p, dd, td, th, label, .beneath, .visually-hidden"))
        .map((each) => [each, each.getBoundingClientRect()])
        .filter(([, box]) => box.width > 1 && box.height > 1);
    const small = boxes.filter(([, box]) => box.width < 24 || box.height < 24);
    const near = (a, b) => {
        const dx = Math.max(0, Math.abs(a.x + a.width / 2 - b.x - b.width / 2) - b.width / 2);
        const dy = Math.max(0, Math.abs(a.y + a.height / 2 - b.y - b.height / 2) - b.height / 2);
        return Math.hypot(dx, dy) < 12;
    };
    return small
        .filter(([one, box]) => boxes.some(([other, its]) => other !== one
            && !one.contains(other) && !other.contains(one) && near(box, its)))
        .map(([one]) => one.outerHTML.slice(0, 120));
}"""


# Whether the element with the focus, or what stands around it, shows that it has it.
WITHOUT_RING = """() => {
    const focused = document.activeElement;
    if (focused === document.body) return null; // past the end of the page
    const rings = [[focused], [focused, "::after"], [focused.parentElement]]
        .map((part) => getComputedStyle(...part));
    return rings.some((its) => its.outlineStyle !== "none" || its.boxShadow !== "none")
        ? null : focused.outerHTML.slice(0, 120);
}"""


def a_ready_video(stage: Stage) -> object:
    return stage.installation.value(
        "SELECT max(id) FROM chat_attachment WHERE processing_state = 'ready'"
    )


def test_nothing_moves_while_a_page_loads(stage: Stage, open_page: OpenPage) -> None:
    stage.installation.python("from moderation import figures; figures.recount()")
    page = open_page()
    page.add_init_script(WATCH_SHIFTS)
    video = a_ready_video(stage)
    for path in (
        "",
        "videos/",
        "videos/?view=grid",
        f"videos/{video}/",
        f"videos/{video}/?reveal=clear",
    ):
        page.goto(f"/moderation/{path}")
        page.wait_for_load_state("networkidle")
        page.evaluate(
            "new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))"
        )
        assert page.evaluate("shifted") <= 0.02, path


def test_narrow_windows_and_targets(stage: Stage, open_page: OpenPage) -> None:
    """320 px is also what 1280 px are at 400 % (WCAG 1.4.10); a finger finds all there is."""
    page = open_page(width=320, height=640)
    video = a_ready_video(stage)
    small = {}
    for path in ("", "videos/?codec=h264", "videos/?view=grid", f"videos/{video}/", "reports/",
                 "activity/", "jobs/", "jobs/new/?only=all", "people/", "health/"):  # fmt: skip
        page.goto(f"/moderation/{path}")
        expect(page.locator("main")).to_be_visible()
        assert_fits(page)
        small[path] = page.evaluate(SMALL_TARGETS)
    assert {path: found for path, found in small.items() if found} == {}


def test_colours_that_the_reader_forces(stage: Stage, open_page: OpenPage) -> None:
    """What is current, ticked or focused shows by more than a background."""
    page = open_page(forced_colors="active")
    page.goto("/moderation/videos/")
    current = page.locator(".rail [aria-current]")
    assert current.evaluate("link => getComputedStyle(link).outlineStyle") == "solid"
    page.goto("/moderation/")
    page.keyboard.press("Tab")
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"


def test_who_tabs_sees_where_they_are(stage: Stage, open_page: OpenPage) -> None:
    page = open_page()
    video = a_ready_video(stage)
    unseen = {}
    for path in ("", "videos/", "videos/?view=grid", f"videos/{video}/", "reports/",
                 "activity/", "jobs/new/?only=all", "people/"):  # fmt: skip
        page.goto(f"/moderation/{path}")
        if path == "videos/":
            page.locator("[data-row-select]").first.check()
            page.locator("body").press("Home")
        found = set()
        for _ in range(45):
            page.keyboard.press("Tab")
            found.add(page.evaluate(WITHOUT_RING))
        unseen[path] = found - {None}
    assert {path: found for path, found in unseen.items() if found} == {}


def test_the_report_on_paper(stage: Stage, open_page: OpenPage) -> None:
    page = open_page(color_scheme="dark")
    page.goto(f"/moderation/videos/{a_ready_video(stage)}/report/")
    expect(page.get_by_role("button", name="Print")).to_be_visible()
    assert violations(page) == []
    page.emulate_media(media="print")
    expect(page.get_by_role("button", name="Print")).to_be_hidden()
    paper = page.evaluate("getComputedStyle(document.documentElement).backgroundColor")
    assert paper == "rgb(255, 255, 255)"
    assert page.pdf().startswith(b"%PDF-")
