"""What goes wrong under an open page: it stays as it is, and says what happened and what to do."""

import os
import re
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from playwright.sync_api import Page, Route, expect

from tests.browser.conftest import (
    PASSWORD,
    OpenPage,
    Stage,
    answers,
    sign_in,
    start_web_server,
)
from tests.browser.more_videos import more_videos
from tests.running import eventually

pytestmark = pytest.mark.browser

LIST = "/moderation/videos/"
ROWS = "#results tbody tr"


def stay(page: Page) -> list[str]:
    """Mark the document, to see later that no page load has replaced it; the rows it shows."""
    page.evaluate("() => { window.stayed = true; }")
    return rows(page)


def has_stayed(page: Page) -> bool:
    return bool(page.evaluate("() => window.stayed === true"))


def rows(page: Page) -> list[str]:
    return [name.strip() for name in page.locator(f"{ROWS} .row-link").all_inner_texts()]


def test_signing_out_in_another_tab(open_page: OpenPage) -> None:
    page = open_page(user="")
    sign_in(page, "malik")  # a session of its own: it ends here
    page.goto(f"{LIST}?codec=h264")
    listed = stay(page)
    other = page.context.new_page()
    other.goto("/moderation/jobs/")
    other.get_by_label("Your account").click()
    other.get_by_role("button", name="Sign out").click()
    expect(other).to_have_url(re.compile("/sign-in/"))

    page.get_by_role("searchbox").fill("clip")
    expect(page.get_by_role("alert")).to_contain_text("Your session has ended")
    assert rows(page) == listed
    assert has_stayed(page)
    page.get_by_role("link", name="Sign in").click()
    expect(page.get_by_text("Your session has ended")).to_be_visible()
    page.get_by_label("User name").fill("malik")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    expect(page).to_have_url(re.compile(r"/moderation/videos/\?codec=h264$"))
    open_page.forgive("401 (Unauthorized)")  # which the browser itself reports
    open_page.forgive("Response Status Error Code 401")


def answering(status: int) -> Callable[[Route], None]:
    return lambda route: route.fulfill(status=status, body="<h1>Oh</h1>", content_type="text/html")


def test_answers_that_are_no_fragment(open_page: OpenPage) -> None:
    page = open_page()
    listed = stay(page)
    alert = page.get_by_role("alert")
    for status, words in {
        400: "The server could not make sense of that",
        413: "more than the server takes at once",
        429: "too often in a short time",
        500: "Something failed on our side",
        503: "Something failed on our side",
    }.items():
        page.route("**/videos/?q=**", answering(status))
        page.get_by_role("searchbox").fill(f"clip {status}")
        expect(alert).to_contain_text(words)
        with page.expect_response(lambda answer: answer.url.endswith(LIST)):
            page.evaluate("htmx.trigger('[hx-trigger*=refresh-now]', 'refresh-now')")
        page.wait_for_function("() => !document.querySelector('.htmx-request')")
        expect(alert).to_be_visible()  # what the page asks for by itself does not end it
        assert rows(page) == listed
        page.unroute("**/videos/?q=**")
        page.get_by_role("searchbox").fill("")
        expect(alert).to_be_hidden()
        assert has_stayed(page)
        open_page.forgive(f"status of {status}")
        open_page.forgive(f"Error Code {status}")


def test_a_slow_answer_is_waited_for_in_sight(open_page: OpenPage) -> None:
    """A line across the top, and the list that is about to go pales; what the page asks for by
    itself shows nothing."""
    page = open_page()
    held: list[Route] = []
    page.route("**/moderation/videos/**", lambda route: held.append(route))
    table = page.locator("#bulk")
    line = "getComputedStyle(document.body, '::before').content"

    page.evaluate("htmx.trigger('[hx-trigger*=refresh-now]', 'refresh-now')")
    eventually("it asks by itself", lambda: bool(held or page.wait_for_timeout(50)), 10)
    assert page.evaluate(line) == "none"
    held.pop().continue_()
    page.wait_for_function("() => !document.querySelector('.htmx-request')")

    page.locator("#sort-size").click()
    expect(table).to_have_css("opacity", "0.6")
    assert page.evaluate(line) != "none"
    held.pop().continue_()
    expect(table).to_have_css("opacity", "1")
    expect(page).to_have_url(re.compile("sort=size"))
    assert page.evaluate(line) == "none"


def test_a_picture_that_does_not_come(open_page: OpenPage) -> None:
    page = open_page()
    page.goto(f"{LIST}?codec=h264&state=ready")
    page.route("**/thumbnail/**", answering(503))
    picture = page.locator(f"{ROWS} .thumb").first
    picture.get_by_role("button").click()
    expect(page.get_by_role("alert")).to_contain_text("The picture did not come")
    expect(picture).not_to_have_class(re.compile("is-revealed"))
    expect(picture.locator("img")).to_have_attribute("src", re.compile("/blurred/"))
    page.unroute("**/thumbnail/**")
    picture.get_by_role("button").click()
    expect(picture.locator("img")).to_have_attribute("src", re.compile("/thumbnail/"))
    expect(picture).to_have_class(re.compile("is-revealed"))
    open_page.forgive("status of 503")


@contextmanager
def stopped_web_server(stage: Stage) -> Iterator[None]:
    """The real one; a new one is in its place afterwards."""
    server = stage.installation.started.pop()
    assert "gunicorn" in server.args
    os.killpg(server.pid, signal.SIGTERM)
    server.wait(30)
    try:
        yield
    finally:
        start_web_server(stage.installation, stage.installation.data_dir / "web-again.log")
        eventually("it answers again", lambda: answers(f"{stage.url}/moderation/sign-in/"), 60)


def test_a_server_that_is_stopped(stage: Stage, open_page: OpenPage) -> None:
    page = open_page()
    page.goto(f"{LIST}?state=ready")
    listed = stay(page)
    with stopped_web_server(stage):
        page.locator("#sort-size").click()
        alert = page.get_by_role("alert")
        expect(alert).to_contain_text("The server did not answer")
        expect(alert.get_by_role("button", name="Load again")).to_be_visible()
        assert rows(page) == listed
        assert has_stayed(page)
    page.get_by_role("button", name="Load again").click()
    expect(page.locator(ROWS).first).to_be_visible()
    assert rows(page) == listed
    open_page.forgive("net::ERR_")
    open_page.forgive("htmx:")


def test_a_right_that_was_taken_and_a_video_that_is_gone(
    stage: Stage, open_page: OpenPage
) -> None:
    """Each under an open page, on which somebody then decides."""
    with more_videos(stage, "short lived", 2) as (kept, gone):
        page = open_page("malik")
        alert = page.get_by_role("alert")
        page.goto(f"{LIST}{kept}/")
        page.get_by_text("Notes", exact=True).click()
        page.get_by_label("Internal note").fill("typed with care")
        change_role(stage, "remove")
        page.get_by_role("button", name="Quarantine").click()
        expect(alert).to_contain_text("You have no right to do that")
        change_role(stage, "add")
        expect(page.get_by_label("Internal note")).to_have_value("typed with care")
        page.get_by_role("button", name="Quarantine").click()
        expect(page.locator("#video-state")).to_contain_text("Quarantined")
        expect(alert).to_be_hidden()

        page.goto(f"{LIST}{gone}/")
        stage.installation.python(
            f"from chat.models import Attachment; Attachment.objects.filter(pk={gone}).delete()"
        )
        page.get_by_role("button", name="Quarantine").click()
        expect(alert).to_contain_text("somebody deleted it meanwhile")
        expect(page.locator("#decide-title")).to_be_visible()
    for status in (403, 404):
        open_page.forgive(f"status of {status}")
        open_page.forgive(f"Error Code {status}")


def change_role(stage: Stage, verb: str) -> None:
    stage.installation.python(
        "from django.contrib.auth.models import Group, User;"
        "groups = User.objects.get(username='malik').groups;"
        f"groups.{verb}(Group.objects.get(name='moderator'))"
    )
