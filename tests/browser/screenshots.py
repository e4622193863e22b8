"""Pictures of every page for docs/screenshots; `make screenshots` runs this file by name.

Not collected otherwise: it writes into the repository.
"""

import io
from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import Page, expect

from tests.browser.conftest import OpenPage, Stage
from tests.running import ROOT

FOLDER = ROOT / "docs" / "screenshots"
MAX_BYTES = 200_000

pytestmark = pytest.mark.browser


@pytest.fixture(scope="session")
def job(stage: Stage) -> int:
    """A job that has ended, some of it in failures; as many legacy clips stay unprocessed."""
    stage.installation.manage("backfill_video_metadata", "--limit", "5", status=1)
    return int(stage.installation.value("SELECT max(id) FROM moderation_job"))


@pytest.mark.parametrize("width", [1440, 390])
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_take_pictures(
    stage: Stage, open_page: OpenPage, job: int, theme: str, width: int
) -> None:
    height = 900 if width > 800 else 844
    look = {"width": width, "height": height, "color_scheme": theme}
    page = open_page(user="", **look)
    page.goto("/moderation/sign-in/")
    take(page, "login", theme, width)

    page = open_page(**look)
    video = stage.installation.value(
        "SELECT id FROM chat_attachment WHERE codec = 'h264' ORDER BY duration DESC, id LIMIT 1"
    )
    for name, path in (
        ("videos", "videos/"),
        ("video", f"videos/{video}/"),
        ("jobs", "jobs/"),
        ("job", f"jobs/{job}/"),
        ("activity", "activity/"),
    ):
        page.goto(f"/moderation/{path}")
        expect(page.locator("main")).to_be_visible()
        page.wait_for_load_state("networkidle")
        take(page, name, theme, width)


def take(page: Page, name: str, theme: str, width: int) -> None:
    picture = Image.open(io.BytesIO(page.screenshot()))
    path = Path(FOLDER / f"{name}-{theme}-{width}.png")
    FOLDER.mkdir(parents=True, exist_ok=True)
    # 256 colours are enough for pages, and a third of the bytes.
    picture.convert("RGB").quantize(256, dither=Image.Dither.NONE).save(path, optimize=True)
    assert path.stat().st_size < MAX_BYTES, path.name
