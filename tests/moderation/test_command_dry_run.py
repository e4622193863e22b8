"""`manage.py backfill_video_metadata --dry-run`: what a run would do; it writes nothing."""

import hashlib
import io
import json
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from chat.models import ActivityLog, Attachment, Conversation
from moderation.models import Job
from tests.clips import clip
from tests.moderation.installation import installation

MakeVideo = Callable[..., Attachment]
pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.every_database]


def dry_run(*arguments: str) -> str:
    output = io.StringIO()
    call_command("backfill_video_metadata", "--dry-run", *arguments, stdout=output)
    return output.getvalue()


def dry_run_json(*arguments: str) -> Any:
    return json.loads(dry_run(*arguments, "--json"))


def fingerprints(folder: Path) -> dict[str, str]:
    """SHA-256 of every file below, and that a folder is there; but for the cache, which keeps
    books of its own use and counts requests of clients."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        if path.is_file()
        else "folder"
        for path in folder.rglob("*")
        if path.relative_to(folder).parts[0] != "cache"
    }


def test_it_counts_lists_and_estimates(legacy_video: MakeVideo) -> None:
    videos = [legacy_video(original_name=f"{number}.mp4") for number in range(12)]
    first, *samples, more, estimate, hint, command = dry_run().splitlines()
    assert first == "Videos without metadata: 12."
    assert len(samples) == 10
    assert samples[0].split() == [str(videos[0].pk), f"{videos[0].size:,}", "B", "0.mp4"]
    assert more.strip() == "… and 2 more"
    assert estimate.startswith("About ")
    assert "(1 worker): 10 of these took " in estimate
    assert "Nothing was written" in hint
    assert command.strip() == (f"manage.py backfill_video_metadata --until {videos[-1].pk}")
    assert not Job.objects.exists()
    assert not ActivityLog.objects.exists()


def test_as_json(legacy_video: MakeVideo, tmp_path: Path) -> None:
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(b"not a video at all" * 100)
    bad, good = legacy_video(broken), legacy_video()
    result = dry_run_json("--workers", "2")
    assert [sample["id"] for sample in result["samples"]] == [bad.pk, good.pk]
    assert [sample["failure"] for sample in result["samples"]] == ["not_a_video", ""]
    assert (result["total"], result["measured"], result["until"]) == (2, 2, good.pk)
    assert result["estimate_seconds"] == pytest.approx(result["seconds_per_item"] * 2 / 2)


def test_a_rate_bounds_the_estimate(legacy_video: MakeVideo) -> None:
    for _ in range(3):
        legacy_video()
    assert dry_run_json("--rate", "0.01")["estimate_seconds"] == pytest.approx(300)
    assert "About 5 min (at most 0.01 a second): " in dry_run("--rate", "0.01")


def test_nothing_to_do() -> None:
    assert dry_run().splitlines() == ["Videos without metadata: 0."]
    assert dry_run_json()["command"] is None


def test_within_a_limit(legacy_video: MakeVideo) -> None:
    for _ in range(3):
        legacy_video()
    assert dry_run_json("--limit", "2")["total"] == 2


def test_names_on_a_terminal_are_harmless(
    legacy_video: MakeVideo, conversation: Conversation
) -> None:
    Conversation.objects.filter(pk=conversation.pk).update(title="a\x1b[2Jb")
    legacy_video(original_name="c\x1b[2Jd.mp4")
    output = dry_run("--conversation", str(conversation.pk))
    assert "Videos without metadata in “a�[2Jb”: 1." in output
    assert "c�[2Jd.mp4" in output
    assert "\x1b" not in output


def test_it_resumes_nothing() -> None:
    with pytest.raises(CommandError, match="starts none"):
        dry_run("--resume", "1")


def test_nothing_is_written_and_the_run_does_what_was_counted(tmp_path: Path) -> None:
    """Byte for byte, in an installation of its own; what comes in later is not in the set."""
    archive = tmp_path / "it's old"
    archive.mkdir()
    for number in range(4):
        (archive / f"{number}.mp4").write_bytes(clip().read_bytes() + bytes([number]))
    with installation(tmp_path / "data") as site:
        bring_in = ("import_videos", str(archive), "--conversation", "It's A", "--user", "admin")
        site.manage(*bring_in, "--create")
        before = fingerprints(site.data_dir)
        assert any(name.startswith("media/attachments/") for name in before)
        options = ("--conversation", "It's A", "--scope-filter", "q=.mp4", "--workers", "2")
        counted = site.manage_json("backfill_video_metadata", "--dry-run", *options)
        assert counted["total"] == counted["measured"] == 4
        assert fingerprints(site.data_dir) == before
        (archive / "late.mp4").write_bytes(clip().read_bytes() + b"late")
        site.manage(*bring_in)
        program, *command = shlex.split(counted["command"])
        assert program == "manage.py"
        done = site.manage_json(*command)
        assert done["ready"] == done["total"] == counted["total"]
        late = "SELECT processing_state FROM chat_attachment WHERE original_name = 'late.mp4'"
        assert site.query(late) == ["pending"]
