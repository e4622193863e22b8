"""Metadata, bytes, stream, poster, list and deletion of attachments."""

import time
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core import signing
from PIL import Image
from rest_framework.test import APIClient

from chat import authentication, video_list
from chat.models import ActivityLog, Attachment, Conversation, Message, Participant
from tests.chat.conftest import signed_in
from tests.clips import clip

Files = Callable[[], list[str]]
PATHS = {
    "metadata": "/api/chat/attachments/{}/",
    "thumbnail": "/api/chat/attachments/{}/thumbnail/",
    "download": "/api/chat/videos/{}/download/",
    "stream": "/api/chat/videos/{}/stream/",
}
EVERY = pytest.mark.parametrize("path", PATHS.values(), ids=PATHS)
BYTES = pytest.mark.parametrize("path", [PATHS["thumbnail"], PATHS["download"], PATHS["stream"]])


def read(response: Any) -> bytes:
    return b"".join(response.streaming_content)


def entries(action: str) -> list[ActivityLog]:
    return list(ActivityLog.objects.filter(action=action))


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


@BYTES
def test_quarantined(path: str, video: Attachment, as_member: APIClient) -> None:
    Attachment.objects.update(visibility=Attachment.Visibility.QUARANTINED)

    response = as_member.get(path.format(video.pk))

    assert response.status_code == 451
    assert response.json()["code"] == "quarantined"
    assert not entries("attachment_viewed") + entries("attachment_downloaded")


def test_quarantined_metadata_have_no_addresses(video: Attachment, as_member: APIClient) -> None:
    Attachment.objects.update(visibility=Attachment.Visibility.QUARANTINED)

    found = as_member.get(PATHS["metadata"].format(video.pk)).json()

    assert found["visibility"] == "quarantined"
    assert found["width"] == 320
    assert {found[key] for key in found if key.endswith("_url")} == {None}


@BYTES
def test_a_file_that_is_gone(path: str, video: Attachment, as_member: APIClient) -> None:
    Path(video.file.path).unlink()
    Path(video.thumbnail.path).unlink()

    response = as_member.get(path.format(video.pk))

    assert response.status_code == 410
    assert response.json()["code"] == "missing_file"


class TestDownload:
    path = PATHS["download"]

    def test_bytes_and_headers(self, video: Attachment, as_owner: APIClient) -> None:
        response = as_owner.get(self.path.format(video.pk))

        assert read(response) == clip().read_bytes()
        assert response.headers["Content-Type"] == "video/mp4"
        assert response.headers["Content-Length"] == str(video.size)
        assert response.headers["ETag"] == f'"{video.sha256}"'
        disposition = response.headers["Content-Disposition"]
        assert disposition == f'attachment; filename="{video.original_name}"'

    def test_one_byte(self, video: Attachment, as_owner: APIClient) -> None:
        response = as_owner.get(self.path.format(video.pk), headers={"range": "bytes=0-0"})

        assert response.status_code == 206
        assert response.headers["Content-Range"] == f"bytes 0-0/{video.size}"
        assert read(response) == clip().read_bytes()[:1]

    def test_outside(self, video: Attachment, as_owner: APIClient) -> None:
        headers = {"range": f"bytes={video.size}-"}
        response = as_owner.get(self.path.format(video.pk), headers=headers)

        assert response.status_code == 416
        assert response.headers["Content-Range"] == f"bytes */{video.size}"
        assert response.json()["code"] == "range_not_satisfiable"

    def test_head(self, video: Attachment, as_owner: APIClient) -> None:
        response = as_owner.head(self.path.format(video.pk))

        assert response.status_code == 200
        assert response.headers["Content-Length"] == str(video.size)
        assert response.content == b""
        assert not entries("attachment_downloaded")

    def test_unchanged(self, video: Attachment, as_owner: APIClient) -> None:
        headers = {"if-none-match": f'"{video.sha256}"'}

        assert as_owner.get(self.path.format(video.pk), headers=headers).status_code == 304

    def test_many_ranges_are_one_entry(
        self, video: Attachment, as_owner: APIClient, owner: User
    ) -> None:
        for header in ("bytes=0-9", "bytes=10-19", "bytes=-5"):
            read(as_owner.get(self.path.format(video.pk), headers={"range": header}))

        (entry,) = entries("attachment_downloaded")
        assert (entry.actor, entry.object_id) == (owner, video.pk)

    def test_of_a_legacy_video(self, legacy_video: Any, as_owner: APIClient) -> None:
        video = legacy_video(content_type="text/html")

        response = as_owner.get(self.path.format(video.pk))

        assert read(response) == clip().read_bytes()
        assert response.headers["Content-Type"] == "application/octet-stream"


class TestStream:
    def address(self, client: APIClient, video: Attachment) -> str:
        return str(client.get(PATHS["metadata"].format(video.pk)).json()["stream_url"])

    def test_the_address_needs_no_header(
        self, video: Attachment, as_owner: APIClient, as_nobody: APIClient, owner: User
    ) -> None:
        response = as_nobody.get(self.address(as_owner, video), headers={"range": "bytes=0-3"})

        assert response.status_code == 206
        assert response.headers["Content-Disposition"].startswith("inline")
        assert read(response) == clip().read_bytes()[:4]
        (entry,) = entries("attachment_viewed")
        assert entry.actor == owner

    def test_it_opens_the_poster_too(
        self, video: Attachment, as_owner: APIClient, as_nobody: APIClient
    ) -> None:
        token = self.address(as_owner, video).partition("?")[2]
        response = as_nobody.get(PATHS["thumbnail"].format(video.pk) + "?" + token)

        assert response.status_code == 200
        read(response)

    def test_it_stays_the_same_while_a_page_polls(
        self, video: Attachment, as_owner: APIClient, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(authentication.time, "time", lambda: 1_800_000_000.0)
        first = self.address(as_owner, video)
        monkeypatch.setattr(authentication.time, "time", lambda: 1_800_000_899.0)

        assert self.address(as_owner, video) == first

    def test_it_dies_with_the_participation(
        self, video: Attachment, as_member: APIClient, as_nobody: APIClient, member: User
    ) -> None:
        address = self.address(as_member, video)
        Participant.objects.filter(user=member).update(left_at="2026-01-01T00:00Z")

        assert as_nobody.get(address).status_code == 404

    def test_it_dies_with_the_account(
        self, video: Attachment, as_member: APIClient, as_nobody: APIClient, member: User
    ) -> None:
        address = self.address(as_member, video)
        User.objects.filter(pk=member.pk).update(is_active=False)

        assert as_nobody.get(address).status_code == 401

    def test_it_dies_with_the_password(
        self, video: Attachment, as_member: APIClient, as_nobody: APIClient, member: User
    ) -> None:
        address = self.address(as_member, video)
        assert as_nobody.head(address).status_code == 200
        member.set_password("another one entirely")
        member.save()

        assert as_nobody.get(address).status_code == 401
        assert as_nobody.head(self.address(as_member, video)).status_code == 200

    def test_it_is_for_one_attachment(
        self,
        video: Attachment,
        legacy_video: Any,
        as_member: APIClient,
        as_nobody: APIClient,
    ) -> None:
        token = self.address(as_member, video).partition("?")[2]
        other = PATHS["stream"].format(legacy_video().pk)

        assert as_nobody.get(f"{other}?{token}").status_code == 401

    def test_it_ends(
        self,
        video: Attachment,
        as_member: APIClient,
        as_nobody: APIClient,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        address = self.address(as_member, video)
        later = time.time() + 3700
        monkeypatch.setattr(signing.time, "time", lambda: later)

        response = as_nobody.get(address)

        assert response.status_code == 401
        assert response.json()["code"] == "authentication_failed"

    @pytest.mark.parametrize("token", ["", "x", "1.1:a:b", "1.1.x:a:b", "\x00", "%ff", "1" * 5000])
    def test_forged(self, token: str, video: Attachment, as_nobody: APIClient) -> None:
        response = as_nobody.get(PATHS["stream"].format(video.pk), {"token": token})

        assert response.status_code == 401

    def test_it_opens_nothing_else(
        self, video: Attachment, as_owner: APIClient, as_nobody: APIClient
    ) -> None:
        token = self.address(as_owner, video).partition("?")[2]

        for name in ("metadata", "download"):
            address = PATHS[name].format(video.pk)
            assert as_nobody.get(f"{address}?{token}").status_code == 401

    @pytest.mark.parametrize(
        "start", [b"#EXTM3U\n", b"\xef\xbb\xbf#extm3u\n", b" \n<MPD ", b'<?xml version="1.0"?>']
    )
    def test_a_playlist_is_only_downloaded(
        self, video: Attachment, as_owner: APIClient, start: bytes
    ) -> None:
        """A player would fetch every address that it names."""
        content = start + b"https://example.org/segment.ts\n"
        Path(video.file.path).write_bytes(content)

        for bounds in ("bytes=0-", "bytes=9-"):
            response = as_owner.get(PATHS["stream"].format(video.pk), headers={"range": bounds})
            assert response.status_code == 415
            assert response.json()["code"] == "not_a_video"
        assert not entries("attachment_viewed")
        assert read(as_owner.get(PATHS["download"].format(video.pk))) == content


class TestThumbnail:
    path = PATHS["thumbnail"]

    def test_it_opens(self, video: Attachment, as_owner: APIClient) -> None:
        response = as_owner.get(self.path.format(video.pk))

        assert response.headers["Content-Type"] == "image/jpeg"
        with Image.open(BytesIO(read(response))) as poster:
            assert poster.size == (320, 240)
        assert not entries("attachment_viewed")
        etag = response.headers["ETag"]
        again = as_owner.get(self.path.format(video.pk), headers={"if-none-match": etag})
        assert again.status_code == 304

    def test_legacy_videos_have_none(self, legacy_video: Any, as_owner: APIClient) -> None:
        assert as_owner.get(self.path.format(legacy_video().pk)).status_code == 404


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


class TestList:
    path = "/api/chat/videos/"

    def test_newest_first_in_pages(self, legacy_video: Any, as_owner: APIClient) -> None:
        ids = [legacy_video().pk for _ in range(5)]

        first = as_owner.get(self.path, {"page_size": 2}).json()
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
        self,
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
            return {v["id"] for v in as_owner.get(self.path, query).json()["results"]}

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
        self, legacy_video: Any, as_owner: APIClient
    ) -> None:
        state = Attachment.ProcessingState
        wanted = [legacy_video(processing_state=state.PROCESSING).pk for _ in range(7)]
        legacy_video()
        query = {"state": "processing", "page_size": 3}

        page = as_owner.get(self.path, query).json()
        found = [v["id"] for v in page["results"]]
        while page["next"]:
            legacy_video(processing_state=state.PROCESSING)
            Attachment.objects.filter(pk=found[0]).delete()
            page = as_owner.get(page["next"]).json()
            found += [v["id"] for v in page["results"]]

        assert found == wanted[::-1]

    def test_outsiders_see_nothing(
        self, video: Attachment, as_outsider: APIClient, as_nobody: APIClient
    ) -> None:
        assert as_outsider.get(self.path).json()["results"] == []
        foreign = as_outsider.get(self.path, {"conversation": video.conversation_id})
        assert foreign.status_code == 404
        assert as_nobody.get(self.path).status_code == 401

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
    def test_nonsense(self, query: dict[str, str], status: int, as_member: APIClient) -> None:
        response = as_member.get(self.path, query)

        assert response.status_code == status
        if status == 400:
            assert list(response.json()) == [next(iter(query)).replace("\0", "?")]

    def test_constant_queries(
        self, legacy_video: Any, as_owner: APIClient, django_assert_num_queries: Any
    ) -> None:
        for _ in range(2):
            legacy_video()
            with django_assert_num_queries(4):  # token, one's own, page, renditions
                as_owner.get(self.path)
            for _ in range(5):
                legacy_video()
