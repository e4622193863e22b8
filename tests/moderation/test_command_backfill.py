"""`manage.py backfill_video_metadata`: every option and every exit status."""

import io
import json
import os
import pty
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from chat.models import ActivityLog, Attachment, Conversation
from moderation.models import Job
from tests.clips import clip
from tests.moderation.installation import Installation, installation
from tests.running import eventually

pytestmark = pytest.mark.every_database
MakeVideo = Callable[..., Attachment]
transactional = pytest.mark.django_db(transaction=True)


def run(*arguments: str) -> tuple[int, str]:
    """Exit status and standard output."""
    output = io.StringIO()
    try:
        call_command("backfill_video_metadata", *arguments, stdout=output)
    except SystemExit as end:
        return int(end.code or 0), output.getvalue()
    return 0, output.getvalue()


@pytest.fixture
def broken(tmp_path: Path) -> Path:
    path = tmp_path / "broken.mp4"
    path.write_bytes(b"not a video at all" * 100)
    return path


@transactional
def test_all_ready(legacy_video: MakeVideo) -> None:
    legacy_video()
    legacy_video()
    status, output = run()
    assert status == 0
    assert output.splitlines()[-1].startswith("2 ready, 0 skipped, 0 failed in ")
    job = Job.objects.get()
    assert (job.status, job.started_from, job.total) == ("done", "command", 2)
    started = ActivityLog.objects.get(action="job_started")
    assert started.actor_name == "backfill_video_metadata"


@transactional
def test_nothing_to_do() -> None:
    status, output = run()
    assert status == 0
    assert output.startswith("0 ready, 0 skipped, 0 failed in ")


@transactional
def test_some_failed(legacy_video: MakeVideo, broken: Path) -> None:
    bad = legacy_video(broken, original_name="bad\x1b[2J.mp4")
    legacy_video()
    status, output = run()
    assert status == 1
    first, last = output.splitlines()
    assert first.split() == [str(bad.pk), "not_a_video:", "bad�[2J.mp4"]
    assert last.startswith("1 ready, 0 skipped, 1 failed (1 not_a_video) in ")


@transactional
def test_json_is_one_object_and_nothing_else(legacy_video: MakeVideo, broken: Path) -> None:
    bad = legacy_video(broken, original_name="bad.mp4")
    legacy_video()
    status, output = run("--json")
    assert status == 1
    result = json.loads(output)
    assert result.pop("seconds") > 0
    assert result["failures"][0].pop("detail")
    assert result == {
        "job": Job.objects.get().pk,
        "status": "done",
        "scope": "videos without metadata",
        "total": 2,
        "ready": 1,
        "failed": 1,
        "skipped": 0,
        "failed_by_code": {"not_a_video": 1},
        "failures": [{"id": bad.pk, "original_name": "bad.mp4", "code": "not_a_video"}],
    }


@transactional
@pytest.mark.parametrize(("only", "total"), [("missing", 1), ("failed", 1), ("all", 3)])
def test_only(only: str, total: int, legacy_video: MakeVideo, broken: Path) -> None:
    legacy_video()
    legacy_video(broken)
    run()
    legacy_video()
    assert json.loads(run("--only", only, "--json")[1])["total"] == total


@transactional
def test_limit_takes_the_oldest(legacy_video: MakeVideo) -> None:
    videos = [legacy_video() for _ in range(3)]
    assert json.loads(run("--limit", "2", "--json")[1])["ready"] == 2
    left = Attachment.objects.needing_metadata().values_list("pk", flat=True)
    assert list(left) == [videos[2].pk]


@transactional
def test_conversation_by_id_and_by_title(
    legacy_video: MakeVideo, conversation: Conversation
) -> None:
    other = Conversation.objects.create(title="Other")
    legacy_video()
    legacy_video(conversation=other)
    for name in (str(conversation.pk), "Holiday"):
        result = json.loads(run("--conversation", name, "--json", "--only", "all")[1])
        assert (result["total"], result["scope"]) == (1, "all videos in “Holiday”")


@transactional
def test_an_unknown_or_ambiguous_conversation_is_a_usage_error(
    conversation: Conversation,
) -> None:
    Conversation.objects.create(title="Holiday")
    for name, words in (("nowhere", "no conversation"), ("Holiday", "Several")):
        with pytest.raises(CommandError, match=words) as caught:
            run("--conversation", name)
        assert caught.value.returncode == 2
    assert not Job.objects.exists()


@transactional
@pytest.mark.parametrize("as_json", [False, True])
def test_a_dry_run_counts_and_writes_nothing(as_json: bool, legacy_video: MakeVideo) -> None:
    videos = [legacy_video(original_name=f"{number}.mp4") for number in range(12)]
    status, output = run("--dry-run", *(["--json"] if as_json else []))
    assert status == 0
    if as_json:
        result = json.loads(output)
        assert (result["dry_run"], result["total"]) == (True, 12)
        assert [sample["id"] for sample in result["samples"]] == [v.pk for v in videos[:10]]
    else:
        lines = output.splitlines()
        assert lines[0] == "Videos without metadata: 12."
        assert lines[1].split()[0] == str(videos[0].pk)
        assert lines[-1].strip() == "… and 2 more"
    assert not Job.objects.exists()
    assert not ActivityLog.objects.exists()
    assert Attachment.objects.needing_metadata().count() == 12


@transactional
def test_a_dry_run_within_a_limit(legacy_video: MakeVideo) -> None:
    for _ in range(3):
        legacy_video()
    assert json.loads(run("--dry-run", "--json", "--limit", "2")[1])["total"] == 2


@pytest.fixture
def slow_site(tmp_path: Path) -> Any:
    """Eight videos, each of which takes a second: an ffprobe that waits before it works."""
    folder = tmp_path / "archive"
    folder.mkdir()
    for number in range(8):
        (folder / f"{number}.mp4").write_bytes(clip().read_bytes() + bytes([number]))
    slow = tmp_path / "ffprobe"
    slow.write_text('#!/bin/sh\nsleep 1\nexec ffprobe "$@"\n')
    slow.chmod(0o755)
    tools = {"MEDIA_ENGINE": "ffmpeg", "MEDIA_SANDBOX": "off", "FFPROBE_BINARY": str(slow)}
    with installation(tmp_path / "data", **tools) as site:
        site.manage(
            "import_videos", str(folder), "--conversation", "A", "--user", "admin", "--create"
        )
        yield site


@pytest.mark.parametrize(("signum", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interruption_leaves_a_state_to_go_on_from(
    signum: signal.Signals, status: int, slow_site: Installation
) -> None:
    process = slow_site.start("backfill_video_metadata")
    done = "SELECT count(*) FROM chat_attachment WHERE processing_state = 'ready'"
    eventually("the first is ready", lambda: slow_site.value(done) > 0, 30)
    os.kill(process.pid, signum)
    output, _ = process.communicate(timeout=20)
    assert process.returncode == status, output
    assert "run it again" in output
    assert "Traceback" not in output
    assert slow_site.query("SELECT status FROM moderation_job") == ["cancelled"]
    assert slow_site.value("SELECT count(*) FROM moderation_chunk WHERE owner != ''") == 0
    assert not slow_site.processes()
    ready = slow_site.value(done)
    assert 0 < ready < 8
    stored = list((slow_site.data_dir / "media/posters").rglob("*.jpg"))
    assert len(stored) == ready
    slow_site.environment.pop("FFPROBE_BINARY")
    assert slow_site.manage_json("backfill_video_metadata")["ready"] == 8 - ready
    log = "SELECT count(*) FROM chat_activitylog WHERE action = 'attachment_processed'"
    assert slow_site.value(log) == 8


def test_usage_errors_have_status_2(tmp_path: Path) -> None:
    site = Installation(tmp_path)
    site.manage("backfill_video_metadata", "--limit", "0", status=2)
    site.manage("backfill_video_metadata", "--limit", "many", status=2)
    site.manage("backfill_video_metadata", "--only", "some", status=2)
    site.manage("migrate", "--verbosity", "0")
    site.manage("backfill_video_metadata", "--conversation", "nowhere", status=2)


def test_on_a_terminal_there_is_a_bar(slow_site: Installation) -> None:
    slow_site.environment.pop("FFPROBE_BINARY")
    slow_site.environment |= {"TERM": "xterm", "COLUMNS": "100"}
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(Path(__file__).parents[2])
        os.execve(
            sys.executable,
            [sys.executable, "manage.py", "backfill_video_metadata"],
            slow_site.environment,
        )
    output = b""
    while True:
        try:
            piece = os.read(terminal, 65536)
        except OSError:  # Linux's way to say that the other end is closed
            break
        if not piece:
            break
        output += piece
    os.close(terminal)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    text = output.decode()
    assert "━" in text
    assert "8/8" in text
    assert "8 ready, 0 skipped, 0 failed in" in text
