"""Pictures of every page for docs/screenshots; `make screenshots` runs this file by name.

Not collected otherwise: it writes into the repository.
"""

import io
from dataclasses import dataclass
from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import Page, expect

from tests.browser.conftest import OpenPage, Stage
from tests.running import ROOT, eventually

FOLDER = ROOT / "docs" / "screenshots"
MAX_BYTES = 200_000
FULL_COLOUR_BYTES = 80_000  # above them 256 colours do, at a third of the size
REPORTS_TO_SHOW = """
from django.contrib.auth.models import User
from chat.models import Attachment
from chat.services import reports
from chat.services.activity import Actor
from moderation import decisions
said = {
    "IMG_2057.MOV": [("priya", "privacy", "My front door.", 1.5), ("tomas", "privacy", "", 2)],
    "whiteboard.webm": [("jonas", "other", "Names of patients are on the board.", 0.5)],
    "slow start.mp4": [("priya", "spam", "", None)],
}
for name, told in said.items():
    video = Attachment.objects.filter(original_name=name).earliest("pk")
    for who, reason, note, seconds in told:
        actor = Actor(user=User.objects.get(username=who), ip_address="192.0.2.31")
        reports.report(video, actor, reason, note, seconds)
held = Attachment.objects.filter(original_name="drone pass 2.mkv").earliest("pk")
verdict = decisions.Verdict("quarantine", "privacy", internal_note="Until the neighbours agree.")
malik = Actor(user=User.objects.get(username="malik"), ip_address="192.0.2.7")
decisions.decide(held.pk, held.decision_version, verdict, malik)
"""
JOBS_TO_SHOW = Path(__file__).with_name("jobs_to_show.py")

pytestmark = pytest.mark.browser


@dataclass(frozen=True)
class Jobs:
    ended: int
    running: int
    paused: int


@pytest.fixture(scope="session")
def jobs(stage: Stage) -> Jobs:
    made = Jobs(*map(int, stage.installation.python(JOBS_TO_SHOW.read_text()).split()))
    done = f"SELECT sum(cursor) >= 150 FROM moderation_chunk WHERE job_id = {made.running}"
    stage.installation.wait_for(done, 1, 120)
    return made


@pytest.fixture(scope="session")
def counted(stage: Stage, jobs: Jobs) -> None:
    """Something waits for somebody; the overview is of the archive as it is now."""
    stage.installation.python(REPORTS_TO_SHOW)
    stage.installation.python("from moderation import figures; figures.recount()")


@pytest.mark.usefixtures("counted")
@pytest.mark.parametrize("width", [1440, 390])
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_take_pictures(
    stage: Stage, open_page: OpenPage, jobs: Jobs, theme: str, width: int
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
    reported = stage.installation.value(
        "SELECT attachment_id FROM chat_reportcase ORDER BY open_reports DESC, id LIMIT 1"
    )
    for name, path in (
        ("overview", ""),
        ("videos", "videos/"),
        ("grid", "videos/?view=grid"),
        ("video-hidden", f"videos/{video}/?from="),
        ("video", f"videos/{video}/?from="),
        ("video-report", f"videos/{reported}/report/"),
        ("reports", "reports/"),
        ("jobs", "jobs/"),
        ("job", f"jobs/{jobs.running}/"),
        ("job-failures", f"jobs/{jobs.ended}/"),
        ("job-paused", f"jobs/{jobs.paused}/"),
        ("job-new", "jobs/new/?q=mp4&only=all"),
        ("activity", "activity/"),
        ("people", "people/"),
        ("health", "health/"),
    ):
        page.goto(f"/moderation/{path}")
        expect(page.locator("main")).to_be_visible()
        page.wait_for_load_state("networkidle")
        if name == "video":
            wait_for_frame(page)
        if name == "job-new":
            expect(page.locator(".estimate")).to_contain_text("measured")
        take(page, name, theme, width)


def wait_for_frame(page: Page) -> None:
    page.keyboard.press("b")
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
    if path.stat().st_size > FULL_COLOUR_BYTES:
        picture.quantize(256, dither=Image.Dither.NONE).save(path, optimize=True)
    assert path.stat().st_size < MAX_BYTES, path.name
