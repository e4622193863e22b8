"""Who may see an attachment and its bytes; its metadata; its deletion."""

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import User
from rest_framework.test import APIClient

from chat.models import Attachment, Message
from tests.chat.attachments import EVERY, PATHS, entries, read
from tests.chat.conftest import signed_in

Files = Callable[[], list[str]]


@EVERY
def test_participants_may_see_it(
    path: str, video: Attachment, as_owner: APIClient, as_member: APIClient
) -> None:
    for client in (as_owner, as_member):
        response = client.get(path.format(video.pk))
        assert response.status_code == 200
        if response.streaming:
            assert read(response)


@EVERY
def test_anonymous(path: str, video: Attachment, as_nobody: APIClient) -> None:
    response = as_nobody.get(path.format(video.pk))

    assert response.status_code == 401
    assert response.json()["code"] == "not_authenticated"


@EVERY
def test_outsiders_and_staff_find_nothing(
    path: str, video: Attachment, as_outsider: APIClient, moderator: User, admin: User
) -> None:
    for client in (as_outsider, signed_in(moderator), signed_in(admin)):
        response = client.get(path.format(video.pk))
        assert response.status_code == 404
        assert response.json()["code"] == "not_found"


@EVERY
@pytest.mark.parametrize("pk", ["4711", "0", "9" * 18, "9" * 19, "9" * 200, "x", "-1", "%00"])
def test_unknown(path: str, pk: str, as_member: APIClient) -> None:
    response = as_member.get(path.format(pk))

    assert response.status_code == 404
    assert response.json() == {
        "detail": "There is nothing here, or it is not yours to see.",
        "code": "not_found",
    }


@EVERY
def test_wrong_method(path: str, video: Attachment, as_member: APIClient) -> None:
    for method in ("post", "put", "patch"):
        response = getattr(as_member, method)(path.format(video.pk))
        assert response.status_code == 405
        assert response.json()["code"] == "method_not_allowed"


@EVERY
def test_removed(
    path: str, video: Attachment, as_member: APIClient, as_outsider: APIClient
) -> None:
    Attachment.objects.update(visibility=Attachment.Visibility.REMOVED)

    response = as_member.get(path.format(video.pk))

    assert (response.status_code, response.json()["code"]) == (451, "removed")
    assert as_outsider.get(path.format(video.pk)).status_code == 404


def test_the_uploader_is_told_why(
    video: Attachment, as_member: APIClient, as_owner: APIClient
) -> None:
    Attachment.objects.update(
        visibility=Attachment.Visibility.QUARANTINED,
        decision_reason="violence",
        decision_note="Cut the last scene.",
    )
    path = PATHS["download"].format(video.pk)

    assert as_member.get(path).json() == {
        "detail": "This video is held back by the moderators.",
        "code": "quarantined",
        "reason": "violence",
        "note": "Cut the last scene.",
    }
    assert set(as_owner.get(path).json()) == {"detail", "code"}


@EVERY
def test_of_a_deleted_message(path: str, video: Attachment, as_member: APIClient) -> None:
    message = Message.objects.create(conversation=video.conversation)
    Attachment.objects.update(message=message)
    Message.objects.update(deleted_at="2026-01-01T00:00Z")

    assert as_member.get(path.format(video.pk)).status_code == 404


def test_quarantined_metadata_have_no_addresses(video: Attachment, as_member: APIClient) -> None:
    Attachment.objects.update(visibility=Attachment.Visibility.QUARANTINED)

    found = as_member.get(PATHS["metadata"].format(video.pk)).json()

    assert found["visibility"] == "quarantined"
    assert found["width"] == 320
    assert {found[key] for key in found if key.endswith("_url")} == {None}


class TestMetadata:
    def test_legacy(self, legacy_video: Any, as_owner: APIClient) -> None:
        found = as_owner.get(PATHS["metadata"].format(legacy_video().pk)).json()

        assert found["processing_state"] == "pending"
        assert found["video_dimensions"] is found["duration"] is found["thumbnail_url"] is None
        assert found["stream_url"] is None
        assert found["download_url"]

    def test_uploader_is_gone(self, video: Attachment, as_owner: APIClient, member: User) -> None:
        member.delete()

        found = as_owner.get(PATHS["metadata"].format(video.pk)).json()

        assert found["uploaded_by"] is None


class TestDelete:
    path = PATHS["metadata"]

    @pytest.mark.parametrize("who", ["as_member", "as_owner"])
    def test_uploader_and_owner_may(
        self,
        who: str,
        video: Attachment,
        request: pytest.FixtureRequest,
        stored_files: Files,
        django_capture_on_commit_callbacks: Any,
    ) -> None:
        client = request.getfixturevalue(who)
        with django_capture_on_commit_callbacks(execute=True):
            response = client.delete(self.path.format(video.pk))

        assert response.status_code == 204
        assert not Attachment.objects.exists()
        assert stored_files() == []
        (entry,) = entries("attachment_deleted")
        assert (entry.object_id, entry.object_label) == (video.pk, video.original_name)
        assert client.delete(self.path.format(video.pk)).status_code == 404

    def test_files_stay_until_the_commit(
        self, video: Attachment, as_member: APIClient, stored_files: Files
    ) -> None:
        as_member.delete(self.path.format(video.pk))  # the test's transaction never commits

        assert len(stored_files()) == 2

    def test_other_participants_may_not(
        self, legacy_video: Any, as_member: APIClient, stored_files: Files
    ) -> None:
        response = as_member.delete(self.path.format(legacy_video().pk))

        assert response.status_code == 403
        assert response.json()["code"] == "permission_denied"
        assert len(stored_files()) == 1

    def test_outsider_and_anonymous(
        self, video: Attachment, as_outsider: APIClient, as_nobody: APIClient
    ) -> None:
        assert as_outsider.delete(self.path.format(video.pk)).status_code == 404
        assert as_nobody.delete(self.path.format(video.pk)).status_code == 401

    def test_evidence_stays(self, video: Attachment, as_member: APIClient) -> None:
        Attachment.objects.update(visibility=Attachment.Visibility.QUARANTINED)

        assert as_member.delete(self.path.format(video.pk)).status_code == 451
        assert Attachment.objects.exists()

    def test_under_hold_it_stays_too(self, video: Attachment, as_member: APIClient) -> None:
        Attachment.objects.update(on_hold=True)

        response = as_member.delete(self.path.format(video.pk))

        assert (response.status_code, response.json()["code"]) == (409, "must_be_kept")
        assert Attachment.objects.exists()
