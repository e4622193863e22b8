"""The list of the videos that one may see."""

from typing import Any

import pytest
from django.contrib.auth.models import User
from rest_framework.test import APIClient

from chat import video_list
from chat.models import Attachment, Conversation, Participant

PATH = "/api/chat/videos/"


def test_newest_first_in_pages(legacy_video: Any, as_owner: APIClient) -> None:
    ids = [legacy_video().pk for _ in range(5)]

    first = as_owner.get(PATH, {"page_size": 2}).json()
    legacy_video()  # a new one does not shift the pages
    second = as_owner.get(first["next"]).json()
    third = as_owner.get(second["next"]).json()
    back = as_owner.get(second["previous"]).json()

    assert list(first) == ["next", "previous", "results"]
    found = [v["id"] for page in (first, second, third) for v in page["results"]]
    assert found == ids[::-1]
    assert third["next"] is None
    assert [v["id"] for v in back["results"]] == [v["id"] for v in first["results"]]


@pytest.mark.parametrize("few", [0, 100], ids=["of many", "of few"])
def test_filters(
    few: int,
    monkeypatch: pytest.MonkeyPatch,
    video: Attachment,
    legacy_video: Any,
    as_owner: APIClient,
    owner: User,
) -> None:
    monkeypatch.setattr(video_list, "FEW", few)
    legacy = legacy_video()
    other = Conversation.objects.create()
    Participant.objects.create(conversation=other, user=owner)
    elsewhere = legacy_video(conversation=other)
    legacy_video(kind=Attachment.Kind.FILE)

    def ids(**query: Any) -> set[int]:
        return {v["id"] for v in as_owner.get(PATH, query).json()["results"]}

    assert ids() == {video.pk, legacy.pk, elsewhere.pk}
    assert ids(state="ready") == {video.pk}
    assert ids(state="pending") == {legacy.pk, elsewhere.pk}
    assert ids(conversation=other.pk) == {elsewhere.pk}
    assert ids(conversation=other.pk, state="ready") == set()
    assert ids(state=["ready", "pending"]) == {video.pk, legacy.pk, elsewhere.pk}
    assert ids(uploaded_by=owner.pk) == {legacy.pk, elsewhere.pk}
    Attachment.objects.filter(pk=legacy.pk).update(created_at="2026-01-02T03:04:05Z")
    assert ids(created_before="2026-01-02T03:04:06Z") == {legacy.pk}
    assert ids(created_before="2026-01-02T03:04:05Z") == set()
    assert ids(created_after="2026-01-02T04:04:05+01:00") == {video.pk, elsewhere.pk}


def test_pages_of_a_filter_stay_while_rows_come_and_go(
    legacy_video: Any, as_owner: APIClient
) -> None:
    state = Attachment.ProcessingState
    wanted = [legacy_video(processing_state=state.PROCESSING).pk for _ in range(7)]
    legacy_video()
    query = {"state": "processing", "page_size": 3}

    page = as_owner.get(PATH, query).json()
    found = [v["id"] for v in page["results"]]
    while page["next"]:
        legacy_video(processing_state=state.PROCESSING)
        Attachment.objects.filter(pk=found[0]).delete()
        page = as_owner.get(page["next"]).json()
        found += [v["id"] for v in page["results"]]

    assert found == wanted[::-1]


def test_outsiders_see_nothing(
    video: Attachment, as_outsider: APIClient, as_nobody: APIClient
) -> None:
    assert as_outsider.get(PATH).json()["results"] == []
    foreign = as_outsider.get(PATH, {"conversation": video.conversation_id})
    assert foreign.status_code == 404
    assert as_nobody.get(PATH).status_code == 401


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ({"state": "x"}, 400),
        ({"conversation": "x"}, 400),
        ({"conversation": "9" * 19}, 400),
        ({"conversation": "\x00"}, 400),
        ({"cursor": "x"}, 400),
        ({"cursor": "cD14"}, 400),  # p=x
        ({"cursor": "cD05OTk5OTk5OTk5OTk5OTk5OTk5OTk5OQ=="}, 400),  # p=99…
        ({"cursor": "cj0xJnA9MSZvPTk5OTk5"}, 200),  # r=1&p=1&o=99999
        ({"page_size": "0"}, 400),
        ({"page_size": "x"}, 400),
        ({"page_size": "201"}, 400),
        ({"page_size": "200"}, 200),
        ({"page_size": ""}, 400),
        ({"uploaded_by": "-1"}, 400),
        ({"created_after": "yesterday"}, 400),
        ({"created_after": "0001-01-01T00:00:00+23:59"}, 400),
        ({"created_before": "9999-12-31T23:59:59-23:59"}, 400),
        ({"created_before": "2026-11-23"}, 200),
        ({"codec": "h264"}, 400),
        ({"stat\x00e": "ready"}, 400),
    ],
)
def test_nonsense(query: dict[str, str], status: int, as_member: APIClient) -> None:
    response = as_member.get(PATH, query)

    assert response.status_code == status
    if status == 400:
        assert list(response.json()) == [next(iter(query)).replace("\0", "?")]


def test_constant_queries(
    legacy_video: Any, as_owner: APIClient, django_assert_num_queries: Any
) -> None:
    for _ in range(2):
        legacy_video()
        with django_assert_num_queries(5):  # token, one’s conversations and own, page, renditions
            as_owner.get(PATH)
        for _ in range(5):
            legacy_video()
