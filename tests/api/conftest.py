"""One server, one browser, for all who use the API from outside."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, sync_playwright

from tests.api.server import ApiServer, api_server
from tests.browser.conftest import ARGUMENTS, OpenPage
from tests.machine import chromium, need_ffmpeg


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """One process of a parallel run has the server."""
    for item in items:
        if item.path.parent == Path(__file__).parent:
            item.add_marker(pytest.mark.xdist_group("api"))


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiServer]:
    need_ffmpeg()
    with api_server(tmp_path_factory.mktemp("api")) as running:
        yield running


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture
def open_page(server: ApiServer, browser: Browser) -> Iterator[OpenPage]:
    """At the end: no error was on a console, and no request left our origin."""
    opened = OpenPage(browser, server.url)
    yield opened
    for context in opened.contexts:
        context.close()
    assert opened.troubles == []
