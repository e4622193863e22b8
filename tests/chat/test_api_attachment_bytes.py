"""The bytes of attachments: to save, to watch in place, the poster."""

import time
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core import signing
from PIL import Image
from rest_framework.test import APIClient

from chat import authentication
from chat.models import Attachment, Participant
from tests.chat.attachments import BYTES, PATHS, entries, read
from tests.clips import clip


@BYTES
def test_quarantined(path: str, video: Attachment, as_member: APIClient) -> None:
    Attachment.objects.update(visibility=Attachment.Visibility.QUARANTINED)

    response = as_member.get(path.format(video.pk))

    assert response.status_code == 451
    assert response.json()["code"] == "quarantined"
    assert not entries("attachment_viewed") + entries("attachment_downloaded")


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
