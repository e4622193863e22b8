"""Pictures of every page for docs/screenshots; `make screenshots` runs this file by name.

Not collected otherwise: it writes into the repository.
"""

import io

import pytest
from PIL import Image
from playwright.sync_api import Page, expect

from tests.browser.conftest import OpenPage, Stage
from tests.running import ROOT, eventually

FOLDER = ROOT / "docs" / "screenshots"
MAX_BYTES = 200_000

RUN_A_JOB = """
from django.contrib.auth.models import User
from chat.models import Attachment
from chat.services.activity import Actor
from moderation import backfill, steering
from moderation.scopes import Scope
ids = tuple(Attachment.objects.order_by("pk").values_list("pk", flat=True)[3:])
actor = Actor(user=User.objects.get(username="olivia"), ip_address="192.0.2.14")
job = steering.create_job("metadata", Scope(only="all", ids=ids), actor, "dashboard")
backfill.run_inline(job, lambda progress: None)
print(job.pk)
"""

pytestmark = pytest.mark.browser


@pytest.fixture(scope="session")
def job(stage: Stage) -> int:
    """A job that has ended, some of it in failures; three legacy clips stay unprocessed."""
    return int(stage.installation.python(RUN_A_JOB))


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
        ("health", "health/"),
    ):
        page.goto(f"/moderation/{path}")
        expect(page.locator("main")).to_be_visible()
        page.wait_for_load_state("networkidle")
        if name == "video":
            wait_for_frame(page)
        take(page, name, theme, width)


def wait_for_frame(page: Page) -> None:
    player = page.locator("video")
    player.evaluate("video => { video.preload = 'auto'; }")
    loaded = "video => video.readyState >= 2"
    eventually("the video is there", lambda: player.evaluate(loaded), 20)
    page.wait_for_timeout(500)  # the browser's own spinner fades


def take(page: Page, name: str, theme: str, width: int) -> None:
    path = FOLDER / f"{name}-{theme}-{width}.png"
    FOLDER.mkdir(parents=True, exist_ok=True)
    picture = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
    picture.save(path, optimize=True)
    if path.stat().st_size > MAX_BYTES:  # 256 colours are a third of the bytes
        picture.quantize(256, dither=Image.Dither.NONE).save(path, optimize=True)
    assert path.stat().st_size < MAX_BYTES, path.name
