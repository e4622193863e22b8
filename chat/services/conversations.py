"""Opening, renaming and deleting conversations; who takes part in them."""

import contextlib
from collections.abc import Iterable, Iterator

from django.contrib.auth.models import AbstractBaseUser
from django.db import transaction
from django.utils import timezone

from chat.errors import ChatError
from chat.models import ActivityLog, Attachment, Conversation, Participant
from chat.services import activity
from chat.services.activity import Actor
from chat.services.attachments import files_deleter, owns

Action = ActivityLog.Action


def create(actor: Actor, title: str, people: Iterable[AbstractBaseUser]) -> Conversation:
    """Open a conversation that the actor owns, with ``people`` as members."""
    with transaction.atomic():
        conversation = Conversation.objects.create(title=title, created_by_id=actor_id(actor))
        Participant.objects.create(
            conversation=conversation, user_id=actor_id(actor), role=Participant.Role.OWNER
        )
        activity.record(Action.CONVERSATION_CREATED, actor, conversation)
        add_people(conversation, actor, people)
    return conversation


def rename(conversation: Conversation, actor: Actor, title: str) -> None:
    """Raises ChatError ``permission_denied`` unless the actor owns the conversation."""
    conversation.title = title
    with changing(conversation, actor):
        conversation.save(update_fields=["title"])
        activity.record(Action.CONVERSATION_CHANGED, actor, conversation)


def delete(conversation: Conversation, actor: Actor) -> None:
    """Delete the conversation with its messages and files.

    Raises:
        ChatError: ``permission_denied`` unless the actor owns it; ``quarantined`` while
            moderators hold back a file in it, ``must_be_kept`` while the bytes of one are kept.
    """
    with changing(conversation, actor):
        attachments = list(conversation.attachments.select_for_update().order_by("id"))
        if any(a.visibility == Attachment.Visibility.QUARANTINED for a in attachments):
            raise ChatError("quarantined")
        if any(a.keeps_its_bytes for a in attachments):
            raise ChatError("must_be_kept")
        activity.record(
            Action.CONVERSATION_DELETED,
            actor,
            conversation,
            details={"attachments": len(attachments)},
        )
        after_commit = files_deleter(attachments)
        conversation.delete()
        transaction.on_commit(after_commit, robust=True)


def add(conversation: Conversation, actor: Actor, people: Iterable[AbstractBaseUser]) -> None:
    """Raises ChatError ``permission_denied`` unless the actor owns the conversation."""
    with changing(conversation, actor):
        add_people(conversation, actor, people)


def add_people(
    conversation: Conversation, actor: Actor, people: Iterable[AbstractBaseUser]
) -> None:
    """Add who does not take part yet; who had left comes back as a member.  What was said before
    is there to read, and does not count as unread."""
    newest = newest_message(conversation)
    for person in people:
        participant, created = Participant.objects.get_or_create(
            conversation=conversation,
            user_id=person.pk,
            defaults={"last_read_message": newest},
        )
        if not created:
            if participant.left_at is None:
                continue
            participant.left_at, participant.joined_at = None, timezone.now()
            participant.role = Participant.Role.MEMBER
            participant.last_read_message = newest
            participant.save(update_fields=["left_at", "joined_at", "role", "last_read_message"])
        activity.record(
            Action.PARTICIPANT_ADDED,
            actor,
            conversation,
            details={"username": person.get_username()},
        )


def remove(participant: Participant, actor: Actor) -> None:
    """End a participation: one's own, or another's as the owner.

    When the last owner leaves, who has been there longest becomes owner.

    Raises:
        ChatError: ``permission_denied``; ``not_found`` when it has ended meanwhile.
    """
    conversation = participant.conversation
    leaving = participant.user_id == actor_id(actor)
    with changing(conversation, actor, as_owner=not leaving):
        ended = conversation.participations.current().filter(pk=participant.pk)
        if not ended.update(left_at=timezone.now()):
            raise ChatError("not_found")
        activity.record(
            Action.PARTICIPANT_REMOVED,
            actor,
            conversation,
            details={"username": participant.user.get_username()},
        )
        rest = conversation.participations.current().order_by("joined_at", "id")
        if rest and not any(p.role == Participant.Role.OWNER for p in rest):
            heir = rest[0]
            heir.role = Participant.Role.OWNER
            heir.save(update_fields=["role"])


def change_role(participant: Participant, actor: Actor, role: str) -> None:
    """Make a participant owner or member.

    Raises:
        ChatError: ``permission_denied`` unless the actor is an owner; ``last_owner``;
            ``not_found`` when the participation has ended meanwhile.
    """
    conversation = participant.conversation
    with changing(conversation, actor):
        current = conversation.participations.current()
        others = current.exclude(pk=participant.pk).filter(role=Participant.Role.OWNER)
        if role != Participant.Role.OWNER and not others.exists():
            raise ChatError("last_owner")
        if not current.filter(pk=participant.pk).update(role=role):
            raise ChatError("not_found")
        participant.role = role
        activity.record(
            Action.PARTICIPANT_CHANGED,
            actor,
            conversation,
            details={"username": participant.user.get_username(), "role": role},
        )


def mark_read(conversation: Conversation, actor: Actor, message_id: int | None) -> None:
    """Set how far the actor has read: up to this message, or all there is.  Never backwards.

    Not in the activity log: it is of no interest to anyone but the reader.
    """
    if message_id is None:
        message_id = newest_message(conversation)
    own = conversation.participations.current().filter(user_id=actor_id(actor))
    own.filter(last_read_message__lt=message_id).update(last_read_message=message_id)


def newest_message(conversation: Conversation) -> int:
    """Its id; 0 when there is none."""
    newest = conversation.messages.order_by("-id").values_list("id", flat=True)
    return newest.first() or 0


@contextlib.contextmanager
def changing(conversation: Conversation, actor: Actor, *, as_owner: bool = True) -> Iterator[None]:
    """A transaction in which nobody else changes the conversation or who takes part in it.

    Raises:
        ChatError: ``not_found`` when it was deleted meanwhile; ``permission_denied`` when the
            actor does not own it.
    """
    with transaction.atomic():
        if not Conversation.objects.select_for_update().filter(pk=conversation.pk).exists():
            raise ChatError("not_found")
        if as_owner and not owns(actor, conversation.pk):
            raise ChatError("permission_denied")
        yield


def actor_id(actor: Actor) -> int:
    if actor.user is None:
        raise ChatError("not_authenticated")
    return int(actor.user.pk)
