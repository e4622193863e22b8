"""Children forked before they are asked for, and answered for before they are gone."""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from chat.errors import VideoError
from chat.services import media_helper
from chat.services.media_helper import MediaHelper
from chat.services.media_runner import run, run_task
from chat.services.sandbox.layers import LAYERS, Limits
from tests.processes import children, is_running, wait_until, works_in
from tests.running import ROOT

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="/proc and the layers are Linux's")

NAMES = [layer.name for layer in LAYERS]
LIMITS = Limits(wall_seconds=10, cpu_seconds=5, memory_bytes=1024**3, output_bytes=10**6)


@pytest.fixture(params=[0, len(NAMES)], ids=["no layer", "every layer"])
def helper(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Iterator[MediaHelper]:
    monkeypatch.setattr(media_helper, "TASK_MODULES", ("tests.sandbox_tasks",))
    started = MediaHelper(3, frozenset(NAMES[: request.param]))
    started.known_tasks()
    yield started
    started.stop()


def spares(helper: MediaHelper) -> list[int]:
    return [pid for pid in children(helper.process_id) if works_in(pid) == "/"]


def the_spare(helper: MediaHelper) -> int:
    wait_until(lambda: len(spares(helper)) == 1, "there is not one spare child")
    return spares(helper)[0]


def descriptors(pid: int) -> list[str]:
    found = []
    for entry in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):  # it is just closing them
            found.append(os.readlink(entry))
    return found


def test_the_spare_child_becomes_the_next_one_and_another_takes_its_place(helper, tmp_path):
    spare = the_spare(helper)
    parameters = {"seconds": 0, "bytes": 1}
    burned = run_task("tests.burn", parameters, LIMITS, tmp_path, tmp_path, helper)
    assert burned["pid"] == spare
    assert the_spare(helper) != spare
    wait_until(lambda: not is_running(spare), "a child outlived its answer", 1.0)


def test_it_has_taken_on_what_does_not_depend_on_a_file(helper):
    spare = the_spare(helper)
    wait_until(lambda: len(descriptors(spare)) == 4, "it holds descriptors of others")
    line = f"NoNewPrivs:\t{int('no_new_privileges' in helper.layers)}"
    status = Path(f"/proc/{spare}/status")
    wait_until(lambda: line in status.read_text(), "it has not taken that layer on")
    assert os.getpgid(spare) == spare


def test_it_holds_nothing_of_a_running_child(helper, tmp_path):
    caller = threading.Thread(
        target=run, args=(["/bin/sleep", "2"], LIMITS, tmp_path), kwargs={"helper": helper}
    )
    before = the_spare(helper)
    caller.start()
    wait_until(lambda: works_in(before) == str(tmp_path), "nothing was started")
    after = the_spare(helper)
    assert after != before
    wait_until(lambda: len(descriptors(after)) == 4, "it holds descriptors of others")
    assert sorted(descriptors(after))[:3] == ["/dev/null"] * 3
    caller.join()


def test_it_dies_with_its_helper(helper):
    spare = the_spare(helper)
    os.kill(helper.process_id, signal.SIGKILL)
    wait_until(lambda: not is_running(spare), "the spare child outlived its helper", 1.0)


def test_it_ends_when_the_helper_is_stopped(helper):
    spare = the_spare(helper)
    helper.stop()
    wait_until(lambda: not is_running(spare), "the spare child outlived its helper", 1.0)


def test_one_that_was_killed_is_replaced(helper, tmp_path):
    for _ in range(3):
        killed = the_spare(helper)
        os.kill(killed, signal.SIGKILL)
        wait_until(lambda killed=killed: killed not in spares(helper), "it was not reaped")
        assert run(["/bin/true"], LIMITS, tmp_path, helper=helper).returncode == 0
    assert helper.counts.helpers_started == 1
    wait_until(lambda: len(children(helper.process_id)) == 1, "a killed child was not reaped")


def test_time_is_counted_from_the_request_on(helper, tmp_path):
    the_spare(helper)
    time.sleep(1.0)
    limits = Limits(wall_seconds=0.9, cpu_seconds=5, memory_bytes=1024**3, output_bytes=10**6)
    ended = run(["/bin/sleep", "0.1"], limits, tmp_path, helper=helper)
    assert ended.wall_seconds < 0.9
    with pytest.raises(VideoError) as caught:
        run(["/bin/sleep", "5"], limits, tmp_path, helper=helper)
    assert caught.value.code == "time_limit"


def test_several_at_once(helper, tmp_path):
    found: list[int] = []

    def call(number: int) -> None:
        directory = tmp_path / str(number)
        directory.mkdir()
        parameters = {"seconds": 0.02, "bytes": 1}
        for _ in range(5):
            burned = run_task("tests.burn", parameters, LIMITS, directory, directory, helper)
            found.append(burned["pid"])

    callers = [threading.Thread(target=call, args=(number,)) for number in range(6)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert len(set(found)) == 30  # each in a process of its own
    assert helper.counts.children == 30
    wait_until(lambda: len(children(helper.process_id)) == 1, "more than the spare child is left")


@pytest.mark.parametrize("with_result", [False, True])
def test_a_child_that_only_claims_to_be_done_is_stopped_and_killed(helper, tmp_path, with_result):
    claimant = the_spare(helper)
    work = tmp_path / "work"
    work.mkdir()
    parameters = {"with_result": with_result}
    started = time.monotonic()
    try:
        told = run_task("tests.claim", parameters, LIMITS, work, work, helper)
    except VideoError as error:
        told = error.code
    assert told == ({"ours": True} if with_result else "decoder_crashed")
    assert time.monotonic() - started < 5
    left = sorted(os.listdir(work))
    assert len(left) > 1, "it wrote nothing, so that nothing was proven"
    shutil.rmtree(work)  # else it would find new files
    wait_until(lambda: not is_running(claimant), "it goes on", 1.0)
    assert not work.exists()


@pytest.mark.parametrize("how", ["exit", "crash", "become a tool"])
def test_a_child_that_claims_to_be_done_and_leaves_does_no_harm(helper, tmp_path, how):
    for _ in range(20):
        with pytest.raises(VideoError) as caught:
            run_task("tests.leave", {"how": how}, LIMITS, tmp_path, tmp_path, helper)
        assert caught.value.code == "decoder_crashed"
    assert helper.counts.helpers_started == 1
    wait_until(lambda: len(children(helper.process_id)) == 1, "more than the spare child is left")


def test_what_a_child_used_is_counted(helper, tmp_path):
    parameters = {"seconds": 0.3, "bytes": 80_000_000}
    run_task("tests.burn", parameters, LIMITS, tmp_path, tmp_path, helper)
    assert 0.3 <= helper.counts.cpu_seconds < 2
    wait_until(lambda: len(children(helper.process_id)) == 1, "it is still there")
    assert helper.used_cpu_seconds() > helper.counts.cpu_seconds
    assert 80_000_000 < helper.counts.max_rss_bytes < 300_000_000
    assert helper.counts.children_killed == 0


def test_nothing_but_the_result_is_left(helper, tmp_path):
    work = tmp_path / "work"
    work.mkdir()
    run_task("tests.burn", {"seconds": 0, "bytes": 1}, LIMITS, work, work, helper)
    assert os.listdir(work) == [".result"]


def test_a_worker_killed_leaves_no_child(tmp_path):
    program = (
        "import django; django.setup(); from pathlib import Path; import threading, time;"
        "from chat.services.media_runner import *; helper = media_helper();"
        f"limits = ProcessLimits(60, 60, 512 * 1024**2, 10**6); at = Path({str(tmp_path)!r});"
        "call = lambda: run(['/bin/sleep', '60'], limits, at, helper=helper);"
        "threading.Thread(target=call, daemon=True).start();"
        "(at / 'helper').write_text(str((helper.known_tasks(), helper.process_id)[1]));"
        "time.sleep(60)"
    )
    environment = {**os.environ, "DATA_DIR": str(tmp_path / "data")}
    environment["DJANGO_SETTINGS_MODULE"] = "config.settings"
    worker = subprocess.Popen([sys.executable, "-c", program], cwd=ROOT, env=environment)
    try:
        told = tmp_path / "helper"
        wait_until(lambda: told.exists() and told.read_text(), "no helper was started", 30)
        pid = int(told.read_text())
        wait_until(lambda: len(children(pid)) == 2, "not one at work and one spare")
        found = children(pid)
    finally:
        worker.kill()
        worker.wait()
    for process in (pid, *found):
        wait_until(lambda process=process: not is_running(process), "one is left", 1.0)
