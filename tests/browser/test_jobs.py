"""Jobs as an operator runs them: a real browser, real clips, a real consumer."""

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, Response, expect

from tests.browser.conftest import OpenPage, Stage, assert_fits
from tests.running import eventually

pytestmark = pytest.mark.browser

# A million videos, a third of them done.
LARGE_JOB = """
from django.utils import timezone
from moderation.models import Chunk, Job
job = Job.objects.create(
    kind="verify", status="paused", total=1_000_000, planned_at=timezone.now(),
    scope_words="all videos", started_from="command",
)
rows = [Chunk.of(job, range(1 + 500 * number, 501 + 500 * number)) for number in range(2000)]
for row in rows[:700]:
    row.cursor, row.ready = 500, 500
Chunk.objects.bulk_create(rows, batch_size=500)
print(job.pk)
"""

JOB = re.compile(r"/moderation/jobs/\d+/$")


@pytest.fixture(autouse=True)
def nothing_runs(stage: Stage) -> Iterator[None]:
    """A job that a failed test left must not slow down the next."""
    yield
    stage.installation.python(
        "from moderation import steering\n"
        "from moderation.models import Job\n"
        "from chat.services.activity import SYSTEM\n"
        "for job in Job.objects.unfinished(): steering.cancel(job, SYSTEM)"
    )


def stay(page: Page) -> None:
    """Mark the document, to see later that no page load has replaced it."""
    page.evaluate("() => { window.stayed = true; }")


def has_stayed(page: Page) -> bool:
    return bool(page.evaluate("() => window.stayed === true"))


def start(page: Page, query: str = "only=all", a_second: str = "2") -> int:
    """A slow job on every video; its number."""
    page.goto(f"/moderation/jobs/new/?kind=verify&{query}")
    page.get_by_label("Videos a second").fill(a_second)
    page.get_by_role("button", name=re.compile("^Start on")).click()
    expect(page).to_have_url(JOB)
    return int(page.url.rstrip("/").rpartition("/")[2])


def number(page: Page, label: str) -> int:
    term = page.locator("#progress .big-numbers div", has=page.get_by_text(label, exact=True))
    return int(term.locator("dd").inner_text().replace(",", "").split()[0])


def wait_for_more(page: Page, than: int) -> None:
    eventually("the numbers move", lambda: number(page, "ready") > than, 30)


def test_from_a_filter_through_pause_and_reload_to_the_end(open_page: OpenPage) -> None:
    page = open_page()
    page.goto("/moderation/videos/?state=ready&visibility=visible")  # jobs pass over removed ones
    total = int(page.locator(".total").inner_text().split()[0])
    page.get_by_role("link", name=f"Start a job on these {total}").click()
    expect(page.locator(".narrowed")).to_contain_text("state is ready")
    expect(page.locator(".estimate")).to_contain_text("10 measured", timeout=30_000)
    stay(page)
    page.get_by_label("Verify stored files").check()
    expect(page).to_have_url(re.compile("kind=verify"))
    expect(page.get_by_label("Verify stored files")).to_be_focused()
    page.get_by_label("All videos", exact=False).check()
    expect(page.locator(".plan-count")).to_contain_text(f"{total} videos, state is ready")
    assert has_stayed(page)
    page.get_by_label("Videos a second").fill("3")
    page.get_by_role("button", name=f"Start on {total} videos").click()
    expect(page).to_have_url(JOB)
    assert number(page, "in all") in (0, total)

    wait_for_more(page, 0)
    stay(page)
    page.get_by_role("button", name="Pause").click()
    expect(page.locator("#progress .job-state")).to_contain_text("Paused by admin")
    assert has_stayed(page)
    page.wait_for_timeout(1500)  # what was in work is put down
    page.reload()
    paused_at = number(page, "ready")
    page.wait_for_timeout(2500)
    assert number(page, "ready") == paused_at
    expect(page.locator("#running")).to_contain_text("1 job paused")

    page.get_by_role("button", name="Resume").click()
    expect(page.locator("#progress .state-running")).to_be_visible()
    wait_for_more(page, paused_at)
    page.get_by_label("Videos a second").fill("")
    page.get_by_role("button", name="Set the pace").click()
    expect(page.locator("#progress .state-done")).to_be_visible(timeout=90_000)
    expect(page.locator("#announcement")).to_contain_text(f"Done: {total} of {total} videos")
    expect(page.get_by_role("button", name="Pause")).to_have_count(0)
    expect(page.locator(".history").first).to_contain_text("changed the pace of job")

    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.wait_for_timeout(2500)
    assert [url for url in asked if "progress" in url] == []


def test_with_the_keyboard_alone(open_page: OpenPage) -> None:
    page = open_page()

    def press_until(name: str, key: str = "Tab") -> None:
        """Walk on until the thing with this name has the focus."""
        seen = []
        for _ in range(80):
            page.keyboard.press(key)
            seen.append(focused(page))
            if seen[-1].startswith(name):
                return
        raise AssertionError(f"{name!r} was not reached: {seen}")

    page.goto("/moderation/jobs/")
    press_until("Start a job")
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile("/jobs/new/"))
    press_until("Backfill metadata")
    page.keyboard.press("ArrowUp")  # round to the last kind
    expect(page).to_have_url(re.compile("kind=verify"))
    press_until("Videos whose files")
    page.keyboard.press("ArrowUp")
    expect(page).to_have_url(re.compile("only=all"))
    press_until("Videos a second")
    page.keyboard.type("1")
    press_until("Start on")
    page.keyboard.press("Enter")
    expect(page).to_have_url(JOB)

    press_until("Pause")
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="Resume")).to_be_focused()  # in the same place
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="Pause")).to_be_focused()
    press_until("Cancel…")
    page.keyboard.press("Enter")
    question = page.locator("#cancel form")
    expect(question).to_be_visible()
    expect(question).to_contain_text(re.compile(r"Cancel Verify stored files #\d+\?"))
    page.wait_for_timeout(2500)  # the page refreshes itself meanwhile
    expect(question).to_be_visible()
    page.keyboard.press("Escape")
    expect(question).to_be_hidden()
    assert focused(page).startswith("Cancel…")
    page.keyboard.press("Enter")
    press_until("Cancel the job")
    page.keyboard.press("Enter")
    expect(page.locator("#progress .state-cancelled")).to_be_visible()
    expect(page.locator("#announcement")).to_contain_text("Cancelled: ")
    expect(page.locator("#live")).to_be_focused()  # the button is gone; its page is not


def focused(page: Page) -> str:
    """What a screen reader would call the focused element, roughly."""
    return str(
        page.evaluate(
            """() => {
                const element = document.activeElement;
                const label = element.getAttribute("aria-label")
                    ?? element.labels?.[0]?.textContent ?? element.textContent;
                return label.trim();
            }"""
        )
    )


def test_a_live_page_leaves_the_reader_alone(open_page: OpenPage) -> None:
    page = open_page(height=500)
    start(page, a_second="4")
    wait_for_more(page, 0)
    page.get_by_label("Workers at once").fill("7")  # half-typed
    page.get_by_role("heading", name="History").scroll_into_view_if_needed()
    page.evaluate("() => scrollTo(0, 200)")
    page.evaluate(
        """() => getSelection().selectAllChildren(document.querySelector(".job-title h1"))"""
    )
    page.get_by_label("Workers at once").focus()
    page.evaluate("() => { window.field = document.activeElement; }")
    scroll = page.evaluate("scrollY")
    assert scroll > 0
    before = number(page, "ready")
    wait_for_more(page, before + 2)
    assert page.evaluate("document.activeElement === window.field")
    assert page.get_by_label("Workers at once").input_value() == "7"
    assert page.evaluate("scrollY") == scroll

    page.get_by_label("Workers at once").fill("0")
    page.get_by_role("button", name="Set the pace").press("Enter")
    error = page.locator("#id_workers_error")
    expect(error).to_contain_text("greater than or equal to 1")
    wait_for_more(page, number(page, "ready") + 2)
    expect(error).to_contain_text("greater than or equal to 1")  # until it is mended
    expect(page.get_by_role("button", name="Set the pace")).to_be_focused()
    page.get_by_label("Workers at once").fill("1")
    page.get_by_role("button", name="Set the pace").press("Enter")
    expect(error).to_be_empty()
    expect(page.get_by_text("1 worker, at most 4 a second").first).to_be_visible()


def test_a_live_list_leaves_the_reader_alone(open_page: OpenPage) -> None:
    page = open_page(height=400)
    job = start(page, a_second="3")
    page.goto("/moderation/jobs/")
    link = page.locator(f"#job-{job}")
    link.focus()
    page.evaluate("() => { window.link = document.activeElement; scrollTo(0, 60); }")
    page.evaluate(
        f"() => getSelection().selectAllChildren(document.querySelector('#row-{job} .beneath'))"
    )
    scope = page.evaluate("getSelection().toString()")
    assert scope
    scroll = page.evaluate("scrollY")
    numbers = page.locator(f"#row-{job} .numbers")
    before = numbers.inner_text()
    expect(numbers).not_to_have_text(before, timeout=20_000)
    assert page.evaluate("document.activeElement === window.link")
    assert page.evaluate("getSelection().toString()") == scope
    assert page.evaluate("scrollY") == scroll
    other = start(open_page(), a_second="1")
    expect(page.locator(f"#job-{other}")).to_be_visible(timeout=20_000)  # a row above it
    assert page.evaluate("document.activeElement === window.link")
    page.get_by_role("link", name=re.compile("^Done")).click()
    expect(page).to_have_url(re.compile(r"\?status=done$"))
    expect(page.locator(f"#job-{other}")).to_have_count(0)  # the first may be done


def test_progress_is_told_politely_and_not_each_second(open_page: OpenPage) -> None:
    page = open_page()
    start(page, a_second="6")
    page.evaluate(
        """() => {
            window.told = [];
            const region = document.querySelector("#announcement");
            new MutationObserver(() => window.told.push(region.textContent))
                .observe(region, { childList: true, characterData: true, subtree: true });
        }"""
    )
    expect(page.locator("#announcement")).to_have_attribute("aria-live", "polite")
    expect(page.locator("#progress .state-done")).to_be_visible(timeout=60_000)
    told = page.evaluate("window.told")
    assert re.fullmatch(r"Done: (\d+) of \1 videos(, \d+ failed)?", told[-1])
    assert len(told) == len(set(told)) >= 3
    assert all(re.fullmatch(r"Running: \d0 % done|Running: 0 % done", each) for each in told[:-1])


def test_of_the_map_only_what_changed_is_sent(open_page: OpenPage) -> None:
    page = open_page()
    start(page, a_second="6")
    expect(page.locator("#map .cell").nth(1)).to_be_visible()
    polls: list[Response] = []
    page.on(
        "response", lambda answer: polls.append(answer) if "/progress/" in answer.url else None
    )
    expect(page.locator("#progress .state-done")).to_be_visible(timeout=60_000)
    cells = page.locator("#map .cell").count()
    sent = [answer.text().count('id="cell-') for answer in polls]
    assert 0 < max(sent[1:]) < cells  # the first may have been asked for before the chunks
    drawn = page.locator("#map").inner_html()
    page.reload()
    assert page.locator("#map").inner_html() == drawn


def test_the_map_of_a_large_job_fits_a_telephone(open_page: OpenPage, stage: Stage) -> None:
    number = stage.installation.python(LARGE_JOB)
    page = open_page(width=390, height=844)
    page.goto(f"/moderation/jobs/{number}/")
    expect(page.get_by_role("img", name=re.compile("400 groups of 5 parts"))).to_be_visible()
    expect(page.locator("#map .cell")).to_have_count(400)
    assert_fits(page)
    box = page.locator("#map").bounding_box()
    assert box
    assert box["height"] < 844 / 2  # what comes after it is still found


def test_what_failed_is_retried_or_marked(open_page: OpenPage, stage: Stage) -> None:
    page = open_page()
    page.goto("/moderation/jobs/new/?kind=metadata&only=all")
    page.get_by_role("button", name=re.compile("^Start on")).click()
    expect(page.locator("#progress .state-done")).to_be_visible(timeout=90_000)
    rows = page.locator("#results tbody tr")
    expect(rows).to_have_count(number(page, "failed"))
    expect(page.get_by_role("heading", name="Why videos failed")).to_be_visible()
    stay(page)
    group = page.locator(".groups li").first
    code = group.locator("code").inner_text()
    page.get_by_label("Code").focus()
    page.get_by_label("Code").select_option(code)
    expect(page).to_have_url(re.compile(f"code={code}"))
    expect(page.get_by_label("Code")).to_be_focused()
    with page.expect_download() as download:
        page.get_by_role("link", name="Export CSV").click()
    assert code in download.value.path().read_text()
    group.get_by_role("button", name="Mark handled").click()
    expect(page.locator("#notices")).to_contain_text("marked handled")
    expect(group.get_by_role("button", name="Mark handled")).to_have_count(0)
    expect(rows.first).to_contain_text("Handled")
    assert has_stayed(page)
    page.get_by_role("button", name=re.compile("^Retry ")).first.click()
    expect(page.get_by_text("retries what failed in")).to_be_visible()
    expect(page.locator("#progress .state-done")).to_be_visible(timeout=60_000)


def test_a_job_on_ticked_rows(open_page: OpenPage) -> None:
    page = open_page()
    page.goto("/moderation/videos/?state=ready")
    bar = page.get_by_role("group", name="With the selected videos")
    expect(bar).to_be_hidden()
    boxes = page.get_by_role("checkbox", name=re.compile("^Select (?!all)"))
    boxes.nth(0).check()
    boxes.nth(2).click(modifiers=["Shift"])
    expect(bar).to_contain_text("3 selected")
    page.get_by_label("Select all on this page").check()
    expect(bar).to_contain_text(f"{boxes.count()} selected")
    bar.get_by_label("Select none").click()
    expect(bar).to_be_hidden()
    boxes.nth(1).check()
    bar.get_by_role("button", name="Regenerate thumbnails").click()
    expect(page.get_by_text("1 selected video")).to_be_visible()
    page.get_by_role("button", name="Start on 1 video").click()
    expect(page.locator("#progress .state-done")).to_be_visible(timeout=60_000)


def test_steering_without_javascript(open_page: OpenPage) -> None:
    page = open_page(java_script_enabled=False)
    start(page, a_second="1")
    page.get_by_role("button", name="Pause").click()
    expect(page.locator("#progress .state-paused")).to_be_visible()
    page.get_by_label("Workers at once").fill("0")
    page.get_by_role("button", name="Set the pace").click()
    expect(page.locator("#id_workers_error")).to_contain_text("greater than or equal to 1")
    page.get_by_label("Workers at once").fill("2")
    page.get_by_role("button", name="Set the pace").click()
    expect(page.get_by_text("2 workers, at most 1 a second").first).to_be_visible()
    page.get_by_role("button", name="Resume").click()
    page.get_by_text("Cancel…").click()
    page.get_by_role("button", name="Cancel the job").click()
    expect(page.locator("#progress .state-cancelled")).to_be_visible()
    expect(page.get_by_role("button", name="Pause")).to_have_count(0)


@pytest.mark.parametrize("width", [390, 768, 1024])
def test_a_jobs_page_fits(open_page: OpenPage, width: int) -> None:
    page = open_page(width=width, height=844)
    start(page, a_second="1")
    expect(page.locator(".map")).to_be_visible()
    assert_fits(page)
    page.get_by_text("Cancel…").click()
    assert_fits(page)
    question = page.locator("#cancel form").bounding_box()
    assert question
    assert question["x"] >= 0
    assert question["x"] + question["width"] <= width
