"""`manage.py import_videos`: a folder becomes legacy attachments, once."""

import hashlib
import io
import json
import os
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.files.storage import default_storage
from django.core.management import CommandError, call_command

from chat.models import ActivityLog, Attachment, Conversation
from chat.services import activity, importing
from chat.services.importing import open_regular
from tests.clips import clip

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two clips, one of them below; an outside file only linked to."""
    folder = tmp_path / "archive"
    (folder / "2019").mkdir(parents=True)
    (folder / "2019" / "first.mp4").write_bytes(clip().read_bytes())
    (folder / "second.mov").write_bytes(clip("x.mov").read_bytes())
    secret = tmp_path / "secret.mp4"
    secret.write_bytes(b"not to be imported")
    (folder / "linked.mp4").symlink_to(secret)
    (folder / "linked-folder").symlink_to(tmp_path)
    os.mkfifo(folder / "pipe")
    return folder


def run(*arguments: Any) -> tuple[int, str]:
    output = io.StringIO()
    try:
        call_command("import_videos", *map(str, arguments), stdout=output)
    except SystemExit as end:
        return int(end.code or 0), output.getvalue()
    return 0, output.getvalue()


def stored_files() -> list[Path]:
    return [path for path in Path(default_storage.location).rglob("*") if path.is_file()]


def test_regular_files_become_legacy_attachments(
    folder: Path, conversation: Conversation, owner: User
) -> None:
    status, output = run(folder, "--conversation", "Holiday", "--user", "owner")
    assert status == 0
    first, second = Attachment.objects.order_by("pk")
    assert output.splitlines()[:3] == [
        f"imported  first.mp4  (attachment {first.pk})",
        f"imported  second.mov  (attachment {second.pk})",
        "2 imported, 0 skipped, 0 failed.",
    ]
    content = clip().read_bytes()
    assert first.file.read() == content
    first.file.close()
    assert first.sha256 == hashlib.sha256(content).hexdigest()
    assert (first.size, first.kind, first.uploaded_by) == (len(content), "video", owner)
    assert (first.conversation, first.processing_state, first.codec) == (
        conversation, "pending", "",
    )  # fmt: skip
    assert first.original_name == "first.mp4"
    assert "first" not in first.file.name
    assert len(stored_files()) == 2
    entries = ActivityLog.objects.filter(action="attachment_imported")
    assert [entry.actor_name for entry in entries] == ["import_videos"] * 2


def test_twice_imports_nothing_twice(folder: Path, conversation: Conversation) -> None:
    run(folder, "--conversation", conversation.pk)
    (folder / "new.mp4").write_bytes(clip().read_bytes() + b"new")
    _, output = run(folder, "--conversation", conversation.pk)
    assert "1 imported, 2 skipped, 0 failed." in output
    assert "skipped   first.mp4  (the same as attachment " in output
    assert Attachment.objects.count() == len(stored_files()) == 3


def test_the_same_bytes_belong_to_each_conversation(
    folder: Path, conversation: Conversation
) -> None:
    other = Conversation.objects.create(title="Other")
    run(folder, "--conversation", conversation.pk)
    run(folder, "--conversation", other.pk)
    assert Attachment.objects.count() == 4


def test_a_row_that_fails_leaves_no_file(
    folder: Path, conversation: Conversation, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_arguments: Any, **_options: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(activity, "record", full)
    status, output = run(folder, "--conversation", conversation.pk)
    assert status == 1
    assert "0 imported, 0 skipped, 2 failed." in output
    assert not Attachment.objects.exists()
    assert stored_files() == []


def test_a_file_that_became_a_link_does_not_stop_the_others(
    folder: Path, conversation: Conversation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Listed as a file, a link by the time it is opened: not followed."""

    def swap(path: Path, *_arguments: Any) -> Any:
        if path.name == "first.mp4":
            path.unlink()
            path.symlink_to(folder.parent / "secret.mp4")
        return open_regular(path)

    monkeypatch.setattr(importing, "open_regular", swap)
    status, output = run(folder, "--conversation", conversation.pk)
    assert status == 1
    assert "failed    first.mp4" in output
    assert "1 imported, 0 skipped, 1 failed." in output


def test_a_name_that_is_not_text(folder: Path, conversation: Conversation) -> None:
    path = os.path.join(os.fsencode(folder), b"caf\xe9.mp4")
    Path(os.fsdecode(path)).write_bytes(b"anything")
    _, output = run(folder, "--conversation", conversation.pk, "--json")
    result = json.loads(output)
    assert (result["conversation"], result["imported"]) == (conversation.pk, 3)
    assert {line["name"] for line in result["files"]} == {"first.mp4", "second.mov", "caf�.mp4"}
    assert {line["outcome"] for line in result["files"]} == {"imported"}


def test_create_makes_the_conversation_once(folder: Path, owner: User) -> None:
    for _ in range(2):
        run(folder, "--conversation", "Archive", "--user", "owner", "--create")
    conversation = Conversation.objects.get()
    assert conversation.participations.get().role == "owner"
    assert conversation.attachments.count() == 2


@pytest.mark.parametrize(
    "arguments",
    [
        ("--conversation", "nowhere"),
        ("--conversation", "Holiday", "--user", "nobody"),
        ("--conversation", "New", "--create"),
    ],
)
def test_usage_errors(
    arguments: tuple[str, ...], folder: Path, conversation: Conversation
) -> None:
    with pytest.raises(CommandError) as caught:
        run(folder, *arguments)
    assert caught.value.returncode == 2
    assert not Attachment.objects.exists()


def test_a_folder_that_is_not_there(tmp_path: Path, conversation: Conversation) -> None:
    with pytest.raises(CommandError, match="not a folder"):
        run(tmp_path / "nowhere", "--conversation", "Holiday")
