"""A moderator's morning without a mouse: sign in, filter, decide on twenty videos, undo one."""

import re

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import PASSWORD, OpenPage, Stage
from tests.browser.more_videos import more_videos

pytestmark = pytest.mark.browser

VIDEOS = 20
MOST_KEYS_EACH = 4
NAME = "evening run"


class Keyboard:
    """The only way in; counts what is pressed."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.pressed = 0

    def press(self, *keys: str) -> None:
        for key in keys:
            self.page.keyboard.press(key)
            self.pressed += 1

    def type(self, text: str) -> None:
        self.press(*text)


def test_twenty_decisions(stage: Stage, open_page: OpenPage) -> None:
    with more_videos(stage, NAME, VIDEOS) as numbers:
        page = open_page(user="")
        keyboard = Keyboard(page)
        sign_in_and_filter(page, keyboard)

        keyboard.press("j", "Enter")
        decided, keys = [], []
        for turn in range(VIDEOS):
            name = f"{NAME} {VIDEOS - turn:02}.webm"  # the newest first
            expect(page.get_by_role("heading", level=1)).to_have_text(name)
            page.wait_for_load_state()  # keys are taken once the page is there
            before = keyboard.pressed
            keyboard.press("b")
            expect(page.locator("#player video")).to_be_visible()
            keyboard.press("q" if turn % 2 else "d")
            decided.append(name)
            if turn < VIDEOS - 1:
                keyboard.press("j")  # at once: it waits for what is being written
            keys.append(keyboard.pressed - before)
        assert len(decided) == VIDEOS
        assert max(keys) <= MOST_KEYS_EACH, keys

        expect(page.locator("#notices")).to_contain_text("Quarantined")
        keyboard.press("u")
        expect(page.locator("#notices")).to_contain_text("Undone")

        rows = f"FROM chat_attachment WHERE id IN ({', '.join(numbers)})"
        counted = f"SELECT visibility, count(*) {rows} GROUP BY visibility ORDER BY visibility"
        assert stage.installation.query(counted) == [
            ("quarantined", 9),
            ("removed", 10),
            ("visible", 1),
        ]
        whose = "SELECT count(*) FROM moderation_decision WHERE decided_by_name = 'malik'"
        own = f"{whose} AND attachment_id IN ({', '.join(numbers)})"
        assert stage.installation.value(own) == VIDEOS + 1


def sign_in_and_filter(page: Page, keyboard: Keyboard) -> None:
    page.goto("/moderation/sign-in/")
    keyboard.type("malik")
    keyboard.press("Tab")
    keyboard.type(PASSWORD)
    keyboard.press("Enter")
    page.wait_for_url(re.compile("/moderation/$"))
    keyboard.press("g", "v")
    page.wait_for_url(re.compile("/moderation/videos/$"))
    page.wait_for_load_state()
    keyboard.press("/")
    keyboard.type(NAME)
    expect(page.locator(".chip")).to_have_text([f"matches “{NAME}”"])
    keyboard.press("Enter")  # what is typed now are keys again
    keyboard.press("f")
    expect(page.get_by_role("combobox", name="State")).to_be_focused()
    keyboard.press("r")  # Ready
    expect(page.locator(".chip")).to_have_count(2)
    keyboard.press("Escape")
    expect(page.get_by_role("combobox", name="State")).to_be_hidden()
    expect(page.locator("#results tbody tr")).to_have_count(VIDEOS)
