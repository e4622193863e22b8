"""Shared by the tests of pages: what every list must do, and rows to show."""

from collections.abc import Callable
from typing import Any

from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from chat.models import Attachment, Conversation

HTMX = {"HX-Request": "true"}
BACK = {**HTMX, "HX-History-Restore-Request": "true"}
# Of a row that has a poster, shown or blurred: what a list needs for it is counted too.
PICTURE = {"thumbnail": "posters/none.jpg", "placeholder": "1QcSHQRnh493V4dIh4eXh1h4kJUI"}


def signed_in(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


def video(conversation: Conversation, **fields: Any) -> Attachment:
    """A row as processing leaves it, without a file behind it: the lists read rows alone."""
    return Attachment.objects.create(
        **{
            "conversation": conversation,
            "uploaded_by": conversation.created_by,
            "file": "attachments/none",
            "original_name": "clip.mp4",
            "size": 12_345_678,
            "kind": Attachment.Kind.VIDEO,
            "content_type": "video/mp4",
            "duration": 83.4,
            "width": 1280,
            "height": 720,
            "codec": "h264",
            "container": "mp4",
            "processing_state": Attachment.ProcessingState.READY,
            **fields,
        }
    )


def names(response: Any) -> list[str]:
    """Names of the videos a list shows, in order."""
    return [row.record.original_name for row in response.context["table"].paginated_rows]


def count_queries(client: Client, url: str) -> int:
    with CaptureQueriesContext(connection) as queries:
        assert client.get(url).status_code == 200
    return len(queries)


def assert_is_a_list(url: str, viewer: User, outsider: User, add_rows: Callable[[], None]) -> None:
    """Page, fragment and history restore; who may see it; queries that rows do not multiply."""
    client = signed_in(viewer)

    page = client.get(url)
    assert b"<html" in page.content
    assert b'id="results"' in page.content

    fragment = client.get(url, headers=HTMX)
    assert b"<html" not in fragment.content
    assert b'id="results"' in fragment.content

    restored = client.get(url, headers=BACK)
    assert b"<html" in restored.content

    for response in (page, fragment, restored):
        assert "HX-Request" in response.headers["Vary"]
        assert "HX-History-Restore-Request" in response.headers["Vary"]
        assert "private" in response.headers["Cache-Control"]

    for query in ("?page=0", "?page=999999", "?page=x", "?per_page=7", "?sort=password"):
        assert client.get(url + query).status_code == 200

    assert client.post(url).status_code == 405

    add_rows()
    few = count_queries(client, url)
    for _ in range(49):
        add_rows()
    many = count_queries(client, url)
    assert many == few <= 12

    assert_guarded(url, outsider)


def assert_guarded(url: str, outsider: User, method: str = "get") -> None:
    """Anonymous people are sent to sign in; people without the right get the designed 403."""
    for headers in ({}, BACK):
        anonymous = getattr(Client(), method)(url, headers=headers)
        assert anonymous.status_code == 302
        assert anonymous.headers["Location"].startswith("/moderation/sign-in/?next=")

    anonymous = getattr(Client(), method)(url, headers=HTMX)
    assert (anonymous.status_code, anonymous.content) == (401, b"")

    for headers in ({}, HTMX):
        refused = getattr(signed_in(outsider), method)(url, headers=headers)
        assert refused.status_code == 403
        assert "You may not open this page" in refused.content.decode()
