"""Access of a request: everything starts from ``visible_to(user)``, so that what an outsider
asks for is not found."""

from typing import TypeVar

from django.db.models import Model, QuerySet
from rest_framework.request import Request

from chat.errors import ChatError
from chat.models import Attachment, Conversation, Message, Participant
from chat.services.attachments import held_back

M = TypeVar("M", bound=Model)


def visible_conversation(request: Request, conversation_id: int) -> Conversation:
    return one(Conversation.objects.visible_to(request.user), conversation_id)


def visible_message(request: Request, message_id: int) -> Message:
    return one(Message.objects.visible_to(request.user), message_id)


def visible_attachment(request: Request, attachment_id: int) -> Attachment:
    """Raises ChatError ``removed`` where moderators removed it: its participants are told."""
    known = Attachment.objects.known_to(request.user).select_related("uploaded_by")
    attachment = one(known.prefetch_related("renditions"), attachment_id)
    if attachment.visibility == Attachment.Visibility.REMOVED:
        raise held_back(attachment, request.user)
    return attachment


def viewable_attachment(request: Request, attachment_id: int) -> Attachment:
    """Whose bytes may be sent: raises ChatError ``quarantined`` while moderators hold it back."""
    attachment = visible_attachment(request, attachment_id)
    if attachment.visibility != Attachment.Visibility.VISIBLE:
        raise held_back(attachment, request.user)
    return attachment


def visible_participant(request: Request, conversation_id: int, user_id: int) -> Participant:
    conversation = visible_conversation(request, conversation_id)
    people = conversation.participations.current().select_related("user", "conversation")
    participant = people.filter(user_id=user_id).first()
    if participant is None:
        raise ChatError("not_found")
    return participant


def one(visible: "QuerySet[M]", pk: int) -> M:
    """The row, or ChatError ``not_found``: missing and forbidden look the same."""
    found = visible.filter(pk=pk).first()
    if found is None:
        raise ChatError("not_found")
    return found
