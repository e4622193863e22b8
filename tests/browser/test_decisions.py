"""Deciding in a real browser: by keys, and against somebody else."""

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import OpenPage, Stage, assert_fits

pytestmark = pytest.mark.browser

REPORT = """
from django.contrib.auth.models import User
from chat.models import Attachment
from chat.services import reports
from chat.services.activity import Actor
videos = Attachment.objects.videos().filter(processing_state="ready", visibility="visible")
video = videos.filter(report_case=None).order_by("id").first()
for name in ("mara", "jonas"):
    actor = Actor(user=User.objects.get(username=name))
    reports.report(video, actor, "hate", "Listen to it.", 0.5)
print(video.pk)
"""


def reported_video(stage: Stage) -> str:
    return stage.installation.python(REPORT)


def visibility(stage: Stage, pk: str) -> str:
    sql = f"SELECT visibility FROM chat_attachment WHERE id = {pk}"
    return str(stage.installation.value(sql))


def open_from_reports(page: Page, pk: str) -> None:
    page.goto("/moderation/reports/")
    page.locator(f'.row-link[href="/moderation/videos/{pk}/"]').click()
    expect(page.locator("#decide")).to_contain_text("2 open reports")


def test_by_keys_alone(stage: Stage, open_page: OpenPage) -> None:
    pk = reported_video(stage)
    page = open_page()
    open_from_reports(page, pk)
    expect(page.get_by_label("Reason, to hold it back")).to_have_value("hate")

    page.keyboard.press("q")
    expect(page.locator("#notices")).to_contain_text("Quarantined")
    expect(page.locator("#decide")).to_contain_text("admin quarantined: hate")
    expect(page.locator("#video-state")).to_contain_text("Quarantined")
    expect(page.get_by_role("heading", name="Decision")).to_be_focused()
    assert visibility(stage, pk) == "quarantined"
    assert_fits(page)

    page.keyboard.press("u")
    expect(page.locator("#notices")).to_contain_text("Undone")
    expect(page.locator("#decide")).to_contain_text("2 open reports")
    assert visibility(stage, pk) == "visible"

    page.keyboard.press("d")
    expect(page.locator("#video-state")).to_contain_text("Removed")
    page.keyboard.press("r")
    expect(page.locator("#video-state")).not_to_contain_text("Removed")
    assert visibility(stage, pk) == "visible"


def test_the_second_of_two_is_shown_what_the_first_decided(
    stage: Stage, open_page: OpenPage
) -> None:
    pk = reported_video(stage)
    first, second = open_page(), open_page("malik")
    for page in (first, second):
        page.goto(f"/moderation/videos/{pk}/")
    second.get_by_text("Notes", exact=True).click()
    second.get_by_label("Internal note").fill("typed with care")
    first.get_by_role("button", name="Quarantine").click()
    expect(first.locator("#video-state")).to_contain_text("Quarantined")

    second.get_by_role("button", name="Remove").click()

    panel = second.locator("#decide")
    expect(panel.get_by_role("alert")).to_contain_text("Somebody else was first.")
    expect(panel.get_by_role("alert")).to_contain_text("admin quarantined: hate")
    expect(second.get_by_label("Internal note")).to_have_value("typed with care")
    assert visibility(stage, pk) == "quarantined"
    second.get_by_role("button", name="Remove").click()
    expect(second.locator("#video-state")).to_contain_text("Removed")
    open_page.forgive("409")
