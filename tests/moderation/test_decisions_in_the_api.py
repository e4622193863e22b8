"""What participants meet after a decision: real files, every address, the same bytes again."""

import hashlib
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import User
from rest_framework.test import APIClient

from chat.models import ActivityLog, Attachment, Conversation
from chat.services.activity import SYSTEM, Actor
from chat.services.importing import import_video
from chat.services.renditions import WORKS
from chat.services.video_service import VideoProcessingService
from moderation import decisions
from moderation.verdict import Verdict
from tests.chat.conftest import signed_in
from tests.clips import clip

SendVideo = Callable[..., Any]


@pytest.fixture
def send_video(conversation: Conversation) -> SendVideo:
    def send(client: APIClient, **fields: Any) -> Any:
        with clip().open("rb") as file:
            data = {"conversation": conversation.pk, "file": file, **fields}
            return client.post("/api/chat/videos/upload/", data, format="multipart")

    return send


def content(response: Any) -> bytes:
    return b"".join(response.streaming_content)


def test_every_byte_is_refused_at_once_and_comes_back_as_it_was(
    send_video: SendVideo, member: User, owner: User, outsider: User, moderator: User
) -> None:
    uploader, reader = signed_in(member), signed_in(owner)
    sent = send_video(uploader).json()
    attachment = Attachment.objects.get(pk=sent["id"])
    VideoProcessingService().make_renditions(attachment, works=WORKS)
    seen = reader.get(f"/api/chat/attachments/{attachment.pk}/").json()
    addresses = [
        seen["download_url"], seen["thumbnail_url"], seen["storyboard_url"],
        seen["storyboard_url"].replace("storyboard/", "storyboard.vtt"),
        f"/api/chat/attachments/{attachment.pk}/preview/",
    ]  # fmt: skip
    before = hashlib.sha256(content(reader.get(seen["download_url"]))).hexdigest()
    assert before == hashlib.sha256(clip().read_bytes()).hexdigest()
    assert content(APIClient().get(seen["stream_url"]))

    for verb, code, version in (("quarantine", "quarantined", 0), ("remove", "removed", 2)):
        decisions.decide(
            attachment.pk,
            version,
            Verdict(verb, "violence", "internal", "Cut the last scene."),
            Actor(user=moderator),
        )
        refused = [reader.get(address) for address in addresses]
        refused.append(reader.get(addresses[0], headers={"If-None-Match": f'"{before}"'}))
        refused.append(reader.get(addresses[0], headers={"Range": "bytes=0-9"}))
        refused.append(APIClient().get(seen["stream_url"]))  # signed for `reader`
        refused.append(APIClient().get(seen["stream_url"].replace("/stream/", "/download/")))
        statuses = [response.status_code for response in refused]
        assert statuses == [451] * 8 + [401], addresses  # a download takes no signed address
        assert {response.json()["code"] for response in refused[:-1]} == {code}
        assert {len(response.json()) for response in refused[:-1]} == {2}
        told = uploader.get(addresses[0]).json()
        assert (told["reason"], told["note"]) == ("violence", "Cut the last scene.")
        assert signed_in(outsider).get(addresses[0]).status_code == 404
        decisions.decide(attachment.pk, version + 1, Verdict("restore"), Actor(user=moderator))

    again = reader.get(f"/api/chat/attachments/{attachment.pk}/").json()
    assert {k: v for k, v in again.items() if k != "stream_url"} == {
        k: v for k, v in seen.items() if k != "stream_url"
    }
    for address in (again["download_url"], seen["stream_url"]):
        assert hashlib.sha256(content(reader.get(address))).hexdigest() == before


def test_the_same_bytes_sent_again_are_held(
    send_video: SendVideo, member: User, owner: User, moderator: User, conversation: Conversation
) -> None:
    first = send_video(signed_in(owner)).json()
    decisions.decide(first["id"], 0, Verdict("remove", "privacy"), Actor(user=moderator))

    response = send_video(signed_in(member))

    assert response.status_code == 201
    held = response.json()
    assert (held["visibility"], held["download_url"]) == ("quarantined", None)
    entry = ActivityLog.objects.get(action="attachment_uploaded", object_id=held["id"])
    assert entry.details == {"quarantined_as": "privacy"}
    told = signed_in(member).get(f"/api/chat/videos/{held['id']}/download/")
    assert (told.status_code, told.json()["reason"]) == (451, "privacy")
    in_message = send_video(signed_in(member), content="look").json()
    assert in_message["visibility"] == "quarantined"
    imported = import_video(clip(), Conversation.objects.create(), None, SYSTEM)
    assert imported.attachment.visibility == "quarantined"

    posted = signed_in(member).post(
        f"/api/chat/conversations/{conversation.pk}/messages/", {"attachments": [held["id"]]}
    )
    assert posted.status_code == 201
    decisions.decide(held["id"], 0, Verdict("restore"), Actor(user=moderator))
    assert send_video(signed_in(member)).json()["visibility"] == "visible"


def test_what_is_kept_outlives_the_conversation_s_end(
    send_video: SendVideo, owner: User, moderator: User, conversation: Conversation
) -> None:
    client, path = signed_in(owner), f"/api/chat/conversations/{conversation.pk}/"
    pk = send_video(client).json()["id"]
    for verb, version, status in (("hold", 0, 409), ("release", 1, 0), ("remove", 2, 409)):
        decisions.decide(pk, version, Verdict(verb, "spam"), Actor(user=moderator))
        if status:
            response = client.delete(path)
            assert (response.status_code, response.json()["code"]) == (status, "must_be_kept")
    assert Attachment.objects.get().file.storage.exists(Attachment.objects.get().file.name)
