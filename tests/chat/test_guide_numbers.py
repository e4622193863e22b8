"""The limits that the guide tells are those of the settings."""

import re

from django.conf import settings

from chat.api_views import NewestFirst
from chat.serializers_chat import MAX_PEOPLE
from chat.serializers_video import MAX_CONTENT_CHARACTERS
from chat.services import resumable
from tests.test_project import ROOT

GUIDE = (ROOT / "docs" / "VIDEO_ATTACHMENT_GUIDE.md").read_text()
GIB = 1024**3


def test_sizes() -> None:
    rows = dict(re.findall(r"^\| ([^|]+) \| ([^|]+) \|$", GUIDE, re.MULTILINE))
    minutes = settings.PREVIEW_MAX_SECONDS // 60
    for name, told in {
        "files of one request, together": f"{settings.UPLOAD_MAX_BYTES // GIB} GiB",
        "files of one message": str(settings.MESSAGE_MAX_FILES),
        "uploads of one person on their way at once": (
            f"{settings.UPLOAD_PENDING_MAX_COUNT}, together "
            f"{settings.UPLOAD_PENDING_MAX_BYTES // GIB} GiB"
        ),
        "a body stands still for": f"{settings.UPLOAD_STALL_SECONDS:g} seconds",
        "a resumable upload is kept after its last byte for": (
            f"{settings.RESUMABLE_UPLOAD_HOURS} hours"
        ),
        "one that was begun and not gone on with is kept for": (
            f"{settings.RESUMABLE_UPLOAD_UNCLAIMED_MINUTES} minutes"
        ),
        "duration": f"{settings.VIDEO_MAX_DURATION_SECONDS // 3600} hours",
        "width × height": f"{settings.VIDEO_MAX_PIXELS // 10**6} million pixels",
        "tracks in a file": str(settings.VIDEO_MAX_STREAMS),
        "a preview is made from": (
            f"{settings.PREVIEW_HEAVY_KBPS:,} kbit/s, {settings.PREVIEW_HEAVY_BYTES // 10**6} MB "
            f"or more than {settings.PREVIEW_HEAVY_PIXELS} pixels on the shorter side"
        ),
        "length of a preview": f"{minutes} minutes",
        "text of a message": f"{MAX_CONTENT_CHARACTERS:,} characters",
        "a request without files": f"{settings.DATA_UPLOAD_MAX_MEMORY_SIZE // 1024**2} MiB",
        "people named in one request": str(MAX_PEOPLE),
    }.items():
        assert rows[name] == told, name
    assert rows["stored files of one person"].startswith(
        f"{settings.USER_QUOTA_BYTES // GIB} GiB;"
    )


def test_numbers_in_sentences() -> None:
    text = " ".join(GUIDE.split())
    page, largest = NewestFirst.page_size, NewestFirst.max_page_size
    days = settings.REST_KNOX["TOKEN_TTL"].days
    for sentence in (
        f"after {days} days unless the operator set `TOKEN_HOURS`",
        f"One account has at most {settings.TOKENS_PER_USER} tokens",
        f"After {settings.AXES_FAILURE_LIMIT} failed attempts at one account from one address",
        f"for {settings.AXES_COOLOFF_TIME.seconds // 60} minutes: 429 `locked_out`",
        f"`page_size` is {page} unless you ask for another, up to {largest}",
        f"gets no bytes for {settings.RESUMABLE_UPLOAD_HOURS} hours expires",
        f"expires after {settings.RESUMABLE_UPLOAD_UNCLAIMED_MINUTES} minutes",
        f"(After {resumable.UNANNOUNCED.seconds // 60}, if the server died",
        f"sends nothing for {settings.UPLOAD_STALL_SECONDS:g} seconds counts as interrupted",
        f"JPEG, at most {settings.POSTER_MAX_WIDTH_PIXELS} × {settings.POSTER_MAX_HEIGHT_PIXELS}",
    ):
        assert sentence in text, sentence
