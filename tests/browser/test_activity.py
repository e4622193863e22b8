"""The activity log that stays open while things happen, and signing in with a second factor, in a
real browser."""

import re

import pytest
from django_otp.oath import TOTP
from playwright.sync_api import Locator, Page, expect

from tests.browser.conftest import PASSWORD, OpenPage, Stage, assert_fits
from tests.running import eventually

pytestmark = pytest.mark.browser

ROWS = "#results tbody:not(.tail) tr"
TELL = """
from django.contrib.auth.models import User
from chat.services import activity
from chat.services.activity import SYSTEM
for _ in range({count}):
    activity.record("message_sent", SYSTEM, User.objects.first(), details={{"a": 1}})
"""


def top(row: Locator) -> float:
    box = row.bounding_box()
    assert box is not None
    return box["y"]


def tell(stage: Stage, page: Page, count: int) -> None:
    """Entries are written elsewhere, and have appeared."""
    before = page.locator(ROWS).count()
    stage.installation.python(TELL.format(count=count))
    expect(page.locator(ROWS)).to_have_count(before + count, timeout=20_000)


def test_new_entries_appear_and_move_nothing(stage: Stage, open_page: OpenPage) -> None:
    stage.installation.python(TELL.format(count=40))
    page = open_page(height=500)
    page.goto("/moderation/activity/?action=message_sent&per_page=50")
    page.get_by_role("switch", name="Live").click()
    expect(page).to_have_url(re.compile(r"live=1"))
    assert_fits(page)

    # Further down, the row at the top of the window stays where it is.
    page.evaluate("scrollTo(0, 700)")
    read = page.locator(f"#{page.locator(ROWS).nth(20).get_attribute('id')}")
    place = top(read)
    tell(stage, page, 3)
    assert abs(top(read) - place) < 2

    # At the top, so does the row whose details are open, and the focus on them.
    page.evaluate("scrollTo(0, 0)")
    details = page.locator(f"{ROWS} details").first
    row = page.locator(f"#{page.locator(ROWS).first.get_attribute('id')}")
    details.locator("summary").click()
    place = top(row)
    tell(stage, page, 2)
    assert abs(top(row) - place) < 2
    expect(row.locator("summary")).to_be_focused()
    expect(row.locator("details")).to_have_attribute("open", "")

    # Nobody reads: the newest are on top.  Off again, none appear.
    page.reload()
    first = page.locator(ROWS).first.get_attribute("id")
    tell(stage, page, 1)
    assert page.locator(ROWS).first.get_attribute("id") != first
    page.get_by_role("switch").click()
    expect(page.locator("#tail")).to_have_count(0)


def test_a_second_factor_without_javascript(stage: Stage, open_page: OpenPage) -> None:
    stage.installation.python(
        "from django.contrib.auth.models import Group, User;"
        f"User.objects.create_user('clara', password={PASSWORD!r})"
        ".groups.add(Group.objects.get(name='viewer'))"
    )
    page = open_page(user="clara", java_script_enabled=False)
    page.goto("/moderation/second-factor/")
    page.get_by_role("button", name="Set it up").click()
    expect(page.locator(".qr svg")).to_be_visible()
    page.get_by_text("Cannot scan it?").click()
    key = (
        "SELECT key FROM otp_totp_totpdevice JOIN auth_user ON auth_user.id = user_id"
        " WHERE username = 'clara'"
    )
    code = f"{TOTP(bytes.fromhex(stage.installation.value(key))).token():06d}"
    page.get_by_label("Code").fill(code)
    page.get_by_role("button", name="Switch it on").click()
    codes = page.locator(".codes code").all_inner_texts()
    assert len(codes) == 10
    page.get_by_role("link", name="I have kept them").click()
    page.goto("/moderation/second-factor/")
    page.get_by_role("button", name="Sign out").click()

    page.get_by_label("User name").fill("clara")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    expect(page).to_have_url(re.compile("/sign-in/code/"))
    page.get_by_label("Code").fill("abcd-efgh")
    page.get_by_role("button", name="Sign in", exact=True).click()
    expect(page.get_by_role("alert")).to_contain_text("not right")

    def signed_in() -> bool:  # a second after a wrong code the next one counts
        page.get_by_label("Code").fill(codes[0])
        page.get_by_role("button", name="Sign in", exact=True).click()
        return "sign-in" not in page.url

    eventually("the recovery code is taken", signed_in, 10)
