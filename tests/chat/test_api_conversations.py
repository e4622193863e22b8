"""Conversations and who takes part in them."""

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import User
from rest_framework.test import APIClient

from chat.models import ActivityLog, Attachment, Conversation, Message, Participant
from tests.chat.conftest import signed_in
from tests.conftest import person

LIST = "/api/chat/conversations/"


def path(conversation: Conversation, more: str = "") -> str:
    return f"{LIST}{conversation.pk}/{more}"


def actions() -> list[str]:
    return list(ActivityLog.objects.order_by("id").values_list("action", flat=True))


def names(client: APIClient, conversation: Conversation) -> dict[str, str]:
    people = client.get(path(conversation, "participants/")).json()
    return {one["username"]: one["role"] for one in people}


class TestCreate:
    def test_it_works(self, as_owner: APIClient, owner: User, member: User) -> None:
        response = as_owner.post(LIST, {"title": "Trip", "participants": ["member"]})

        assert response.status_code == 201
        found = response.json()
        assert list(found) == [
            "id", "title", "created_by", "created_at", "participants", "last_message",
            "unread_count",
        ]  # fmt: skip
        assert found["title"] == "Trip"
        assert found["created_by"] == {"id": owner.pk, "username": "owner"}
        assert [(p["id"], p["username"], p["role"]) for p in found["participants"]] == [
            (owner.pk, "owner", "owner"),
            (member.pk, "member", "member"),
        ]
        assert actions() == ["conversation_created", "participant_added"]

    def test_alone_and_without_title(self, as_owner: APIClient) -> None:
        response = as_owner.post(LIST, {})

        assert response.status_code == 201
        assert len(response.json()["participants"]) == 1

    def test_naming_oneself_and_someone_twice(self, as_owner: APIClient, member: User) -> None:
        response = as_owner.post(LIST, {"participants": ["owner", "member", "member"]})

        people = {p["username"]: p["role"] for p in response.json()["participants"]}
        assert people == {"owner": "owner", "member": "member"}

    @pytest.mark.parametrize(
        ("data", "field"),
        [
            ({"participants": ["who"]}, "participants"),
            ({"participants": "member"}, "participants"),
            ({"participants": [["member"]]}, "participants"),
            ({"participants": ["a\x00"]}, "participants"),
            ({"participants": ["x"] * 201}, "participants"),
            ({"title": "x" * 201}, "title"),
            ({"title": {}}, "title"),
        ],
    )
    def test_nonsense(self, data: dict[str, Any], field: str, as_owner: APIClient) -> None:
        response = as_owner.post(LIST, data)

        assert (response.status_code, list(response.json())) == (400, [field])
        assert not Conversation.objects.exists()


class TestList:
    def test_own_ones_newest_first(
        self, conversation: Conversation, as_owner: APIClient, as_outsider: APIClient
    ) -> None:
        newer = as_owner.post(LIST, {"title": "newer"}).json()["id"]

        found = as_owner.get(LIST).json()["results"]

        assert [c["id"] for c in found] == [newer, conversation.pk]
        assert [p["username"] for p in found[1]["participants"]] == ["owner", "member"]
        assert as_outsider.get(LIST).json()["results"] == []

    def test_constant_queries(
        self, as_owner: APIClient, member: User, django_assert_num_queries: Any
    ) -> None:
        for more in (1, 5):
            for _ in range(more):
                as_owner.post(LIST, {"participants": ["member"]})
            with django_assert_num_queries(3):  # token, page, participants
                as_owner.get(LIST)


@pytest.mark.parametrize("more", ["", "participants/", "messages/"])
class TestAccess:
    def test_anonymous(self, more: str, conversation: Conversation, as_nobody: APIClient) -> None:
        assert as_nobody.get(path(conversation, more)).status_code == 401

    def test_outsider(
        self, more: str, conversation: Conversation, as_outsider: APIClient, admin: User
    ) -> None:
        for client in (as_outsider, signed_in(admin)):
            assert client.get(path(conversation, more)).status_code == 404

    def test_unknown(self, more: str, as_owner: APIClient) -> None:
        for pk in ("4711", "9" * 19, "9" * 30):
            assert as_owner.get(f"{LIST}{pk}/{more}").status_code == 404

    def test_wrong_method(
        self, more: str, conversation: Conversation, as_owner: APIClient
    ) -> None:
        assert as_owner.put(path(conversation, more)).status_code == 405


class TestOne:
    def test_read(self, conversation: Conversation, as_member: APIClient) -> None:
        assert as_member.get(path(conversation)).json()["title"] == "Holiday"

    def test_rename(self, conversation: Conversation, as_owner: APIClient) -> None:
        response = as_owner.patch(path(conversation), {"title": "Work"})

        assert (response.status_code, response.json()["title"]) == (200, "Work")
        assert actions() == ["conversation_changed"]

    def test_members_may_not(
        self, conversation: Conversation, as_member: APIClient, as_outsider: APIClient
    ) -> None:
        for client, status in ((as_member, 403), (as_outsider, 404)):
            assert client.patch(path(conversation), {"title": "x"}).status_code == status
            assert client.delete(path(conversation)).status_code == status
            people = path(conversation, "participants/")
            data = {"participants": ["outsider"]}
            assert client.post(people, data).status_code in (status, 400)
        conversation.refresh_from_db()
        assert conversation.title == "Holiday"

    def test_delete_takes_the_files_along(
        self,
        conversation: Conversation,
        video: Attachment,
        as_owner: APIClient,
        stored_files: Callable[[], list[str]],
        django_capture_on_commit_callbacks: Any,
    ) -> None:
        with django_capture_on_commit_callbacks(execute=True):
            response = as_owner.delete(path(conversation))

        assert response.status_code == 204
        assert not Conversation.objects.exists()
        assert not Attachment.objects.exists()
        assert stored_files() == []
        entry = ActivityLog.objects.get(action="conversation_deleted")
        assert entry.object_id == entry.conversation_id == conversation.pk

    def test_not_while_moderators_hold_a_file(
        self, conversation: Conversation, legacy_video: Any, as_owner: APIClient
    ) -> None:
        legacy_video(visibility=Attachment.Visibility.QUARANTINED)

        assert as_owner.delete(path(conversation)).status_code == 451
        assert Conversation.objects.exists()


class TestParticipants:
    def test_add(
        self, conversation: Conversation, as_owner: APIClient, as_outsider: APIClient
    ) -> None:
        people = path(conversation, "participants/")

        response = as_owner.post(people, {"participants": ["outsider", "member"]})

        assert response.status_code == 201
        assert [p["username"] for p in response.json()] == ["owner", "member", "outsider"]
        assert as_outsider.get(path(conversation)).status_code == 200
        assert actions() == ["participant_added"]

    @pytest.mark.parametrize("data", [{}, {"participants": []}, {"participants": ["who"]}])
    def test_nonsense(
        self, data: dict[str, Any], conversation: Conversation, as_owner: APIClient
    ) -> None:
        assert as_owner.post(path(conversation, "participants/"), data).status_code == 400

    def test_leave(self, conversation: Conversation, as_member: APIClient, member: User) -> None:
        own = path(conversation, f"participants/{member.pk}/")

        assert as_member.delete(own).status_code == 204

        assert as_member.get(path(conversation)).status_code == 404
        assert as_member.delete(own).status_code == 404
        entry = ActivityLog.objects.get()
        assert (entry.action, entry.details) == ("participant_removed", {"username": "member"})

    def test_owners_remove_members_not_the_reverse(
        self,
        conversation: Conversation,
        as_owner: APIClient,
        as_member: APIClient,
        owner: User,
        member: User,
    ) -> None:
        owners = path(conversation, f"participants/{owner.pk}/")
        members = path(conversation, f"participants/{member.pk}/")

        assert as_member.delete(owners).status_code == 403
        assert as_owner.delete(members).status_code == 204

    def test_of_someone_else(
        self, conversation: Conversation, as_owner: APIClient, outsider: User
    ) -> None:
        someone = path(conversation, f"participants/{outsider.pk}/")

        assert as_owner.delete(someone).status_code == 404
        assert as_owner.get(someone).status_code == 405

    def test_who_was_removed_may_come_back(
        self, conversation: Conversation, as_owner: APIClient, member: User
    ) -> None:
        as_owner.delete(path(conversation, f"participants/{member.pk}/"))

        as_owner.post(path(conversation, "participants/"), {"participants": ["member"]})

        assert names(as_owner, conversation) == {"owner": "owner", "member": "member"}

    def test_roles(
        self,
        conversation: Conversation,
        as_owner: APIClient,
        as_member: APIClient,
        owner: User,
        member: User,
    ) -> None:
        owners = path(conversation, f"participants/{owner.pk}/")
        members = path(conversation, f"participants/{member.pk}/")

        assert as_member.patch(members, {"role": "owner"}).status_code == 403
        last = as_owner.patch(owners, {"role": "member"})
        assert (last.status_code, last.json()["code"]) == (409, "last_owner")
        response = as_owner.patch(members, {"role": "owner"})
        assert (response.status_code, response.json()["role"]) == (200, "owner")
        assert as_member.patch(owners, {"role": "member"}).status_code == 200

        assert names(as_owner, conversation) == {"owner": "member", "member": "owner"}
        assert as_owner.patch(members, {"role": "member"}).status_code == 403
        assert actions() == ["participant_changed", "participant_changed"]
        assert ActivityLog.objects.first().details == {"username": "owner", "role": "member"}  # type: ignore[union-attr]

    @pytest.mark.parametrize("data", [{}, {"role": "king"}, {"role": None}, {"role": ["owner"]}])
    def test_nonsense_for_a_role(
        self, data: dict[str, Any], conversation: Conversation, as_owner: APIClient, member: User
    ) -> None:
        response = as_owner.patch(path(conversation, f"participants/{member.pk}/"), data)

        assert (response.status_code, list(response.json())) == (400, ["role"])

    def test_ownership_passes_on(
        self, conversation: Conversation, as_owner: APIClient, as_member: APIClient, owner: User
    ) -> None:
        late = person("late")
        Participant.objects.create(conversation=conversation, user=late)

        as_owner.delete(path(conversation, f"participants/{owner.pk}/"))

        assert names(as_member, conversation) == {"member": "owner", "late": "member"}


class TestRead:
    @pytest.fixture
    def messages(self, conversation: Conversation, owner: User, member: User) -> list[int]:
        """Three of the owner's, one of the member's among them."""
        senders = (owner, member, owner, owner)
        sent = [Message.objects.create(conversation=conversation, sender=s) for s in senders]
        return [message.pk for message in sent]

    def read(self, client: APIClient, conversation: Conversation, **data: Any) -> Any:
        return client.post(path(conversation, "read/"), data)

    def test_what_is_new(
        self, conversation: Conversation, messages: list[int], as_member: APIClient
    ) -> None:
        (found,) = as_member.get(LIST).json()["results"]
        assert (found["last_message"], found["unread_count"]) == (messages[-1], 3)

        response = self.read(as_member, conversation, message=messages[2])

        assert response.json() == {"last_read_message": messages[2], "unread_count": 1}
        (found,) = as_member.get(LIST).json()["results"]
        assert found["unread_count"] == 1
        assert found["participants"][1]["last_read_message"] == messages[2]
        assert not ActivityLog.objects.exists()

    def test_never_backwards(
        self, conversation: Conversation, messages: list[int], as_member: APIClient
    ) -> None:
        everything = {"last_read_message": messages[-1], "unread_count": 0}
        assert self.read(as_member, conversation).json() == everything
        assert self.read(as_member, conversation, message=messages[0]).json() == everything

    def test_deleted_messages_are_not_news(
        self, conversation: Conversation, messages: list[int], as_member: APIClient
    ) -> None:
        Message.objects.filter(pk=messages[-1]).update(deleted_at="2026-01-01T00:00Z")

        (found,) = as_member.get(LIST).json()["results"]

        assert (found["last_message"], found["unread_count"]) == (messages[2], 2)

    def test_counting_ends_at_a_hundred(
        self, conversation: Conversation, owner: User, as_member: APIClient
    ) -> None:
        Message.objects.bulk_create(
            Message(conversation=conversation, sender=owner) for _ in range(105)
        )
        assert as_member.get(path(conversation)).json()["unread_count"] == 100

    def test_the_unread_ones(
        self, conversation: Conversation, messages: list[int], as_member: APIClient
    ) -> None:
        quiet = as_member.post(LIST, {"title": "quiet"}).json()["id"]

        def ids(unread: str) -> list[int]:
            return [c["id"] for c in as_member.get(LIST, {"unread": unread}).json()["results"]]

        assert (ids("true"), ids("false")) == ([conversation.pk], [quiet])
        assert list(as_member.get(LIST, {"unread": "maybe"}).json()) == ["unread"]

    def test_who_comes_later_starts_at_the_end(
        self,
        conversation: Conversation,
        messages: list[int],
        as_owner: APIClient,
        as_outsider: APIClient,
    ) -> None:
        as_owner.post(path(conversation, "participants/"), {"participants": ["outsider"]})

        (found,) = as_outsider.get(LIST).json()["results"]

        assert found["unread_count"] == 0

    def test_access(
        self, conversation: Conversation, as_outsider: APIClient, as_nobody: APIClient
    ) -> None:
        assert self.read(as_outsider, conversation).status_code == 404
        assert self.read(as_nobody, conversation).status_code == 401
        assert as_outsider.get(path(conversation, "read/")).status_code == 405

    @pytest.mark.parametrize("message", ["x", 0, 4711, 2**63, None])
    def test_nonsense(self, message: Any, conversation: Conversation, as_owner: APIClient) -> None:
        response = self.read(as_owner, conversation, message=message)

        assert (response.status_code, list(response.json())) == (400, ["message"])
