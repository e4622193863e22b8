"""The React example of docs/examples, compiled and used in a real browser."""

import json
import os
import subprocess
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, Request, Route, expect

from tests.api.server import ApiServer
from tests.browser.conftest import OpenPage
from tests.clips import clip
from tests.machine import node
from tests.running import ROOT, eventually

EXAMPLE = ROOT / "docs" / "examples" / "react"
PACKAGES = ROOT / "tests" / "javascript"
PADDING_BYTES = 3_000_000
CHUNK_BYTES = 500_000
PAGE = """<!doctype html><title>Chat</title><link rel="stylesheet" href="/example/main.css">
<div id="chat" data-site="{site}" data-token="{token}" data-conversation="{conversation}"
  data-chunk-bytes="{chunk}"></div>
<script src="/example/main.js"></script>"""

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with main.js and main.css, built as the example's package.json says."""
    folder = tmp_path_factory.mktemp("react")
    script = json.loads((EXAMPLE / "package.json").read_text())["scripts"]["build"]
    command = script.replace("--outdir=dist", f"--outdir={folder}").split()
    command[0] = str(PACKAGES / "node_modules" / ".bin" / command[0])
    environment = {**os.environ, "NODE_PATH": str(PACKAGES / "node_modules")}
    subprocess.run([node(), *command], cwd=EXAMPLE, env=environment, check=True, timeout=120)
    return folder


@pytest.fixture(scope="module")
def large_video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clip of several chunks: behind it a `free` box (ISO/IEC 14496-12 section 8.1.2)."""
    path = tmp_path_factory.mktemp("large") / "beach.mp4"
    box = (PADDING_BYTES + 8).to_bytes(4, "big") + b"free" + bytes(PADDING_BYTES)
    path.write_bytes(clip().read_bytes() + box)
    return path


class Chat:
    """The example's page, served from the API's own address; counts what it sends."""

    def __init__(self, server: ApiServer, built: Path, page: Page) -> None:
        self.page = page
        self.offsets: list[int] = []  # of the parts sent
        self.lost_after: int | None = None  # parts; then the network is gone
        html = PAGE.format(
            site=server.url,
            token=server.tokens["anna"],
            conversation=server.conversation,
            chunk=CHUNK_BYTES,
        )
        page.route("/example/", lambda route: route.fulfill(body=html, content_type="text/html"))
        page.route("/example/main.*", lambda route: route.fulfill(path=built / name_of(route)))
        page.route("/favicon.ico", lambda route: route.fulfill(body=""))
        page.route("/api/chat/uploads/*/", self.pass_on)
        self.open()

    def open(self) -> None:
        self.page.goto("/example/")

    def pass_on(self, route: Route, request: Request) -> None:
        if request.method == "PATCH":
            if self.lost_after is not None and len(self.offsets) >= self.lost_after:
                self.page.context.set_offline(True)
                route.abort("internetdisconnected")
                return
            self.offsets.append(int(request.headers["upload-offset"]))
        route.continue_()

    def choose(self, file: Path) -> None:
        self.page.get_by_label("Video").set_input_files(file)

    def says(self, words: str) -> None:
        expect(self.page.get_by_role("status").first).to_contain_text(words)

    def sent_bytes(self) -> float:
        return float(self.page.get_by_label("Sent").evaluate("bar => bar.value"))


def is_shown(chat: Chat, picture: Locator) -> bool:
    """Whether pointing at the bar shows a picture, once the page has its map."""
    chat.page.mouse.move(0, 0)
    chat.page.get_by_label("Position").hover()
    return picture.is_visible()


def name_of(route: Route) -> str:
    return route.request.url.rpartition("/")[2]


@pytest.fixture
def chat(server: ApiServer, built: Path, open_page: OpenPage) -> Chat:
    return Chat(server, built, open_page(user=""))


def test_the_example_and_the_tests_have_the_same_packages() -> None:
    wanted = json.loads((EXAMPLE / "package.json").read_text())
    installed = json.loads((PACKAGES / "package.json").read_text())["dependencies"]
    needed = {**wanted["dependencies"], **wanted["devDependencies"]}
    assert needed.items() <= installed.items()


def test_a_lost_connection_and_a_player_that_seeks(
    chat: Chat, large_video: Path, open_page: OpenPage, server: ApiServer
) -> None:
    chat.lost_after = 3
    chat.choose(large_video)
    chat.says("No connection")
    assert 0 < chat.sent_bytes() < large_video.stat().st_size
    assert chat.offsets == [0, CHUNK_BYTES, 2 * CHUNK_BYTES]
    open_page.forgive("ERR_INTERNET_DISCONNECTED")

    chat.lost_after = None
    chat.page.context.set_offline(False)
    chat.says("Ready.")
    parts = range(0, large_video.stat().st_size, CHUNK_BYTES)
    assert chat.offsets == list(parts)  # each once: nothing was sent again

    player = chat.page.locator("video")
    player.evaluate("video => { video.muted = true; return video.play(); }")
    chat.page.wait_for_function("document.querySelector('video').currentTime > 0.2")
    player.evaluate("video => video.pause()")
    chat.page.get_by_label("Position").fill("0.8")
    chat.page.wait_for_function(
        "(video => !video.seeking && video.currentTime === 0.8)(document.querySelector('video'))"
    )
    assert player.evaluate("video => [video.videoWidth, video.videoHeight]") == [320, 240]

    server.installation.start("run_huey", "--queue", "uploads")  # it makes the storyboard
    picture = chat.page.get_by_role("img", name="Picture at this time")
    eventually("the storyboard is shown", lambda: is_shown(chat, picture), 60)


def test_a_closed_page_goes_on_where_it_was(
    chat: Chat, large_video: Path, open_page: OpenPage
) -> None:
    chat.lost_after = 2
    chat.choose(large_video)
    chat.says("No connection")
    open_page.forgive("ERR_INTERNET_DISCONNECTED")
    chat.lost_after = None
    chat.page.goto("about:blank")  # closed before it can try again by itself
    chat.page.context.set_offline(False)

    chat.open()
    chat.choose(large_video)

    chat.says("Ready.")
    assert chat.offsets == list(range(0, large_video.stat().st_size, CHUNK_BYTES))


def test_a_refusal_is_said(chat: Chat, tmp_path: Path, open_page: OpenPage) -> None:
    file = tmp_path / "notes.mp4"
    file.write_text("This is no video.")

    chat.choose(file)

    chat.says("This file is not a video.")
    open_page.forgive("415")
