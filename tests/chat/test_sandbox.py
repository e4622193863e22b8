"""The sandbox: what the hostile stand-in gets through with all layers, and with each one alone."""

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Collection
from pathlib import Path

import pytest

from chat.errors import VideoError
from chat.services import media_helper, media_runner
from chat.services.media_helper import MediaHelper
from chat.services.media_self_test import ALL_NAMES, run_self_test
from chat.services.sandbox.layers import LAYERS, Limits
from tests.processes import at_work, is_running, wait_until

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the layers are Linux's")

ALL = frozenset(layer.name for layer in LAYERS)
LIMITS = Limits(wall_seconds=10, cpu_seconds=5, memory_bytes=1024**3, output_bytes=10**6)


@contextlib.contextmanager
def helper_with(layers: frozenset[str], children: int = 2):
    helper = MediaHelper(children, layers)
    try:
        yield helper
    finally:
        helper.stop()


@pytest.fixture(scope="module")
def available() -> frozenset[str]:
    """Layers that this machine has (a container may lack the network namespace)."""
    with helper_with(ALL) as helper:
        return frozenset(name for name, state in helper.layer_states.items() if state == "on")


def got_through(layers: frozenset[str], names: Collection[str] = ALL_NAMES) -> set[str]:
    with helper_with(layers) as helper:
        return {attempt.name for attempt in run_self_test(helper, names) if not attempt.denied}


def test_with_every_layer_nothing_gets_through(available):
    if not {"limits", "landlock", "seccomp"} <= available:
        pytest.skip("this kernel has no Landlock or no seccomp")
    assert got_through(ALL) == set()


def test_without_layers_the_stand_in_succeeds():
    """Else the test above would prove nothing."""
    harmless = set(ALL_NAMES) - {"take_four_gibibytes"}
    assert got_through(frozenset(), harmless) == harmless


@pytest.mark.parametrize(
    ("layer", "stopped"),
    [
        ("limits", {"take_four_gibibytes", "fill_the_disk"}),
        (
            "landlock",
            {"read_password_file", "read_neighbour", "read_parents_environment"}
            | {"write_outside", "delete_neighbour"},
        ),
        (
            "seccomp",
            {"connect_tcp", "send_udp", "connect_unix", "fork_fifty", "run_a_program"}
            | {"signal_the_worker"},
        ),
        ("network_namespace", {"connect_tcp"}),
    ],
)
def test_each_layer_alone_stops_its_part(layer, stopped, available):
    if layer not in available:
        pytest.skip(f"this machine has no {layer}")
    assert got_through(frozenset({"no_new_privileges", layer}), stopped) == set()


def running_children(helper: MediaHelper) -> list[int]:
    return at_work(helper.process_id)


def sleeping(helper: MediaHelper, directory: Path, **options) -> threading.Thread:
    """A call in a thread whose child sleeps for a minute; its error is expected."""

    def call() -> None:
        with contextlib.suppress(VideoError):
            limits = Limits(60, 5, 1024**3, 10**6)
            tool = ["/bin/sleep", "60"]
            media_runner.run(tool, limits, directory, helper=helper, **options)

    thread = threading.Thread(target=call, daemon=True)
    thread.start()
    return thread


def test_slow_work_does_not_take_the_last_place(tmp_path):
    with helper_with(ALL, children=2) as helper:
        helper.known_tasks()
        threads = []
        for name in ("a", "b", "c"):
            (tmp_path / name).mkdir()
            threads.append(sleeping(helper, tmp_path / name, slow=True))
        wait_until(lambda: running_children(helper), "nothing was started")
        ended = media_runner.run(["/bin/true"], LIMITS, tmp_path, helper=helper)
        assert ended.returncode == 0
        assert len(running_children(helper)) == 1
        helper.stop()
        for thread in threads:
            thread.join(10)


def test_a_killed_helper_is_replaced_and_its_children_die(tmp_path):
    with helper_with(ALL) as helper:
        helper.known_tasks()
        (tmp_path / "slow").mkdir()
        sleeping(helper, tmp_path / "slow")
        wait_until(lambda: running_children(helper), "nothing was started")
        child = running_children(helper)[0]
        os.kill(helper.process_id, signal.SIGKILL)
        wait_until(lambda: not is_running(child), "the child outlived its helper")
        assert media_runner.run(["/bin/true"], LIMITS, tmp_path, helper=helper).returncode == 0


def test_a_missing_layer_refuses_to_start_when_required(settings, monkeypatch):
    monkeypatch.setattr(media_helper, "TASK_MODULES", ())
    settings.MEDIA_SANDBOX = "require"
    with helper_with(ALL | {"imaginary"}) as helper:
        helper.missing = {"imaginary": "no such thing"}
        with pytest.raises(VideoError) as caught:
            helper.judge_layers()
    assert caught.value.code == "media_sandbox_missing"
    assert "imaginary: no such thing" in caught.value.detail


def test_the_helper_keeps_no_descriptor_and_no_variable_of_the_worker(tmp_path, monkeypatch):
    monkeypatch.setenv("DATABASE_PASSWORD", "hunter2")
    with (tmp_path / "open").open("w") as held, helper_with(frozenset()) as helper:
        (tmp_path / "work").mkdir()
        script = "tr '\\0' '\\n' < /proc/self/environ; ls -l /proc/self/fd"
        shown = media_runner.run(
            ["/bin/sh", "-c", script], LIMITS, tmp_path / "work", helper=helper
        )
        assert held.name.encode() not in shown.stdout
        assert b"hunter2" not in shown.stdout
        environment = Path(f"/proc/{helper.process_id}/environ").read_bytes()
        assert b"hunter2" not in environment
