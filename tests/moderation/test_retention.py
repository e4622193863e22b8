"""The bytes of removed videos: deleted when their time is over, whatever stops it in between."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.files.storage import default_storage
from django.core.management import call_command
from django.utils import timezone

from chat.models import ActivityLog, Attachment
from chat.services.activity import Actor
from chat.services.renditions import WORKS
from chat.services.video_service import VideoProcessingService
from moderation import decisions, retention
from moderation.models import Decision
from moderation.verdict import Verdict
from tests.moderation.pages import signed_in

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.every_database]
MakeVideo = Callable[..., Attachment]


@pytest.fixture
def anna(moderator: User) -> Actor:
    return Actor(user=moderator)


@pytest.fixture
def removed(legacy_video: MakeVideo, anna: Actor) -> Attachment:
    """Ready with all that is made of a video, and removed just now."""
    attachment = legacy_video(sha256="ab" * 32)
    service = VideoProcessingService()
    assert service.process_video_attachment(attachment).ok
    service.make_renditions(attachment, works=WORKS)
    decisions.decide(attachment.pk, 0, Verdict("remove", "illegal"), anna)
    attachment.refresh_from_db()
    return attachment


def stored(tmp_path: Path) -> list[Path]:
    return [path for path in (tmp_path / "media").rglob("*") if path.is_file()]


def removed_days_ago(attachment: Attachment, days: float) -> None:
    moment = timezone.now() - timedelta(days=days)
    Attachment.objects.filter(pk=attachment.pk).update(removed_at=moment)


def erasures() -> list[ActivityLog]:
    return list(ActivityLog.objects.filter(action="attachment_erased"))


def test_after_its_time_the_bytes_go_and_the_record_stays(
    removed: Attachment, anna: Actor, tmp_path: Path, viewer: User
) -> None:
    names = stored(tmp_path)
    assert len(names) >= 4  # the file, its poster, a storyboard and its map
    removed_days_ago(removed, 29.9)
    assert retention.erase_due() == 0
    assert stored(tmp_path) == names

    removed_days_ago(removed, 30.1)
    assert retention.erase_due() == 1

    assert stored(tmp_path) == []
    removed.refresh_from_db()
    assert removed.erased_at
    assert (removed.sha256, removed.file.name, removed.thumbnail.name) == ("ab" * 32, "", "")
    assert removed.size > 0
    assert not removed.renditions.exists()
    decision = Decision.objects.get()
    assert (decision.sha256, decision.action) == ("ab" * 32, "remove")
    (entry,) = erasures()
    assert (entry.actor_name, entry.object_id) == ("system", removed.pk)
    assert (entry.details["sha256"], entry.details["size"]) == ("ab" * 32, removed.size)
    assert entry.details["files"] == len(names)
    assert retention.erase_due() == 0
    assert len(erasures()) == 1

    outcome = decisions.decide(removed.pk, 1, Verdict("restore"), anna)
    assert outcome.unchanged == [removed.pk]
    client = signed_in(viewer)
    answers = {"": 200, "stream/": 410, "stream/?download=1": 410, "thumbnail/": 200}
    for part, status in answers.items():
        assert client.get(f"/moderation/videos/{removed.pk}/{part}").status_code == status, part


def test_before_that_it_comes_back_whole(removed: Attachment, anna: Actor, tmp_path: Path) -> None:
    before = {path: path.read_bytes() for path in stored(tmp_path)}
    removed_days_ago(removed, 29)
    retention.erase_due()

    decisions.decide(removed.pk, 1, Verdict("restore"), anna)

    assert retention.erase_due(timedelta(0)) == 0
    assert {path: path.read_bytes() for path in stored(tmp_path)} == before


def test_under_hold_it_stays(removed: Attachment, anna: Actor, tmp_path: Path) -> None:
    removed_days_ago(removed, 400)
    decisions.decide(removed.pk, 1, Verdict("hold"), anna)
    assert retention.erase_due() == 0
    assert stored(tmp_path)

    decisions.decide(removed.pk, 2, Verdict("release"), anna)
    assert retention.erase_due() == 1
    assert not stored(tmp_path)


@pytest.mark.parametrize("files_before_the_end", [0, 1, 3])
def test_stopped_in_between_it_goes_on(
    removed: Attachment,
    anna: Actor,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    files_before_the_end: int,
) -> None:
    """After the claim there is no way back: some files may be gone."""
    removed_days_ago(removed, 31)
    left = files_before_the_end
    really_delete = default_storage.delete

    def delete(name: str) -> None:
        nonlocal left
        if not left:
            raise KeyboardInterrupt
        left -= 1
        really_delete(name)

    with monkeypatch.context() as patch:
        patch.setattr(removed.file.storage, "delete", delete)
        with pytest.raises(KeyboardInterrupt):
            retention.erase_due()
    assert not erasures()
    for verb in ("restore", "hold", "quarantine"):
        outcome = decisions.decide(removed.pk, 1, Verdict(verb, "spam"), anna)
        assert outcome.unchanged == [removed.pk]

    assert retention.erase_due() == 1
    assert stored(tmp_path) == []
    assert len(erasures()) == 1


def test_a_storage_that_refuses_is_asked_again(removed: Attachment, tmp_path: Path) -> None:
    removed_days_ago(removed, 31)
    path = Path(removed.file.path)
    path.unlink()
    (path / "in the way").mkdir(parents=True)  # no disk deletes a folder that is not empty
    assert retention.erase_due() == 0
    assert erasures() == []
    (path / "in the way").rmdir()
    assert retention.erase_due() == 1
    assert stored(tmp_path) == []


def test_by_hand(removed: Attachment, capsys: Any) -> None:
    removed_days_ago(removed, 8)
    call_command("erase_removed")
    assert capsys.readouterr().out == "0 videos due, 0 B. 0 deleted.\n"
    call_command("erase_removed", "--older-than", "7d", "--dry-run")
    assert "1 video due" in capsys.readouterr().out
    assert not erasures()
    call_command("erase_removed", "--older-than", "7d", "--json")
    assert f'"bytes": {removed.size}, "erased": 1' in capsys.readouterr().out
    (entry,) = erasures()
    assert entry.actor_name.startswith("erase_removed (")
