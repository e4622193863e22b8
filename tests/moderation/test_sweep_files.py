"""Files that no row names: found everywhere, deleted only when asked to, never too early."""

import json
import os
import time
from collections.abc import Callable
from datetime import timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from django.utils import timezone

from chat.models import Attachment, Conversation, ResumableUpload
from chat.services import attachments, resumable
from chat.services.activity import Actor
from chat.services.orphans import Orphan, delete_orphan, find_orphans, sweep_orphans
from chat.services.video_service import VideoProcessingService

pytestmark = pytest.mark.django_db
MakeVideo = Callable[..., Attachment]
DAY = 24 * 3600


@pytest.fixture
def orphans(settings: Any, legacy_video: MakeVideo) -> list[Path]:
    """One in each folder, of several months, a day and more old; beside files that are named."""
    VideoProcessingService().process_video_attachment(legacy_video())
    made = []
    for name in ("attachments/2024/01/a", "posters/2025/12/b.jpg", "renditions/2026/02/c.vtt"):
        path = Path(settings.MEDIA_ROOT) / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"lost")
        made.append(path)
    for path in Path(settings.MEDIA_ROOT).rglob("*"):
        old = time.time() - 1.5 * DAY
        os.utime(path, (old, old))
    return made


def sweep(*arguments: str) -> str:
    out = StringIO()
    call_command("sweep_files", *arguments, stdout=out)
    return out.getvalue()


def test_it_lists_and_deletes_nothing(orphans: list[Path]) -> None:
    output = sweep()
    assert "attachments/2024/01/a" in output
    assert "3 files that no row names, 12 B. None deleted: add --delete." in output
    assert all(path.exists() for path in orphans)


def test_asked_to_it_deletes_them_and_nothing_else(orphans: list[Path], settings: Any) -> None:
    media = Path(settings.MEDIA_ROOT)
    before = {path for path in media.rglob("*") if path.is_file()}
    result = json.loads(sweep("--delete", "--json"))
    assert (result["found"], result["bytes"], result["deleted"]) == (3, 12, 3)
    assert {path for path in media.rglob("*") if path.is_file()} == before - set(orphans)
    assert sweep() == "Every stored file is named by a row.\n"


def test_what_is_young_is_left_alone(orphans: list[Path]) -> None:
    assert json.loads(sweep("--older-than", "2d", "--json"))["found"] == 0
    assert json.loads(sweep("--older-than", "90m", "--json"))["found"] == 3


def test_a_row_that_comes_meanwhile_saves_its_file(
    orphans: list[Path], legacy_video: MakeVideo
) -> None:
    found: list[Orphan] = list(find_orphans())
    video = legacy_video()
    Attachment.objects.filter(pk=video.pk).update(file=found[0].name)
    assert [delete_orphan(orphan) for orphan in found] == [False, True, True]
    assert orphans[0].exists()


def test_what_is_left_of_uploads(conversation: Conversation, owner: User, settings: Any) -> None:
    """A killed worker's form, a resumable upload that expired; not one that goes on."""
    folder = Path(settings.FILE_UPLOAD_TEMP_DIR)
    (folder / "upload-old").write_bytes(b"1234")
    os.utime(folder / "upload-old", (0, 0))
    (folder / "upload-new").write_bytes(b"1")
    uploads = [resumable.create(Actor(user=owner), conversation, 100, name=name) for name in "ab"]
    for upload in uploads:
        upload.path.write_bytes(b"12345678")
    past = timezone.now() - timedelta(seconds=1)
    ResumableUpload.objects.filter(pk=uploads[0].pk).update(expires_at=past)

    result = json.loads(sweep("--json"))
    assert (result["found"], result["bytes"], result["deleted"]) == (2, 12, 0)
    assert json.loads(sweep("--delete", "--json"))["deleted"] == 2

    assert {path.name for path in folder.iterdir()} == {"upload-new", uploads[1].path.name}
    assert ResumableUpload.objects.get() == uploads[1]


def test_nonsense_is_refused() -> None:
    with pytest.raises(CommandError, match="90m, 24h or 7d"):
        sweep("--older-than", "soon")


def test_what_a_crash_left_between_a_deletion_and_that_of_its_files(
    owner: User, legacy_video: MakeVideo, settings: Any
) -> None:
    """In a folder of years ago; the same content that somebody else sent stays."""
    gone, other = legacy_video(), legacy_video()
    media = Path(settings.MEDIA_ROOT)
    old = media / "attachments/2024/01/a"
    old.parent.mkdir(parents=True)
    (media / gone.file.name).rename(old)
    Attachment.objects.filter(pk=gone.pk).update(file="attachments/2024/01/a")
    gone.refresh_from_db()

    attachments.delete(gone, Actor(user=owner))  # never to be committed, as far as files go

    assert old.exists()
    assert sweep_orphans(timedelta(0)) == 0  # the nightly one looks at two months
    assert sweep_orphans(timedelta(0), months=None) == 1
    assert not old.exists()
    assert (media / other.file.name).exists()
