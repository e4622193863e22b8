"""A client of resumable uploads (tus 1.0) for the tests, request by request."""

import base64
import io
from typing import Any

import pytest
from rest_framework.test import APIClient

from chat.errors import ChatError
from chat.models import ActivityLog, Conversation, ResumableUpload
from chat.services import resumable
from chat.services.activity import Actor
from chat.services.partial_file import Checksum
from chat.services.uploads import Body

UPLOADS = "/api/chat/uploads/"
PART = "application/offset+octet-stream"


def metadata(**values: object) -> str:
    return ",".join(
        f"{key} {base64.b64encode(str(value).encode()).decode()}" for key, value in values.items()
    )


class Tus:
    """A client of the protocol that checks nothing."""

    def __init__(self, client: APIClient, conversation: Conversation) -> None:
        self.client = client
        self.conversation = conversation
        self.headers = {"Tus-Resumable": "1.0.0"}

    def create(self, size: int, body: bytes | None = None, /, **values: object) -> Any:
        values = {"conversation": self.conversation.pk, "filename": "a.mp4", **values}
        extra = {} if body is None else {"data": body, "content_type": PART}
        headers = {"Upload-Length": str(size), "Upload-Metadata": metadata(**values)}
        return self.client.generic("POST", UPLOADS, headers=self.headers | headers, **extra)

    def begin(self, content: bytes, /, **values: object) -> str:
        response = self.create(len(content), **values)
        assert response.status_code == 201, response.json()
        location: str = response.headers["Location"]
        return location

    def patch(self, location: str, offset: int, part: bytes, **headers: str) -> Any:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.client.generic(
            "PATCH",
            location,
            part,
            content_type=PART,
            headers={**self.headers, "Upload-Offset": str(offset), **named},
        )

    def head(self, location: str) -> Any:
        return self.client.head(location, headers=self.headers)

    def offset(self, location: str) -> int:
        return int(self.head(location).headers["Upload-Offset"])

    def delete(self, location: str) -> Any:
        return self.client.delete(location, headers=self.headers)


def cut_off(part: bytes, announced: int, checksum: Checksum | None = None) -> None:
    """As a request whose connection ends early."""
    upload = ResumableUpload.objects.get()
    body = Body(io.BytesIO(part), announced, upload.size)
    with pytest.raises(ChatError, match="incomplete_body"):
        resumable.append(upload, Actor(user=upload.owner), 0, body, checksum)


def log() -> list[str]:
    return list(ActivityLog.objects.order_by("pk").values_list("action", flat=True))
