"""Opening, renaming and deleting conversations; who takes part in them."""

from collections.abc import Iterable

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
    require_owner(conversation, actor)
    conversation.title = title
    with transaction.atomic():
        conversation.save(update_fields=["title"])
        activity.record(Action.CONVERSATION_CHANGED, actor, conversation)


def delete(conversation: Conversation, actor: Actor) -> None:
    """Delete the conversation with its messages and files.

    Raises:
        ChatError: ``permission_denied`` unless the actor owns it; ``quarantined`` while
            moderators hold back a file in it, ``must_be_kept`` while the bytes of one are kept.
    """
    require_owner(conversation, actor)
    with transaction.atomic():
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
    require_owner(conversation, actor)
    with transaction.atomic():
        add_people(conversation, actor, people)


def add_people(
    conversation: Conversation, actor: Actor, people: Iterable[AbstractBaseUser]
) -> None:
    """Add who does not take part yet; who had left comes back as a member."""
    for person in people:
        participant, created = Participant.objects.get_or_create(
            conversation=conversation, user_id=person.pk
        )
        if not created:
            if participant.left_at is None:
                continue
            participant.left_at, participant.joined_at = None, timezone.now()
            participant.role = Participant.Role.MEMBER
            participant.save(update_fields=["left_at", "joined_at", "role"])
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
        ChatError: ``permission_denied``.
    """
    conversation = participant.conversation
    if participant.user_id != actor_id(actor):
        require_owner(conversation, actor)
    with transaction.atomic():
        participant.left_at = timezone.now()
        participant.save(update_fields=["left_at"])
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


def require_owner(conversation: Conversation, actor: Actor) -> None:
    if not owns(actor, conversation.pk):
        raise ChatError("permission_denied")


def actor_id(actor: Actor) -> int:
    if actor.user is None:
        raise ChatError("not_authenticated")
    return int(actor.user.pk)
