"""Reading and deciding with scripts switched off.

Bulk decisions without them are in test_videos, jobs in test_jobs, the list and starting a job in
test_dashboard, the overview in test_overview, revealing in test_protection, the second factor in
test_activity.
"""

import re

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import OpenPage, Stage
from tests.browser.test_decisions import open_from_reports, reported_video, visibility

pytestmark = pytest.mark.browser


def press(page: Page, name: str) -> None:
    page.get_by_role("button", name=name, exact=True).click()


def test_every_decision(stage: Stage, open_page: OpenPage) -> None:
    pk = reported_video(stage)
    page = open_page("malik", java_script_enabled=False)
    notices, panel = page.locator("#notices"), page.locator("#decide")
    open_from_reports(page, pk)
    page.get_by_label("Reason, to hold it back").select_option("spam")
    page.get_by_text("Notes", exact=True).click()
    page.get_by_label("Internal note").fill("seen <b>twice</b>")
    press(page, "Remove")
    expect(page).to_have_url(re.compile(f"/moderation/videos/{pk}/$"))
    expect(notices).to_contain_text("Removed")
    expect(panel).to_contain_text("malik removed: spam or fraud")
    expect(panel).to_contain_text("seen <b>twice</b>")
    assert visibility(stage, pk) == "removed"
    press(page, "Undo")
    expect(notices).to_contain_text("Undone")
    expect(panel).to_contain_text("2 open reports")
    assert visibility(stage, pk) == "visible"

    page.get_by_label("Reason, to hold it back").select_option("hate")
    press(page, "Quarantine")
    expect(notices).to_contain_text("Quarantined")
    assert visibility(stage, pk) == "quarantined"
    press(page, "Put under hold")
    expect(panel).to_contain_text("malik put under hold")
    press(page, "Release from hold")
    expect(panel).to_contain_text("malik released from hold")
    press(page, "Restore")
    expect(notices).to_contain_text("Restored")
    assert visibility(stage, pk) == "visible"

    pk = reported_video(stage)
    open_from_reports(page, pk)
    press(page, "Dismiss reports")
    expect(panel).not_to_contain_text("open report")
    expect(panel).to_contain_text("malik dismissed the reports")
    page.goto("/moderation/reports/")
    expect(page.locator(f'.row-link[href="/moderation/videos/{pk}/"]')).to_have_count(0)


def test_of_two_the_second_sees_what_the_first_decided(stage: Stage, open_page: OpenPage) -> None:
    pk = reported_video(stage)
    first, second = open_page("malik"), open_page(java_script_enabled=False)
    for page in (first, second):
        page.goto(f"/moderation/videos/{pk}/")
    press(first, "Quarantine")
    expect(first.locator("#video-state")).to_contain_text("Quarantined")
    press(second, "Remove")
    expect(second.get_by_role("alert")).to_contain_text("malik quarantined: hate")
    assert visibility(stage, pk) == "quarantined"
    press(second, "Restore")
    expect(second.locator("#notices")).to_contain_text("Restored")
    assert visibility(stage, pk) == "visible"
    open_page.forgive("409")


def test_reading_and_roles(stage: Stage, open_page: OpenPage) -> None:
    """Each list with a filter, an entry's details, a job, and the roles of a person."""
    page = open_page(java_script_enabled=False)
    page.goto("/moderation/activity/")
    page.locator("details.filters > summary").click()
    page.get_by_label("Who").fill("admin")
    press(page, "Apply")
    expect(page).to_have_url(re.compile("who=admin|actor=admin"))
    details = page.locator("#results details").first
    details.locator("summary").click()
    expect(details).to_have_attribute("open", "")
    page.goto("/moderation/reports/?state=settled")
    expect(page.get_by_role("heading", level=1)).to_be_attached()
    page.goto("/moderation/health/")
    expect(page.get_by_role("heading", level=1)).to_be_attached()

    page.goto("/moderation/people/")
    page.get_by_role("link", name="vera").click()
    operator = page.get_by_role("checkbox", name=re.compile("^Operator"))
    operator.check()
    press(page, "Save roles")
    expect(page.get_by_text("The roles are changed.")).to_be_visible()
    expect(operator).to_be_checked()
    operator.uncheck()
    press(page, "Save roles")
    expect(operator).not_to_be_checked()
