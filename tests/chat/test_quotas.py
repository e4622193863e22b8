"""How much a person may store and have on its way: what counts, and when it stops counting."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.files.uploadedfile import SimpleUploadedFile
from django.utils import timezone
from rest_framework.test import APIClient

from chat.errors import ChatError
from chat.models import ActivityLog, Attachment, Conversation, UploadReservation
from chat.services import quotas
from chat.services.activity import SYSTEM

ANY = "/api/chat/upload/"
Files = Callable[[], list[str]]


@pytest.fixture(autouse=True)
def _limits(settings: Any) -> None:
    settings.USER_QUOTA_BYTES = 1000
    settings.UPLOAD_PENDING_MAX_COUNT = 3
    settings.UPLOAD_PENDING_MAX_BYTES = 900


@pytest.fixture
def post(as_member: APIClient, conversation: Conversation) -> Callable[..., Any]:
    def send(size: int, *, files: int = 0) -> Any:
        sent = [SimpleUploadedFile("a.bin", b"a" * size) for _ in range(files or 1)]
        if files:
            address = f"/api/chat/conversations/{conversation.pk}/messages/"
            return as_member.post(address, {"files": sent}, format="multipart")
        fields = {"conversation": conversation.pk, "file": sent[0]}
        return as_member.post(ANY, fields, format="multipart")

    return send


def test_up_to_the_last_byte(post: Callable[..., Any], stored_files: Files) -> None:
    assert post(999).status_code == 201
    refused = post(2)
    assert (refused.status_code, refused.json()["code"]) == (403, "quota_exceeded")
    assert post(1).status_code == 201

    assert len(stored_files()) == 2
    assert not UploadReservation.objects.exists()
    (entry,) = ActivityLog.objects.filter(action="attachment_refused")
    assert entry.details == {"code": "quota_exceeded"}


def test_files_of_a_message_count_together(post: Callable[..., Any], stored_files: Files) -> None:
    assert post(501, files=2).status_code == 403
    assert stored_files() == []
    assert post(500, files=2).status_code == 201


def test_deleting_makes_room(post: Callable[..., Any], as_member: APIClient) -> None:
    kept = post(1000).json()["id"]
    assert post(1).status_code == 403

    as_member.delete(f"/api/chat/attachments/{kept}/")

    assert post(1000).status_code == 201


def test_each_person_has_a_quota_of_their_own(
    post: Callable[..., Any], as_owner: APIClient, conversation: Conversation
) -> None:
    post(1000)
    fields = {"conversation": conversation.pk, "file": SimpleUploadedFile("a", b"a" * 1000)}

    assert as_owner.post(ANY, fields, format="multipart").status_code == 201


def test_a_refused_file_takes_no_room(
    as_member: APIClient, post: Callable[..., Any], conversation: Conversation
) -> None:
    fields = {"conversation": conversation.pk, "file": SimpleUploadedFile("a", b"a" * 1000)}

    address = "/api/chat/videos/upload/"
    assert as_member.post(address, fields, format="multipart").status_code == 415

    assert not UploadReservation.objects.exists()
    assert post(1000).status_code == 201


def test_uploads_on_their_way_count(member: User, post: Callable[..., Any]) -> None:
    quotas.admit(member, 600, timedelta(minutes=1))

    assert post(401).status_code == 201  # not known to be exact: who is there first gets it
    with pytest.raises(ChatError, match="quota_exceeded"):
        quotas.admit(member, 1, timedelta(minutes=1))


def test_what_was_promised_is_not_given_away(member: User, post: Callable[..., Any]) -> None:
    with quotas.reserved(member) as reservation:
        reservation.admit(600)
        reservation.settle(600)

        assert post(401).status_code == 403
        assert post(400).status_code == 201
    assert post(600).status_code == 201


def test_a_killed_workers_reservation_ends(member: User, post: Callable[..., Any]) -> None:
    row = quotas.admit(member, 900, timedelta(minutes=1))
    UploadReservation.objects.filter(pk=row.pk).update(
        expires_at=timezone.now() - timedelta(seconds=1), is_exact=True
    )

    assert post(1000).status_code == 201
    assert quotas.sweep() == 1
    assert not UploadReservation.objects.exists()


def test_a_promise_that_ended_is_looked_at_again(
    member: User, post: Callable[..., Any], conversation: Conversation
) -> None:
    """A worker that was frozen while it read the file, and others used the room."""
    with quotas.reserved(member) as reservation:
        reservation.admit(600)
        reservation.settle(600)
        UploadReservation.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
        assert post(1000).status_code == 201

        Attachment.objects.create(conversation=conversation, uploaded_by=member, size=600)
        with pytest.raises(ChatError, match="quota_exceeded"):
            reservation.keep(Attachment())


def test_so_many_at_once(member: User, post: Callable[..., Any]) -> None:
    for _ in range(3):
        quotas.admit(member, 0, timedelta(minutes=1))

    refused = post(1)

    assert (refused.status_code, refused.json()["code"]) == (429, "too_many_uploads")
    assert refused.headers["Retry-After"] == "30"


def test_so_many_bytes_at_once(member: User) -> None:
    quotas.admit(member, 800, timedelta(minutes=1))
    quotas.admit(member, 100, timedelta(minutes=1))

    with pytest.raises(ChatError, match="too_many_uploads"):
        quotas.admit(member, 1, timedelta(minutes=1))


def test_a_body_of_unknown_length_is_followed(
    member: User, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(quotas, "STEP_BYTES", 100)
    with quotas.reserved(member) as reservation:
        reservation.admit(0)
        reservation.follow(101)
        assert UploadReservation.objects.get().bytes == 101
        reservation.follow(200)
        assert UploadReservation.objects.get().bytes == 101
        with pytest.raises(ChatError, match="too_many_uploads"):
            reservation.follow(901)
        settings.UPLOAD_PENDING_MAX_BYTES = 5000
        with pytest.raises(ChatError, match="quota_exceeded"):
            reservation.follow(1001)
    assert not UploadReservation.objects.exists()


def test_one_person_may_have_another_quota(
    post: Callable[..., Any], member: User, as_owner: APIClient, conversation: Conversation
) -> None:
    assert quotas.set_quota(member, 1500, SYSTEM)
    assert not quotas.set_quota(member, 1500, SYSTEM)
    post(700)
    assert post(700).status_code == 201  # beyond everybody's
    fields = {"conversation": conversation.pk, "file": SimpleUploadedFile("a", b"a" * 1001)}
    assert as_owner.post(ANY, fields, format="multipart").status_code == 403
    assert quotas.set_quota(member, 0, SYSTEM)
    assert post(1).json()["code"] == "quota_exceeded"

    assert quotas.set_quota(member, None, SYSTEM)

    assert quotas.quota_of(member) == 1000
    changes = ActivityLog.objects.filter(action="quota_changed").order_by("pk")
    assert [(entry.object_id, entry.details) for entry in changes] == [
        (member.pk, {"bytes": 1500, "before": None}),
        (member.pk, {"bytes": 0, "before": 1500}),
        (member.pk, {"bytes": None, "before": 0}),
    ]


def test_a_client_can_ask_how_much_room_is_left(
    post: Callable[..., Any], as_member: APIClient, member: User, conversation: Conversation
) -> None:
    def usage() -> Any:
        return as_member.get("/api/chat/quota/").json()

    assert usage() == {"quota_bytes": 1000, "stored_bytes": 0, "pending_bytes": 0}
    post(300)
    quotas.set_quota(member, 2000, SYSTEM)
    headers = {"tus-resumable": "1.0.0", "upload-length": "500"}
    began = as_member.post(f"/api/chat/uploads/?conversation={conversation.pk}", headers=headers)
    assert began.status_code == 201

    assert usage() == {"quota_bytes": 2000, "stored_bytes": 300, "pending_bytes": 500}
