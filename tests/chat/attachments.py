"""The addresses of one attachment, and what tests of several of them share."""

from typing import Any

import pytest

from chat.models import ActivityLog

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
