"""Two independent defences: the options alone, with an empty sandbox, and the sandbox alone, with
empty options, each keep a file from reaching another file or the network."""

import contextlib
import ctypes
import os
import re
import struct
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from django.conf import settings

from chat.errors import VideoError
from chat.services import libav_words, media_helper, media_runner
from chat.services.examination import examine
from chat.services.ffmpeg_engine import FfmpegMedia
from chat.services.media_helper import MediaHelper
from chat.services.media_limits import MediaLimits
from chat.services.sandbox.layers import LAYERS
from chat.services.video_service import VideoProcessingService
from tests.clips import clip
from tests.hostile_references import NAMES, Listener, references, siblings

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="watches opens with inotify")

IN_OPEN, IN_NONBLOCK = 0x20, 0o4000


class OpenWatch:
    """Counts how often files are opened, by anyone, through inotify(7)."""

    def __init__(self, *paths: Path) -> None:
        libc = ctypes.CDLL(None, use_errno=True)
        self.descriptor = libc.inotify_init1(IN_NONBLOCK)
        for path in paths:
            assert libc.inotify_add_watch(self.descriptor, os.fsencode(path), IN_OPEN) >= 0

    def opened(self) -> int:
        try:
            events = os.read(self.descriptor, 65536)
        except BlockingIOError:
            return 0
        return len(events) // struct.calcsize("iIII")

    def __enter__(self) -> "OpenWatch":
        return self

    def __exit__(self, *_exc: object) -> None:
        os.close(self.descriptor)


class Road:
    """How a file is examined: as the product does it, under a name of our own in a folder of our
    own, or under the file's own name, so that what is relative to it lies beside it."""

    @staticmethod
    def of_the_product(path: Path) -> None:
        VideoProcessingService().examine(path)

    @staticmethod
    def under_its_own_name(path: Path) -> None:
        limits = MediaLimits.from_settings()
        with TemporaryDirectory() as scratch:
            if settings.MEDIA_ENGINE == "ffmpeg":
                media = FfmpegMedia(path, Path(scratch), limits)
                media.path = path
                examine(media, limits.bounds)
                return
            bounds = limits.bounds
            options = libav_words.input_options(bounds.max_pixels, bounds.max_streams)
            parameters = {"path": str(path), "options": options, "bounds": bounds.to_json()}
            media_runner.run_task(
                "libav.examine", parameters, limits.of_a_process, Path(scratch), path
            )


ROADS = {"product": Road.of_the_product, "own name": Road.under_its_own_name}


@pytest.fixture(params=["libav", "ffmpeg"], autouse=True)
def _engine(request, settings) -> None:
    settings.MEDIA_ENGINE = request.param


@pytest.fixture(params=ROADS)
def road(request) -> Callable[[Path], None]:
    return ROADS[request.param]


@pytest.fixture(scope="module")
def helpers() -> Iterator[Callable[[frozenset[str]], MediaHelper]]:
    """One helper for each set of layers."""
    started: dict[frozenset[str], MediaHelper] = {}

    def of(layers: frozenset[str]) -> MediaHelper:
        return started.setdefault(layers, MediaHelper(2, layers))

    yield of
    for helper in started.values():
        helper.stop()


ALL = frozenset(layer.name for layer in LAYERS)


@pytest.fixture
def options_alone(monkeypatch, helpers) -> None:
    """The sandbox emptied: a child without any layer."""
    monkeypatch.setattr(media_helper, "_helper", helpers(frozenset()))


@pytest.fixture
def sandbox_alone(monkeypatch, helpers) -> None:
    """The options emptied: no list of formats and protocols, no bounds."""
    helper = helpers(ALL)
    helper.known_tasks()
    if helper.missing.keys() & {"landlock", "seccomp"}:
        pytest.skip("this kernel has no Landlock or no seccomp")
    monkeypatch.setattr(media_helper, "_helper", helper)
    monkeypatch.setattr(libav_words, "input_options", lambda *_limits: {})


@pytest.fixture
def no_defence(monkeypatch, options_alone) -> None:
    monkeypatch.setattr(libav_words, "input_options", lambda *_limits: {})


def ffmpeg_version() -> tuple[int, ...]:
    said = subprocess.run(["ffmpeg", "-version"], capture_output=True, text=True, check=True)
    found = re.search(r"ffmpeg version n?(\d+)\.(\d+)", said.stdout)
    return tuple(int(part) for part in found.groups()) if found else (99,)


def reached(folder: Path, road: Callable[[Path], None]) -> set[str]:
    """Names of the files whose examination opened another file or the network."""
    neighbour = folder / "neighbour.ts"
    neighbour.write_bytes(clip("n.ts", "-c:v", "mpeg2video").read_bytes())
    others = [neighbour]
    for name, content in siblings(neighbour.read_bytes()).items():
        (folder / name).write_bytes(content)
        others.append(folder / name)
    found = set()
    with Listener() as listener, OpenWatch(*others) as watch:
        for name, content in references(neighbour, listener.port).items():
            (folder / name).write_bytes(content)
            before = listener.connections
            with contextlib.suppress(VideoError):
                road(folder / name)
            if watch.opened() or listener.connections != before:
                found.add(name)
    return found


# What either engine follows without both defences, under the file's own name.  Of the rest the
# ffmpeg engine follows DASH too; the others are closed by libav's own defaults, or were once open.
FOLLOWED = {
    "hls-absolute.m3u8", "hls-relative.m3u8", "hls-map.m3u8", "hls-key.m3u8", "ffconcat.ffconcat",
    "vobsub.idx",
}  # fmt: skip


@pytest.mark.usefixtures("no_defence")
def test_without_both_files_are_reached(tmp_path):
    """Else the tests below would prove nothing."""
    found = reached(tmp_path, Road.under_its_own_name)
    assert found >= FOLLOWED


@pytest.mark.usefixtures("options_alone")
def test_the_options_alone_let_nothing_through(tmp_path, road):
    assert reached(tmp_path, road) == set()


@pytest.mark.usefixtures("sandbox_alone")
def test_the_sandbox_alone_lets_nothing_through(tmp_path, road):
    assert reached(tmp_path, road) == set()


@pytest.fixture(params=["options_alone", "sandbox_alone"])
def _either_alone(request) -> None:
    request.getfixturevalue(request.param)


@pytest.mark.usefixtures("_either_alone")
def test_a_good_video_is_ready_whatever_it_is_called(tmp_path):
    """And nothing but it is opened, or made beside it."""
    folder = tmp_path / "folder"
    folder.mkdir()
    neighbour = folder / "neighbour.ts"
    neighbour.write_bytes(clip("n.ts", "-c:v", "mpeg2video").read_bytes())
    content = clip().read_bytes()
    with Listener() as listener, OpenWatch(neighbour) as watch:
        made = {neighbour.name}
        for name in NAMES:
            path = folder / name.format(port=listener.port)
            path.write_bytes(content)
            made.add(path.name)
            VideoProcessingService().examine(path)
        assert watch.opened() == 0
        assert listener.connections == 0
    assert {path.name for path in folder.iterdir()} == made


def test_a_pipe_a_device_a_folder_and_a_link_are_not_opened(tmp_path):
    pipe, link = tmp_path / "pipe", tmp_path / "link"
    os.mkfifo(pipe)
    link.symlink_to(clip())
    for path in (pipe, link, Path("/dev/zero"), tmp_path, tmp_path / "missing"):
        with pytest.raises(VideoError) as caught:
            VideoProcessingService().examine(path)
        assert caught.value.code == "missing_file"
