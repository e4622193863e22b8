"""Clients of the API, as signed-in people, and a look at everything that is on the disk."""

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import pytest
from django.contrib.auth.models import User
from django.core.files.base import ContentFile
from django.db import transaction
from knox.models import AuthToken
from rest_framework.test import APIClient

from chat.models import Attachment, Conversation, Message
from chat.rendition import Rendition
from chat.services import resumable
from chat.services.activity import Actor
from chat.services.video_service import VideoProcessingService
from tests.chat.nginx_site import Site, behind_nginx
from tests.chat.tus import Tus
from tests.chat.upload_server import (
    PENDING,
    QUOTA,
    STALL_SECONDS,
    Person,
    Server,
    serving,
)
from tests.clips import clip
from tests.moderation.installation import Installation, installation

T = TypeVar("T")


def signed_in(user: User) -> APIClient:
    """A client that sends the user's token."""
    _record, token = AuthToken.objects.create(user=user)
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Token {token}")
    return client


@pytest.fixture
def as_owner(owner: User) -> APIClient:
    return signed_in(owner)


@pytest.fixture
def as_member(member: User) -> APIClient:
    return signed_in(member)


@pytest.fixture
def as_outsider(outsider: User) -> APIClient:
    return signed_in(outsider)


@pytest.fixture
def as_nobody(db: None) -> APIClient:
    return APIClient()


@pytest.fixture
def stored_files(tmp_path: Path) -> Callable[[], list[str]]:
    """Names of all files in the media and in the place for incoming uploads."""

    def found() -> list[str]:
        return sorted(
            str(path.relative_to(tmp_path))
            for folder in ("media", "incoming")
            for path in (tmp_path / folder).rglob("*")
            if path.is_file()
        )

    return found


@pytest.fixture
def send_video(conversation: Conversation) -> Callable[..., Any]:
    """Posts a file to an upload address; returns the response."""

    def send(client: APIClient, path: Path | None = None, **fields: Any) -> Any:
        address = fields.pop("address", "/api/chat/videos/upload/")
        with (path or clip()).open("rb") as file:
            data = {"conversation": conversation.pk, "file": file, **fields}
            return client.post(address, data, format="multipart")

    return send


@pytest.fixture
def video(as_member: APIClient, send_video: Callable[..., Any]) -> Attachment:
    """A ready video that ``member`` uploaded."""
    response = send_video(as_member)
    assert response.status_code == 201, response.json()
    return Attachment.objects.get(pk=response.json()["id"])


@pytest.fixture
def scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where temporary files go during the test, to see that none is left."""
    folder = tmp_path / "scratch"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


@pytest.fixture
def ids(conversation: Conversation, member: User, video: Attachment) -> dict[str, Any]:
    """Everything that an address can name; the video has all its renditions."""
    message = Message.objects.create(conversation=conversation, sender=member)
    Attachment.objects.filter(pk=video.pk).update(message=message)
    for kind in Rendition.Kind:
        Rendition.objects.create(
            attachment=video,
            kind=kind,
            content_type="video/mp4",
            file=ContentFile(b"bytes", name="x"),
            pipeline_version=1,
        )
    return {
        "attachment_id": video.pk,
        "conversation_id": conversation.pk,
        "message_id": message.pk,
        "user_id": member.pk,
        "upload_id": resumable.create(
            Actor(user=member),
            conversation,
            10,
            name="a",
            content_type="",
            content="",
            only_videos=False,
            metadata="",
        ).pk,
    }


def undone(request: Callable[[], T]) -> T:
    with transaction.atomic():
        answer = request()
        transaction.set_rollback(True)
    return answer


@pytest.fixture
def tus(as_member: APIClient, conversation: Conversation) -> Tus:
    return Tus(as_member, conversation)


@pytest.fixture(scope="session")
def nginx(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """The site behind nginx, for the tests of the group "nginx"."""
    with behind_nginx(tmp_path_factory.mktemp("site")) as site:
        yield site


@pytest.fixture(scope="session")
def upload_site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """Where nobody waits for long and little is allowed."""
    with installation(
        tmp_path_factory.mktemp("uploads") / "data",
        UPLOAD_MAX_BYTES=str(QUOTA),
        USER_QUOTA_BYTES=str(QUOTA),
        UPLOAD_PENDING_MAX_COUNT="15",
        UPLOAD_PENDING_MAX_BYTES=str(PENDING),
        UPLOAD_STALL_SECONDS=str(STALL_SECONDS),
        THROTTLE="0",
    ) as made:
        yield made


@pytest.fixture(scope="session")
def upload_server(upload_site: Installation) -> Iterator[Server]:
    """For the tests of the group "upload server"."""
    with serving(Server(upload_site)) as running:
        yield running


@pytest.fixture(scope="session")
def newcomers(upload_server: Server) -> list[Person]:
    return upload_server.people(*[0] * 16)


@pytest.fixture
def uploader(newcomers: list[Person]) -> Person:
    """Someone new in a conversation of their own."""
    return newcomers.pop()


@pytest.fixture
def content() -> bytes:
    return clip().read_bytes()


@pytest.fixture(params=["libav", "ffmpeg"])
def engine(request: pytest.FixtureRequest, settings: Any) -> str:
    """Either engine, in use."""
    settings.MEDIA_ENGINE = request.param
    return str(request.param)


@pytest.fixture
def ready(legacy_video: Callable[..., Attachment]) -> Callable[..., Attachment]:
    """Stores a clip and makes it ready."""

    def make(path: Path | None = None) -> Attachment:
        attachment = legacy_video(path)
        prepared = VideoProcessingService().process_video_attachment(attachment)
        assert prepared.ok, prepared.error
        return Attachment.objects.get(pk=attachment.pk)

    return make
