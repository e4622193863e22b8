"""A whole installation with the demo's data, its web server and consumer, and a real Chromium."""

import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Page,
    Request,
    sync_playwright,
)

from tests.machine import chromium, need_ffmpeg
from tests.moderation.installation import Installation, installation
from tests.moderation.short_demo import SEED
from tests.running import ROOT, eventually, free_port

PASSWORD = "for the tests alone"
A_STORYBOARD = (
    "SELECT count(*) > 0 FROM chat_rendition WHERE kind = 'storyboard_map' AND file <> ''"
)
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]

# What the Content-Security-Policy blocked, also where the console says nothing.
REPORT_VIOLATIONS = """addEventListener("securitypolicyviolation", (event) =>
    reportViolation(`policy: ${event.violatedDirective} ${event.blockedURI} ${event.sample}`))"""


# Of the demo's people, those who sign in here; the administrator's password is the installation's.
PASSWORDS = f"""
from django.contrib.auth.models import User
for name in ("malik", "olivia", "vera"):
    user = User.objects.get(username=name)
    user.set_password({PASSWORD!r})
    user.save()
"""


@dataclass(frozen=True)
class Stage:
    """``sessions``: {user: the browser's storage, signed in}, for all tests to begin with."""

    installation: Installation
    url: str
    sessions: dict[str, Any] = field(default_factory=dict)


@pytest.fixture(scope="session")
def stage(
    tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Iterator[Stage]:
    chromium()
    need_ffmpeg()
    port = free_port()
    folder = tmp_path_factory.mktemp("stage")
    with installation(folder, PORT=str(port), HOST="127.0.0.1", WEB_WORKERS="1") as made:
        if any(item.path.name == "screenshots.py" for item in request.session.items):
            made.manage("seed_demo")
        else:
            made.python(SEED)
        made.python(PASSWORDS)
        made.manage("collectstatic", "--no-input", "--verbosity", "0")
        for queue in ("jobs", "uploads"):
            made.start("run_huey", "--queue", queue)
        url = f"http://127.0.0.1:{port}"
        start_web_server(made, folder / "web.log")
        eventually("the web server answers", lambda: answers(f"{url}/moderation/sign-in/"), 40)
        yield Stage(made, url)


def start_web_server(made: Installation, log: Path) -> None:
    with log.open("wb") as output:
        made.started.append(
            subprocess.Popen(
                [sys.executable, "-m", "gunicorn", "-c", "config/gunicorn.py", "config.wsgi"],
                cwd=ROOT,
                env=made.environment,
                stdout=output,
                stderr=subprocess.STDOUT,
                text=True,
                start_new_session=True,
            )
        )


def answers(url: str) -> bool:
    try:
        with closing(urllib.request.urlopen(url, timeout=5)) as response:
            return bool(response.status == 200)
    except (urllib.error.URLError, TimeoutError):
        return False


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The stage is the dearest thing there is to set up: one process of a parallel run has it."""
    for item in items:
        if item.path.parent == Path(__file__).parent:
            item.add_marker(pytest.mark.xdist_group("browser"))
            watched: Any = item
            assert "open_page" in watched.fixturenames, f"{item.name} would not be watched"


# Playwright's loop lives in this thread, and Django refuses its database beside a running loop:
# so no longer than one module.
@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=ARGUMENTS)
        yield browser
        browser.close()


class OpenPage:
    """Makes pages, each in a browser of its own and at the list of videos, signed in as ``user``
    unless that is empty; options are the context's.  Whatever opens there is watched."""

    def __init__(self, browser: Browser, url: str, sessions: dict[str, Any] | None = None) -> None:
        self.browser = browser
        self.url = url
        self.sessions = {} if sessions is None else sessions
        self.contexts: list[BrowserContext] = []
        self.troubles: list[str] = []

    def __call__(
        self, user: str = "admin", width: int = 1440, height: int = 900, **options: Any
    ) -> Page:
        context = self.browser.new_context(
            base_url=self.url,
            viewport={"width": width, "height": height},
            storage_state=self.sessions.get(user),
            **options,
        )
        self.contexts.append(context)
        context.set_default_timeout(20_000)
        context.on("weberror", lambda error: self.troubles.append(f"error: {error.error}"))
        context.on("console", self.listen)
        context.on("request", self.watch)
        context.expose_function("reportViolation", self.report)
        context.add_init_script(REPORT_VIOLATIONS)
        page = context.new_page()
        if user in self.sessions:
            page.goto("/moderation/videos/")
        elif user:
            sign_in(page, user)
            self.sessions[user] = context.storage_state()
        return page

    def report(self, violation: str) -> None:
        self.troubles.append(violation)

    def listen(self, line: ConsoleMessage) -> None:
        if line.type in ("error", "warning"):
            self.troubles.append(line.text)

    def watch(self, request: Request) -> None:
        if not request.url.startswith((self.url, "data:", "blob:")):
            self.troubles.append(f"left our origin: {request.url}")

    def forgive(self, words: str) -> None:
        self.troubles = [trouble for trouble in self.troubles if words not in trouble]


@pytest.fixture
def open_page(stage: Stage, browser: Browser) -> Iterator[OpenPage]:
    """At the end: nothing was on a console, nothing was against the policy, no request left our
    origin."""
    opened = OpenPage(browser, stage.url, stage.sessions)
    yield opened
    for context in opened.contexts:
        context.close()
    assert opened.troubles == []


def sign_in(page: Page, user: str) -> None:
    page.goto("/moderation/sign-in/?next=/moderation/videos/")
    page.get_by_label("User name").fill(user)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url("**/moderation/videos/")


def assert_fits(page: Page) -> None:
    """Nothing is wider than the window."""
    too_wide = page.evaluate(
        """() => [...document.querySelectorAll("body *")]
            .filter((each) => each.getBoundingClientRect().right > innerWidth + 1
                && getComputedStyle(each).position !== "absolute")
            .map((each) => each.outerHTML.slice(0, 80))"""
    )
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), too_wide
