"""Every page, light and dark, wide and narrow: no violation that axe finds, nothing too wide."""

import pytest
from django_otp.oath import TOTP
from playwright.sync_api import Page, expect

from moderation.urls import urlpatterns
from tests.browser.accessibility import violations
from tests.browser.conftest import A_STORYBOARD, PASSWORD, OpenPage, Stage, assert_fits
from tests.running import eventually

pytestmark = pytest.mark.browser

# {name in the URLconf: addresses under /moderation/, some in more than one state}; what stands in
# braces is a number of NUMBERS.
PAGES = {
    "home": [""],
    "videos": ["videos/", "videos/?codec=h264&added=30d", "videos/?q=zzzz", "videos/?view=grid"],
    "bulk": ["videos/decide/?action=quarantine&selected={ready}", "videos/decide/?action=remove"],
    "video": ["videos/{ready}/?from=", "videos/{ready}/?reveal=clear", "videos/{legacy}/"],
    "video-poster": ["videos/{with_storyboard}/poster/"],
    "video-probe": ["videos/{ready}/probe/"],
    "video-report": ["videos/{ready}/report/"],
    "reports": ["reports/", "reports/?state=settled"],
    "activity": ["activity/", "activity/?job={job}"],
    "jobs": ["jobs/"],
    "job": ["jobs/{job}/"],
    "job-new": ["jobs/new/?only=all"],
    "people": ["people/"],
    "person": ["people/{person}/"],
    "health": ["health/"],
    "second-factor": ["second-factor/"],
}
NUMBERS = {
    "ready": "SELECT max(id) FROM chat_attachment WHERE processing_state = 'ready'",
    "legacy": "SELECT min(id) FROM chat_attachment WHERE processing_state <> 'ready'",
    "with_storyboard": "SELECT max(attachment_id) FROM chat_rendition"
    " WHERE kind = 'storyboard_map' AND file <> ''",
    "job": "SELECT max(id) FROM moderation_job",
    "person": "SELECT id FROM auth_user WHERE username = 'vera'",
}
# Those one comes to by signing in with a second factor or by setting it up.
OF_A_SECOND_FACTOR = {
    "login-code", "second-factor-set-up", "second-factor-confirm", "second-factor-codes",
}  # fmt: skip
SIGNED_OUT = {"login": "sign-in/"}
# What has no page of its own: it does something and leads back, is put into a page, or is a file.
DEEDS = {
    "logout", "bulk-decide", "bulk-undo", "view-save", "view-change", "view-delete",
    "video-decide", "video-undo", "revealed", "protect", "health-self-test",
    "person-roles", "person-active", "person-second-factor", "person-quota", "second-factor-off",
    "job-start", "job-pause", "job-resume", "job-cancel", "job-pace", "job-retry", "job-handled",
}  # fmt: skip
PARTS = {
    "palette", "video-suggestions", "activity-tail", "job-estimate", "running", "job-progress",
}  # fmt: skip
FILES = {
    "videos-csv", "videos-ahead", "video-opened", "activity-csv", "activity-jsonl",
    "job-failures", "job-outcomes",
    "video-stream", "video-preview", "video-thumbnail", "video-storyboard",
    "video-storyboard-map", "blurred",
}  # fmt: skip


def addresses(stage: Stage) -> list[str]:
    site = stage.installation
    site.wait_for(A_STORYBOARD, 1, 120)
    if not site.value(NUMBERS["job"]):  # whatever ran before
        site.manage("backfill_video_metadata", "--kind", "verify", "--limit", "1")
    numbers = {name: site.value(sql) for name, sql in NUMBERS.items()}
    return [f"/moderation/{each.format(**numbers)}" for some in PAGES.values() for each in some]


def look(page: Page, found: dict[str, list[str]], name: str) -> None:
    """Find what is wrong with the page as it stands, light and dark."""
    expect(page.locator("main")).to_be_visible()
    page.emulate_media(color_scheme="light")
    wrong = violations(page)
    assert_fits(page)
    page.emulate_media(color_scheme="dark")
    expect(page.locator("html")).to_have_attribute("data-bs-theme", "dark")
    wrong += violations(page, only="color-contrast")  # nothing else depends on colours
    if wrong:
        found[name] = wrong


@pytest.mark.parametrize("width", [1440, 390])
def test_every_page(stage: Stage, open_page: OpenPage, width: int) -> None:
    seen = PAGES.keys() | SIGNED_OUT.keys() | OF_A_SECOND_FACTOR
    assert seen | DEEDS | PARTS | FILES == {each.name for each in urlpatterns}
    found: dict[str, list[str]] = {}
    page = open_page(user="", width=width)
    for address in [*SIGNED_OUT.values(), "none/"]:
        page.goto(f"/moderation/{address}")
        look(page, found, address)
    page = open_page("vera", width=width)
    page.goto("/moderation/people/")
    look(page, found, "no permission")
    page = open_page(width=width)
    for address in addresses(stage):
        page.goto(address)
        look(page, found, address)
    page.keyboard.press("Control+k")
    look(page, found, "palette")
    page.keyboard.press("Escape")
    page.keyboard.press("?")
    look(page, found, "keys")
    for status in ("404 (Not Found)", "403 (Forbidden)"):
        open_page.forgive(status)  # which the browser itself reports
    assert found == {}


def test_the_pages_of_a_second_factor(stage: Stage, open_page: OpenPage) -> None:
    """Set up, confirmed, asked for at the next sign-in, and new codes."""
    site = stage.installation
    site.python(
        "from django.contrib.auth.models import Group, User;"
        f"user = User.objects.create_user('dana', password={PASSWORD!r});"
        "user.groups.add(Group.objects.get(name='viewer'))"
    )
    found: dict[str, list[str]] = {}
    page = open_page("dana")
    page.goto("/moderation/second-factor/")
    page.get_by_role("button", name="Set it up").click()
    look(page, found, "set up")
    key = bytes.fromhex(
        site.value(
            "SELECT key FROM otp_totp_totpdevice JOIN auth_user"
            " ON auth_user.id = user_id WHERE username = 'dana'"
        )
    )
    page.get_by_label("Code").fill("000000")
    page.get_by_role("button", name="Switch it on").click()
    look(page, found, "a wrong code")

    def confirmed() -> bool:  # a second after a wrong code the next one counts
        page.get_by_label("Code").fill(f"{TOTP(key).token():06d}")
        page.get_by_role("button", name="Switch it on").click()
        return page.locator(".codes").is_visible()

    eventually("the code is taken", confirmed, 20)
    look(page, found, "recovery codes")
    page.goto("/moderation/second-factor/")
    look(page, found, "switched on")
    page.get_by_role("button", name="Sign out").click()
    page.get_by_label("User name").fill("dana")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url("**/sign-in/code/**")
    look(page, found, "code")
    assert found == {}
