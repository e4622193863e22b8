"""The same request twice, with an Idempotency-Key."""

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.files.uploadedfile import SimpleUploadedFile
from django.utils import timezone
from rest_framework.test import APIClient

from chat.models import ActivityLog, Attachment, Conversation, IdempotencyKey, Message
from chat.services import idempotency
from tests.clips import clip

UPLOADS = ["/api/chat/upload/", "/api/chat/videos/upload/"]
Answer = Any


class Sender:
    def __init__(self, client: APIClient, conversation: Conversation) -> None:
        self.client = client
        self.conversation = conversation

    def upload(
        self, key: str, address: str = UPLOADS[0], sent: bytes | None = None, **fields: object
    ) -> Answer:
        file = SimpleUploadedFile("a.mp4", sent or clip().read_bytes())
        data = {"conversation": self.conversation.pk, "file": file, **fields}
        return self.client.post(
            address, data, format="multipart", headers={"Idempotency-Key": key}
        )

    def message(self, key: str, data: dict[str, Any], form: str = "json") -> Answer:
        address = f"/api/chat/conversations/{self.conversation.pk}/messages/"
        return self.client.post(address, data, format=form, headers={"Idempotency-Key": key})


@pytest.fixture
def sender(as_member: APIClient, conversation: Conversation) -> Sender:
    return Sender(as_member, conversation)


def code(answer: Answer) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]


@pytest.mark.parametrize("address", UPLOADS)
@pytest.mark.parametrize("fields", [{}, {"content": "Look!"}])
def test_an_upload_that_is_sent_again(
    address: str, fields: dict[str, object], sender: Sender, settings: Any
) -> None:
    settings.USER_QUOTA_BYTES = clip().stat().st_size  # no room for it twice
    first = sender.upload("k", address, **fields)
    written = ActivityLog.objects.count()

    second = sender.upload("k", address, **fields)

    assert (first.status_code, second.status_code) == (201, 201)
    assert first.json() == second.json()
    assert first.headers["Location"] == second.headers["Location"]
    assert Attachment.objects.count() == 1
    assert Message.objects.count() == len(fields)
    assert ActivityLog.objects.count() == written


def test_a_form_that_differs_in_a_value_before_the_last(sender: Sender) -> None:
    mine = [sender.upload(key).json()["id"] for key in "abc"]
    address = f"/api/chat/conversations/{sender.conversation.pk}/messages/"

    def send(*ids: int) -> Answer:
        return sender.client.post(
            address,
            "&".join(f"attachments={each}" for each in ids),
            content_type="application/x-www-form-urlencoded",
            headers={"Idempotency-Key": "k"},
        )

    assert send(mine[0], mine[2]).status_code == 201
    assert code(send(mine[1], mine[2])) == (422, "idempotency_mismatch")


@pytest.mark.parametrize("form", ["json", "multipart"])
def test_a_message_that_is_sent_again(form: str, sender: Sender) -> None:
    answers = []
    for _ in range(2):
        files = {"files": [SimpleUploadedFile("a", b"a")]} if form == "multipart" else {}
        answers.append(sender.message("k", {"content": "Hello", **files}, form))

    assert [answer.status_code for answer in answers] == [201, 201]
    assert answers[0].json() == answers[1].json()
    assert Message.objects.count() == 1


def test_another_request_with_the_key(sender: Sender) -> None:
    assert sender.upload("k").status_code == 201

    for other in (
        sender.upload("k", sent=clip().read_bytes() + b"\0"),
        sender.upload("k", sent=clip().read_bytes(), note="new"),
        sender.upload("k", UPLOADS[1]),
        sender.message("k", {"content": "Hello"}),
    ):
        assert code(other) == (422, "idempotency_mismatch")
    assert Attachment.objects.count() == 1
    assert sender.upload("another").status_code == 201


def test_keys_of_others(sender: Sender, as_owner: APIClient, conversation: Conversation) -> None:
    other = Sender(as_owner, conversation)

    made = {answer.json()["id"] for answer in (sender.upload("k"), other.upload("k"))}

    assert len(made) == 2


def test_while_the_first_is_being_answered(sender: Sender, member: User) -> None:
    with idempotency.claimed(member, "k"):
        answer = sender.upload("k")

    assert code(answer) == (409, "request_in_progress")
    assert answer.headers["Retry-After"] == "1"
    assert sender.upload("k").status_code == 201


def test_a_refused_request_leaves_the_key_unused(sender: Sender) -> None:
    assert sender.upload("k", sent=clip().read_bytes()[:5000]).status_code == 422
    assert not IdempotencyKey.objects.exists()

    assert sender.upload("k").status_code == 201


def test_a_killed_worker_holds_a_key_for_a_while_only(sender: Sender, member: User) -> None:
    lost = idempotency.take(member, "k")
    IdempotencyKey.objects.update(expires_at=timezone.now() - timedelta(seconds=1))

    assert sender.upload("k").status_code == 201

    # A frozen one that comes back changes nothing any more.
    late = idempotency.Claim(lost)
    with pytest.raises(idempotency.ChatError, match="request_in_progress"):
        late.fulfil(Attachment(pk=4711))
    late.give_back()
    assert IdempotencyKey.objects.get().object_id == Attachment.objects.get().pk


def test_keys_are_forgotten(sender: Sender) -> None:
    sender.upload("k")
    assert idempotency.sweep() == 0

    IdempotencyKey.objects.update(expires_at=timezone.now() - timedelta(seconds=1))

    assert idempotency.sweep() == 1
    assert sender.upload("k").status_code == 201
    assert Attachment.objects.count() == 2


def test_what_it_made_was_deleted(sender: Sender) -> None:
    made = sender.upload("k").json()["id"]
    sender.client.delete(f"/api/chat/attachments/{made}/")

    assert code(sender.upload("k")) == (404, "not_found")
    assert not Attachment.objects.exists()


@pytest.mark.parametrize("key", ["", "a b", "ä", "k" * 256])
def test_keys_that_are_none(key: str, sender: Sender) -> None:
    answer = sender.upload(key)

    assert (answer.status_code, list(answer.json())) == (400, ["Idempotency-Key"])
