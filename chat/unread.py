"""How far one has read a conversation, and what is new in it."""

from typing import Any

from django.db.models import IntegerField, OuterRef, QuerySet, Subquery
from django.db.models.functions import Coalesce

from chat.models import Conversation, Message, Participant, Visitor

# Counting on would cost more than it tells: a client shows "99+".
MAX_COUNTED = 100


class RowCount(Subquery):
    """The number of rows of a subquery, which may be sliced."""

    template = "(SELECT COUNT(*) FROM (%(subquery)s) AS counted)"
    output_field = IntegerField()


def with_news(found: "QuerySet[Conversation]", user: Visitor) -> "QuerySet[Any]":
    """Adds ``last_message_id``, ``last_read_id`` and ``unread_count``: messages of others that
    came after what ``user`` has read, counted up to ``MAX_COUNTED``."""
    there = Message.objects.filter(conversation=OuterRef("pk"), deleted_at=None)
    own = Participant.objects.filter(conversation=OuterRef("pk"), user=user.pk)
    read = Coalesce(Subquery(own.values("last_read_message")[:1]), 0)
    unread = there.filter(pk__gt=OuterRef("last_read_id")).exclude(sender=user.pk)
    return found.annotate(
        last_message_id=Subquery(there.order_by("-pk").values("pk")[:1]),
        last_read_id=read,
        unread_count=RowCount(unread.order_by("-pk").values("pk")[:MAX_COUNTED]),
    )
