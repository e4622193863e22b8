"""Telling whoever runs background work that there is some.  Losing a wake-up costs time only: what
is wanted and not stored is found by queries (``AttachmentQuerySet.needing_renditions``)."""

from collections.abc import Callable
from functools import partial

from django.db import transaction

from chat.models import Attachment

_listeners: list[Callable[[int], None]] = []


def on_ready_video(listener: Callable[[int], None]) -> None:
    """From now on ``listener`` is called with the id of each video that became ready."""
    _listeners.append(listener)


def video_became_ready(attachment: Attachment) -> None:
    """Tell the listeners once the caller's transaction is committed; their errors are logged."""
    for listener in _listeners:
        transaction.on_commit(partial(listener, attachment.pk), robust=True)
