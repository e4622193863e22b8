"""A page of any list takes as many queries with one row as with fifty."""

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test.utils import CaptureQueriesContext
from rest_framework.test import APIClient

from chat import video_list, views_video
from chat.models import Attachment, Conversation, Message, Participant
from chat.rendition import Rendition
from tests.chat.access_matrix import MATRIX, path_of
from tests.conftest import person

LISTS = {  # path: queries
    "/api/chat/conversations/": 3,  # token, page, participants
    "/api/chat/conversations/?unread=true": 3,
    "/api/chat/conversations/{}/participants/": 3,  # token, conversation, people
    "/api/chat/conversations/{}/messages/": 5,  # token, conversation, page, files, renditions
    "/api/chat/conversations/{}/messages/?kind=video": 5,
    "/api/chat/videos/": 5,  # token, one's conversations, what is there, page, renditions
    "/api/chat/videos/?conversation={}&state=pending": 6,
}


def grow(conversation: Conversation, owner: User, rows: int) -> None:
    """So many more people, conversations, messages with a video each, and renditions of it."""
    people = [person(f"person-{rows}-{number}") for number in range(rows)]
    for one in people:
        Participant.objects.create(conversation=conversation, user=one)
        other = Conversation.objects.create(created_by=one)
        for user in (one, owner):
            Participant.objects.create(conversation=other, user=user)
        Message.objects.create(conversation=other, sender=one)
        message = Message.objects.create(conversation=conversation, sender=one)
        video = Attachment.objects.create(
            conversation=conversation,
            message=message,
            uploaded_by=one,
            kind=Attachment.Kind.VIDEO,
            size=1,
            file="attachments/x",
        )
        Rendition.objects.create(
            attachment=video, kind="preview", file="renditions/x", pipeline_version=1
        )


def test_constant_query_counts(
    conversation: Conversation, owner: User, as_owner: APIClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    for rows in (1, 49):  # few and many are found in two ways
        monkeypatch.setattr(video_list, "FEW", 20)
        grow(conversation, owner, rows)
        for path, queries in LISTS.items():
            with CaptureQueriesContext(
                connection,
            ) as captured:
                body = as_owner.get(path.format(conversation.pk)).json()
            results = body["results"] if isinstance(body, dict) else body
            assert len(results) >= (1 if rows == 1 else 50), path
            assert len(captured) == queries, (path, rows)


def test_no_answer_to_get_takes_more_queries_with_more_rows(
    ids: dict[str, Any],
    conversation: Conversation,
    owner: User,
    as_owner: APIClient,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Of every address there is, lists or not."""
    monkeypatch.setattr(video_list, "FEW", 0)

    def queries() -> dict[str, int]:
        found = {}
        for route in (route for route, row in MATRIX.items() if "GET" in row):
            path = path_of(route, ids)
            as_owner.get(path).close()  # the first visit is an entry of the activity log
            with CaptureQueriesContext(connection) as captured:
                response = as_owner.get(path)
            response.close()
            assert response.status_code == 200, route
            found[route] = len(captured)
        return found

    grow(conversation, owner, 1)
    few = queries()
    grow(conversation, owner, 49)
    for _ in range(10):
        Attachment.objects.create(
            conversation=conversation,
            message_id=ids["message_id"],
            uploaded_by=owner,
            kind=Attachment.Kind.VIDEO,
            size=1,
            file="attachments/x",
        )

    assert queries() == few
    assert max(few.values()) <= 6


class TestAskingAgain:
    """One attachment, polled."""

    @pytest.fixture
    def path(self, legacy_video: Any) -> str:
        return f"/api/chat/attachments/{legacy_video().pk}/"

    def test_nothing_is_written_out_while_nothing_changes(
        self,
        path: str,
        as_member: APIClient,
        monkeypatch: pytest.MonkeyPatch,
        django_assert_num_queries: Any,
    ) -> None:
        etag = as_member.get(path).headers["ETag"]
        monkeypatch.setattr(views_video, "AttachmentSerializer", None)

        for tags in (etag, f'"other", {etag}', "*"):
            with django_assert_num_queries(3):  # token, attachment, renditions
                response = as_member.get(path, headers={"if-none-match": tags})
            assert (response.status_code, response.content) == (304, b"")
            assert response.headers["ETag"] == etag
            assert response.headers["Cache-Control"] == "private, no-cache"
            assert {"Authorization", "Cookie"} <= set(response.headers["Vary"].split(", "))

    @pytest.mark.parametrize(
        "change",
        [
            {"processing_state": "processing"},
            {"processing_state": "failed", "failure_code": "corrupt"},
            {"visibility": "quarantined"},
            {"thumbnail": "posters/x.jpg"},
            {"message": True},
            {"renditions": True},
        ],
    )
    def test_every_change_is_told(
        self, change: dict[str, Any], path: str, as_member: APIClient
    ) -> None:
        before = as_member.get(path)
        video = Attachment.objects.get()
        if change.pop("renditions", None):
            Rendition.objects.create(
                attachment=video, kind="preview", file="renditions/x", pipeline_version=1
            )
        if change.pop("message", None):
            change["message"] = Message.objects.create(conversation=video.conversation)
        if change:
            Attachment.objects.update(**change)

        after = as_member.get(path, headers={"if-none-match": before.headers["ETag"]})

        assert after.status_code == 200
        assert after.json() != before.json()
        assert after.headers["ETag"] != before.headers["ETag"]

    def test_another_person_has_another_tag(
        self, path: str, as_member: APIClient, as_owner: APIClient
    ) -> None:
        """Their addresses are signed for them."""
        assert as_member.get(path).headers["ETag"] != as_owner.get(path).headers["ETag"]

    def test_a_precondition_that_fails(self, path: str, as_member: APIClient) -> None:
        response = as_member.get(path, headers={"if-match": '"other"'})

        assert (response.status_code, response.json()["code"]) == (412, "precondition_failed")

    def test_lists_too(self, path: str, as_member: APIClient, legacy_video: Any) -> None:
        pages = "/api/chat/videos/"
        etag = as_member.get(pages).headers["ETag"]
        headers = {"if-none-match": etag}

        assert as_member.get(pages, headers=headers).status_code == 304
        assert as_member.head(pages, headers=headers).status_code == 304
        legacy_video()
        assert as_member.get(pages, headers=headers).status_code == 200

    def test_files_are_sent_whatever_is_accepted(self, path: str, as_member: APIClient) -> None:
        download = path.replace("attachments", "videos") + "download/"
        for accepted in ("video/mp4", "image/avif,image/webp", "text/html", "nonsense"):
            assert as_member.head(download, headers={"accept": accepted}).status_code == 200
