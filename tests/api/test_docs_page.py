"""The page that shows the API's schema, under the Content-Security-Policy, in a real browser."""

import re

import pytest
from playwright.sync_api import expect

from chat.openapi.tables import OPERATIONS
from tests.browser.conftest import OpenPage

pytestmark = pytest.mark.browser


def test_reading_and_trying(open_page: OpenPage) -> None:
    """Signed in: the session and the page's CSRF token are enough to try it."""
    page = open_page()
    page.goto("/api/docs/")
    expect(page.locator(".opblock")).to_have_count(len(OPERATIONS))

    opened = page.locator("#operations-conversations-create_conversation")
    opened.get_by_role("button", name=re.compile("Open a conversation")).click()
    opened.get_by_role("button", name="Try it out").click()
    opened.get_by_role("textbox").last.fill('{"title": "Tried out"}')
    opened.get_by_role("button", name="Execute").click()

    answered = opened.locator(".live-responses-table .response").first
    expect(answered).to_contain_text("201")
    expect(answered).to_contain_text('"title": "Tried out"')
