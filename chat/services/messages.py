"""Sending, editing and deleting messages."""

import contextlib
from collections.abc import Callable, Iterator, Sequence

from django.db import transaction
from django.utils import timezone

from chat.errors import ChatError
from chat.models import ActivityLog, Attachment, Conversation, Message
from chat.services import activity
from chat.services.activity import Actor
from chat.services.attachments import (
    delete_rows,
    hold,
    nothing_else,
    owns,
    require_participant,
    save,
    stored,
    upload,
)
from chat.services.uploads import ReceivedFile

Action = ActivityLog.Action


def send(
    conversation: Conversation,
    actor: Actor,
    content: str,
    *,
    attachment_ids: Sequence[int] = (),
    files: Sequence[ReceivedFile] = (),
    only_videos: bool = False,
    also: Callable[[Message], None] = nothing_else,
) -> Message:
    """Send a message with files uploaded before and files that come with it: all or nothing, and
    what ``also`` does in the transaction.

    Raises:
        VideoError: the first file's that is refused.
        ChatError: ``unusable_attachments``; ``not_found`` when the sender left meanwhile.
    """
    with (
        stored(files, conversation, actor, only_videos=only_videos) as attachments,
        transaction.atomic(),
    ):
        require_participant(conversation, actor)
        message = Message.objects.create(
            conversation=conversation, sender=actor.user, content=content
        )
        adopt(message, attachment_ids)
        for attachment in attachments:
            save(attachment, actor, message)
        activity.record(
            Action.MESSAGE_SENT,
            actor,
            message,
            details={"attachments": len(attachment_ids) + len(files)},
        )
        also(message)
    return message


def keep_file(
    file: ReceivedFile,
    conversation: Conversation,
    actor: Actor,
    content: str,
    *,
    only_videos: bool,
    also: Callable[[Attachment], None] = nothing_else,
) -> Attachment:
    """Keep one file: alone, or as part of a message when there is text with it.

    Raises:
        VideoError, ChatError: as ``attachments.upload``.
    """
    if not content:
        return upload(file, conversation, actor, only_videos=only_videos, also=also)
    message = send(
        conversation,
        actor,
        content,
        files=[file],
        only_videos=only_videos,
        also=lambda message: also(message.attachments.get()),
    )
    return message.attachments.select_related("uploaded_by").get()


def adopt(message: Message, attachment_ids: Sequence[int]) -> None:
    """Make the sender's own loose uploads in this conversation part of the message; quarantined
    ones too, which appear in it once they are restored.

    The condition is in the UPDATE: of two messages that name the same upload, one gets it.
    """
    wanted = set(attachment_ids)
    adopted = Attachment.objects.filter(
        pk__in=wanted,
        conversation=message.conversation,
        uploaded_by=message.sender,
        message=None,
        visibility__in=[Attachment.Visibility.VISIBLE, Attachment.Visibility.QUARANTINED],
    ).update(message=message)
    if adopted != len(wanted):
        raise ChatError("unusable_attachments")


def edit(message: Message, actor: Actor, content: str) -> None:
    """Change the text; its sender's right alone.

    Raises:
        ChatError: ``permission_denied``, or ``not_found`` when it was deleted meanwhile.
    """
    if message.sender_id != (actor.user and actor.user.pk):
        raise ChatError("permission_denied")
    message.content, message.edited_at = content, timezone.now()
    with changing(message):
        message.save(update_fields=["content", "edited_at"])
        activity.record(Action.MESSAGE_EDITED, actor, message)


def delete(message: Message, actor: Actor) -> None:
    """Hide the message from everybody in the conversation and delete its files; its sender and
    the conversation's owner may.  Files that moderators hold or have removed are only hidden.

    Raises:
        ChatError: ``permission_denied``, or ``not_found`` when it was deleted meanwhile.
    """
    if message.sender_id != (actor.user and actor.user.pk) and not owns(
        actor, message.conversation_id
    ):
        raise ChatError("permission_denied")
    message.deleted_at = timezone.now()
    with changing(message):
        message.save(update_fields=["deleted_at"])
        activity.record(Action.MESSAGE_DELETED, actor, message)
        files = message.attachments.select_for_update().order_by("id")
        delete_rows(files.filter(visibility=Attachment.Visibility.VISIBLE, on_hold=False), actor)


@contextlib.contextmanager
def changing(message: Message) -> Iterator[None]:
    """A transaction in which the message is locked and not yet deleted."""
    with transaction.atomic():
        hold(message.conversation_id)
        row = Message.objects.select_for_update().filter(pk=message.pk, deleted_at=None)
        if not row.exists():
            raise ChatError("not_found")
        yield
