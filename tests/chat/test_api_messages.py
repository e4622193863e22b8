"""Messages, with and without files."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.files.uploadedfile import SimpleUploadedFile
from rest_framework.test import APIClient

from chat.models import ActivityLog, Attachment, Conversation, Message, Participant
from tests.clips import clip

Files = Callable[[], list[str]]


@pytest.fixture
def path(conversation: Conversation) -> str:
    return f"/api/chat/conversations/{conversation.pk}/messages/"


@pytest.fixture
def message(conversation: Conversation, member: User) -> Message:
    return Message.objects.create(conversation=conversation, sender=member, content="Hello")


def one(message: Message) -> str:
    return f"/api/chat/messages/{message.pk}/"


def video_file(name: str = "a.mp4") -> SimpleUploadedFile:
    return SimpleUploadedFile(name, clip().read_bytes())


class TestSend:
    def test_text(self, path: str, as_member: APIClient, member: User) -> None:
        response = as_member.post(path, {"content": "Hello"})

        assert response.status_code == 201
        found = response.json()
        assert list(found) == [
            "id", "conversation", "sender", "content", "attachments", "created_at", "edited_at"
        ]  # fmt: skip
        assert found["sender"] == {"id": member.pk, "username": "member"}
        assert (found["content"], found["attachments"]) == ("Hello", [])
        entry = ActivityLog.objects.get()
        assert (entry.action, entry.object_id) == ("message_sent", found["id"])

    def test_files_uploaded_before(
        self, path: str, video: Attachment, as_member: APIClient
    ) -> None:
        response = as_member.post(path, {"attachments": [video.pk]})

        assert response.status_code == 201
        (attached,) = response.json()["attachments"]
        assert (attached["id"], attached["message"]) == (video.pk, response.json()["id"])

    def test_files_that_come_with_it(
        self, path: str, as_member: APIClient, stored_files: Files
    ) -> None:
        files = [video_file(), SimpleUploadedFile("notes.mp4", b"some text"), video_file("b")]

        response = as_member.post(path, {"content": "Hi", "files": files}, format="multipart")

        assert response.status_code == 201
        attached = response.json()["attachments"]
        assert [a["kind"] for a in attached] == ["video", "file", "video"]
        assert [a["original_name"] for a in attached] == ["a.mp4", "notes.mp4", "b"]
        assert [a["processing_state"] for a in attached] == ["ready", None, "ready"]
        assert len(stored_files()) == 5
        assert ActivityLog.objects.filter(action="attachment_uploaded").count() == 3
        assert ActivityLog.objects.filter(action="message_sent").count() == 1

    def test_all_or_nothing(
        self, path: str, as_member: APIClient, stored_files: Files, video: Attachment
    ) -> None:
        before = stored_files()
        broken = SimpleUploadedFile("b.mp4", clip().read_bytes()[:5000])

        response = as_member.post(
            path,
            {"content": "Hi", "attachments": [video.pk], "files": [video_file(), broken]},
            format="multipart",
        )

        assert response.status_code == 422
        assert stored_files() == before
        assert not Message.objects.exists()
        assert Attachment.objects.get().message is None
        assert ActivityLog.objects.filter(action="attachment_refused").count() == 1

    def test_attachments_that_cannot_be_used_take_the_files_back(
        self, path: str, as_member: APIClient, stored_files: Files
    ) -> None:
        response = as_member.post(
            path, {"attachments": [4711], "files": [video_file()]}, format="multipart"
        )

        assert response.status_code == 400
        assert response.json()["code"] == "unusable_attachments"
        assert stored_files() == []
        assert not Message.objects.exists()

    def test_too_many_files(self, path: str, as_member: APIClient, stored_files: Files) -> None:
        files = [SimpleUploadedFile(str(n), b"a") for n in range(11)]

        response = as_member.post(path, {"files": files}, format="multipart")

        assert response.status_code == 400
        assert response.json()["code"] == "too_many_files"
        assert stored_files() == []

    def test_too_many_of_both_kinds(
        self, path: str, as_member: APIClient, video: Attachment, stored_files: Files
    ) -> None:
        files = [SimpleUploadedFile(str(n), b"a") for n in range(10)]
        before = stored_files()

        response = as_member.post(
            path, {"attachments": [video.pk], "files": files}, format="multipart"
        )

        assert (response.status_code, response.json()["code"]) == (400, "too_many_files")
        assert stored_files() == before
        assert Attachment.objects.get().message is None

    def test_too_large_in_sum(
        self, path: str, as_member: APIClient, stored_files: Files, settings: Any
    ) -> None:
        settings.UPLOAD_MAX_BYTES = 150
        files = [SimpleUploadedFile(str(n), b"a" * 100) for n in range(2)]

        response = as_member.post(path, {"files": files}, format="multipart")

        assert response.status_code == 413
        assert stored_files() == []

    @pytest.mark.parametrize("what", ["foreign", "elsewhere", "used", "removed", "held", "twice"])
    def test_whose_attachments(
        self,
        what: str,
        path: str,
        legacy_video: Any,
        as_member: APIClient,
        member: User,
        owner: User,
    ) -> None:
        other = Conversation.objects.create()
        Participant.objects.create(conversation=other, user=member)
        fields: dict[str, Any] = {
            "foreign": {"uploaded_by": owner},
            "elsewhere": {"conversation": other},
            "used": {"message": Message.objects.create(conversation=other)},
            "removed": {"visibility": Attachment.Visibility.REMOVED},
            "held": {"visibility": Attachment.Visibility.QUARANTINED},
            "twice": {},
        }[what]
        attachment = legacy_video(**{"uploaded_by": member, **fields})

        response = as_member.post(path, {"attachments": [attachment.pk, attachment.pk]})

        assert response.status_code == (201 if what in ("twice", "held") else 400)

    @pytest.mark.parametrize(
        ("data", "field"),
        [
            ({}, "content"),
            ({"content": ""}, "content"),
            ({"content": "  "}, "content"),
            ({"content": "a\x00"}, "content"),
            ({"content": "x" * 20_001}, "content"),
            ({"attachments": ["x"]}, "attachments"),
            ({"attachments": [2**63]}, "attachments"),
            ({"attachments": [[]]}, "attachments"),
            ({"attachments": "x"}, "attachments"),
            ({"attachments": list(range(1, 12))}, "attachments"),
        ],
    )
    def test_nonsense(
        self, data: dict[str, Any], field: str, path: str, as_member: APIClient
    ) -> None:
        response = as_member.post(path, data)

        assert (response.status_code, list(response.json())) == (400, [field])

    def test_outsider(
        self, path: str, as_outsider: APIClient, as_nobody: APIClient, stored_files: Files
    ) -> None:
        for client, status in ((as_outsider, 404), (as_nobody, 401)):
            assert client.post(path, {"content": "x"}).status_code == status
            data = {"files": [video_file()]}
            assert client.post(path, data, format="multipart").status_code == status
        assert stored_files() == []


class TestList:
    def test_newest_first_without_deleted(
        self, path: str, as_owner: APIClient, conversation: Conversation
    ) -> None:
        messages = [
            Message.objects.create(conversation=conversation, content=str(n)) for n in range(4)
        ]
        Message.objects.filter(pk=messages[1].pk).update(deleted_at="2026-01-01T00:00Z")
        Message.objects.create(conversation=Conversation.objects.create())

        first = as_owner.get(path, {"page_size": 2}).json()
        second = as_owner.get(first["next"]).json()

        assert [m["content"] for m in first["results"]] == ["3", "2"]
        assert [m["content"] for m in second["results"]] == ["0"]

    def test_removed_attachments_are_left_out(
        self, path: str, message: Message, legacy_video: Any, as_owner: APIClient
    ) -> None:
        legacy_video(message=message, visibility=Attachment.Visibility.REMOVED)
        kept = legacy_video(message=message)

        (found,) = as_owner.get(path).json()["results"]

        assert [a["id"] for a in found["attachments"]] == [kept.pk]

    def test_constant_queries(
        self,
        path: str,
        conversation: Conversation,
        owner: User,
        legacy_video: Any,
        as_owner: APIClient,
        django_assert_num_queries: Any,
    ) -> None:
        for more in (1, 5):
            for _ in range(more):
                sent = Message.objects.create(conversation=conversation, sender=owner)
                legacy_video(message=sent)
            with django_assert_num_queries(5):  # token, conversation, page, files, renditions
                as_owner.get(path)

    def test_filters(
        self,
        path: str,
        message: Message,
        conversation: Conversation,
        owner: User,
        legacy_video: Any,
        as_owner: APIClient,
    ) -> None:
        filmed = Message.objects.create(conversation=conversation, sender=owner)
        legacy_video(message=filmed)
        hidden = Message.objects.create(conversation=conversation, sender=owner)
        legacy_video(message=hidden, visibility=Attachment.Visibility.REMOVED)
        Message.objects.filter(pk=message.pk).update(created_at="2026-01-02T03:04:05Z")

        def ids(**query: Any) -> list[int]:
            return [m["id"] for m in as_owner.get(path, query).json()["results"]]

        assert ids(sender=owner.pk) == [hidden.pk, filmed.pk]
        assert ids(kind="video") == [filmed.pk]
        assert ids(kind=["image", "video"], sender=message.sender_id) == []
        assert ids(created_before="2026-02-01T00:00:00Z") == [message.pk]
        for query in ({"kind": "book"}, {"sender": "x"}, {"state": "ready"}, {"cursor": "x"}):
            response = as_owner.get(path, query)
            assert (response.status_code, list(response.json())) == (400, list(query))


class TestOne:
    def test_read(
        self,
        message: Message,
        as_owner: APIClient,
        as_outsider: APIClient,
        as_nobody: APIClient,
    ) -> None:
        assert as_owner.get(one(message)).json()["content"] == "Hello"
        assert as_outsider.get(one(message)).status_code == 404
        assert as_nobody.get(one(message)).status_code == 401
        assert as_owner.get("/api/chat/messages/4711/").status_code == 404
        assert as_owner.post(one(message), {}).status_code == 405

    def test_edit(self, message: Message, as_member: APIClient) -> None:
        response = as_member.patch(one(message), {"content": "Bye"})

        assert response.status_code == 200
        assert response.json()["content"] == "Bye"
        assert response.json()["edited_at"]
        assert ActivityLog.objects.get().action == "message_edited"

    @pytest.mark.parametrize("data", [{}, {"content": ""}, {"content": None}, {"content": "\0"}])
    def test_edit_to_nothing(
        self, data: dict[str, Any], message: Message, as_member: APIClient
    ) -> None:
        assert as_member.patch(one(message), data).status_code == 400

    def test_only_the_sender_edits(
        self, message: Message, as_owner: APIClient, as_outsider: APIClient
    ) -> None:
        for client, status in ((as_owner, 403), (as_outsider, 404)):
            assert client.patch(one(message), {"content": "x"}).status_code == status
        message.refresh_from_db()
        assert message.content == "Hello"

    @pytest.mark.parametrize("who", ["as_owner", "as_member"])
    def test_delete_hides_it(
        self, who: str, message: Message, request: pytest.FixtureRequest
    ) -> None:
        client = request.getfixturevalue(who)

        assert client.delete(one(message)).status_code == 204

        assert client.get(one(message)).status_code == 404
        assert client.patch(one(message), {"content": "x"}).status_code == 404
        assert client.delete(one(message)).status_code == 404
        assert Message.objects.get().content == "Hello"
        assert ActivityLog.objects.get().action == "message_deleted"

    def test_delete_takes_its_files_along(
        self,
        message: Message,
        legacy_video: Any,
        as_member: APIClient,
        stored_files: Files,
        django_capture_on_commit_callbacks: Any,
    ) -> None:
        """Nobody else's of the same content, and none that moderators hold."""
        gone = legacy_video(message=message)
        other = legacy_video()
        held = legacy_video(message=message, visibility=Attachment.Visibility.QUARANTINED)
        kept = legacy_video(message=message, on_hold=True)

        with django_capture_on_commit_callbacks(execute=True):
            assert as_member.delete(one(message)).status_code == 204
            assert f"media/{gone.file.name}" in stored_files()  # not before it is committed

        left = [other, held, kept]
        assert sorted(Attachment.objects.values_list("pk", flat=True)) == [a.pk for a in left]
        assert stored_files() == sorted(f"media/{a.file.name}" for a in left)
        entry = ActivityLog.objects.get(action="attachment_deleted")
        assert entry.object_id == gone.pk

    def test_other_members_do_not_delete(
        self, conversation: Conversation, owner: User, as_member: APIClient
    ) -> None:
        foreign = Message.objects.create(conversation=conversation, sender=owner, content="x")

        assert as_member.delete(one(foreign)).status_code == 403


def test_the_form_may_name_the_conversation_without_harm(
    path: str, as_member: APIClient, conversation: Conversation, tmp_path: Path
) -> None:
    """The address decides; a field of the same name in the form changes nothing."""
    other = Conversation.objects.create()

    response = as_member.post(path, {"content": "x", "conversation": other.pk}, format="multipart")

    assert response.json()["conversation"] == conversation.pk
