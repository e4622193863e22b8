"""Every page, light and dark, wide and narrow: no violation that axe finds, nothing too wide."""

import pytest
from playwright.sync_api import expect

from tests.browser.accessibility import violations
from tests.browser.conftest import OpenPage, Stage, assert_fits

pytestmark = pytest.mark.browser


def addresses(stage: Stage) -> dict[str, str]:
    """{name: address} of every page, some in more than one state."""
    ready = "SELECT max(id) FROM chat_attachment WHERE processing_state = 'ready'"
    job = "SELECT max(id) FROM moderation_job"
    if not stage.installation.value(job):  # whatever ran before
        stage.installation.manage("backfill_video_metadata", "--kind", "verify", "--limit", "1")
    return {
        "overview": "",
        "videos": "videos/",
        "videos, filtered": "videos/?codec=h264&added=30d",
        "no videos": "videos/?q=zzzz",
        "video": f"videos/{stage.installation.value(ready)}/",
        "grid": "videos/?view=grid",
        "reports": "reports/",
        "activity": "activity/",
        "what jobs did": f"activity/?job={stage.installation.value(job)}",
        "jobs": "jobs/",
        "job": f"jobs/{stage.installation.value(job)}/",
        "new job": "jobs/new/?only=all",
        "people": "people/",
        "health": "health/",
    }


@pytest.mark.parametrize("width", [1440, 390])
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_every_page(stage: Stage, open_page: OpenPage, theme: str, width: int) -> None:
    look = {"width": width, "height": 900, "color_scheme": theme}
    found = {}
    page = open_page(user="", **look)
    for name, address in {"sign in": "sign-in/", "not found": "sign-in/none/"}.items():
        page.goto(f"/moderation/{address}")
        found[name] = violations(page)
    page = open_page(**look)
    for name, address in addresses(stage).items():
        page.goto(f"/moderation/{address}")
        expect(page.locator("main")).to_be_visible()
        found[name] = violations(page)
        assert_fits(page)
    page.keyboard.press("Control+k")
    found["palette"] = violations(page)
    page.keyboard.press("Escape")
    page.keyboard.press("?")
    found["keys"] = violations(page)
    open_page.forgive("404 (Not Found)")  # which the browser itself reports
    assert {name: wrong for name, wrong in found.items() if wrong} == {}
