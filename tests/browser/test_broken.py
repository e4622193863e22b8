"""The page for when all is broken: no database, so no session, no rights and no frame."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.browser.accessibility import violations
from tests.browser.conftest import OpenPage, Stage, answers, start_web_server
from tests.moderation.installation import installation
from tests.running import eventually, free_port

pytestmark = pytest.mark.browser


@pytest.fixture
def stage(tmp_path: Path, stage: Stage) -> Iterator[Stage]:
    """One whose database is no database."""
    port = free_port()
    address = {"PORT": str(port), "HOST": "127.0.0.1", "WEB_WORKERS": "1"}
    with installation(tmp_path / "broken", **address) as made:
        shutil.copytree(stage.installation.data_dir / "static", made.data_dir / "static")
        made.environment["DATABASE_URL"] = f"sqlite:///{tmp_path / 'none' / 'none.sqlite3'}"
        start_web_server(made, tmp_path / "web.log")
        url = f"http://127.0.0.1:{port}"
        eventually("the web server answers", lambda: answers(f"{url}/favicon.ico"), 40)
        yield Stage(made, url)


def test_its_page(open_page: OpenPage) -> None:
    page = open_page(user="")
    page.context.add_cookies([{"name": "sessionid", "value": "x" * 32, "url": open_page.url}])
    response = page.goto("/moderation/")
    assert response is not None
    assert response.status == 500
    assert "unsafe" not in response.headers["content-security-policy"]
    expect(page.get_by_role("heading", name="Something failed on our side")).to_be_visible()
    assert (
        page.locator(".panel").evaluate("panel => getComputedStyle(panel).borderRadius") == "6px"
    )
    assert page.locator(".brand img").evaluate("image => image.naturalWidth") > 0
    assert violations(page) == []
    open_page.forgive("500 (Internal Server Error)")
