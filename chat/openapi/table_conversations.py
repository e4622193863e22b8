"""Conversations, who takes part in them, and their messages."""

from chat.openapi.bodies import MessageFormSerializer
from chat.openapi.errors import codes_with_status
from chat.openapi.examples import CONVERSATION, MESSAGE, PARTICIPANTS, READ_STATE
from chat.openapi.operation import (
    IDEMPOTENCY_ERRORS,
    IDEMPOTENCY_KEY,
    ROOM_ERRORS,
    SAME,
    TAGGED,
    Operation,
    Table,
    answer,
    empty,
    sent,
)
from chat.serializers_chat import (
    ConversationCreateSerializer,
    ConversationEditSerializer,
    ConversationSerializer,
    ParticipantsAddSerializer,
    ParticipantSerializer,
    ReadSerializer,
    ReadStateSerializer,
    RoleSerializer,
)
from chat.serializers_video import (
    MessageCreateSerializer,
    MessageEditSerializer,
    MessageSerializer,
)

CONVERSATIONS: Table = {
    "GET /api/chat/conversations/": Operation(
        name="list_conversations",
        summary="Your conversations",
        description="Newest first; follow `next` until it is null.",
        answers={
            200: answer(ConversationSerializer(many=True), "A page.", CONVERSATION),
            304: SAME,
        },
        parameters=TAGGED,
        errors=("precondition_failed",),
    ),
    "POST /api/chat/conversations/": Operation(
        name="create_conversation",
        summary="Open a conversation",
        description="You own it; the people named become members.",
        request=ConversationCreateSerializer,
        answers={201: answer(ConversationSerializer, "Opened.", CONVERSATION)},
        examples=(sent("Holiday", {"title": "Holiday", "participants": ["ben"]}),),
    ),
    "GET /api/chat/conversations/{conversation_id}/": Operation(
        name="get_conversation",
        summary="One conversation",
        description="Participants see it; for everyone else it does not exist.",
        answers={
            200: answer(ConversationSerializer, "The conversation.", CONVERSATION),
            304: SAME,
        },
        parameters=TAGGED,
        errors=("precondition_failed",),
    ),
    "PATCH /api/chat/conversations/{conversation_id}/": Operation(
        name="rename_conversation",
        summary="Rename a conversation",
        description="Its owner may.",
        request=ConversationEditSerializer,
        answers={200: answer(ConversationSerializer, "Renamed.", CONVERSATION)},
        examples=(sent("Holiday", {"title": "Holiday"}),),
    ),
    "DELETE /api/chat/conversations/{conversation_id}/": Operation(
        name="delete_conversation",
        summary="Delete a conversation",
        description="With all its messages and files; its owner may, and not while moderators "
        "hold one of them.",
        answers={204: empty("Deleted.")},
        errors=("quarantined", "removed", "must_be_kept"),
    ),
    "POST /api/chat/conversations/{conversation_id}/read/": Operation(
        name="mark_read",
        summary="Say how far you have read",
        description="Up to `message`, or to the newest one without it. It only ever moves "
        "forward, so that devices need not agree.",
        request=ReadSerializer,
        answers={200: answer(ReadStateSerializer, "Where you are now.", READ_STATE)},
        examples=(sent("up to a message", {"message": 31}), sent("everything", {})),
    ),
    "GET /api/chat/conversations/{conversation_id}/participants/": Operation(
        name="list_participants",
        summary="Who takes part",
        description="All of them, in the order in which they joined.",
        answers={
            200: answer(ParticipantSerializer(many=True), "People.", PARTICIPANTS[0]),
            304: SAME,
        },
        parameters=TAGGED,
        errors=("precondition_failed",),
    ),
    "POST /api/chat/conversations/{conversation_id}/participants/": Operation(
        name="add_participants",
        summary="Add people",
        description="Its owner may. Who takes part already is left as they are.",
        request=ParticipantsAddSerializer,
        answers={
            201: answer(ParticipantSerializer(many=True), "All who take part.", PARTICIPANTS[0])
        },
        examples=(sent("ben", {"participants": ["ben"]}),),
    ),
    "PATCH /api/chat/conversations/{conversation_id}/participants/{user_id}/": Operation(
        name="change_role",
        summary="Change someone's role",
        description="An owner may; the last owner stays owner.",
        request=RoleSerializer,
        answers={200: answer(ParticipantSerializer, "Changed.", PARTICIPANTS[0])},
        errors=("last_owner",),
        examples=(sent("owner", {"role": "owner"}),),
    ),
    "DELETE /api/chat/conversations/{conversation_id}/participants/{user_id}/": Operation(
        name="remove_participant",
        summary="Remove someone, or leave",
        description="Yourself, or anyone as its owner. When the last owner leaves, who has been "
        "there longest becomes owner.",
        answers={204: empty("Removed.")},
    ),
}

MESSAGES: Table = {
    "GET /api/chat/conversations/{conversation_id}/messages/": Operation(
        name="list_messages",
        summary="The messages of a conversation",
        description="Newest first; follow `next` until it is null.",
        answers={200: answer(MessageSerializer(many=True), "A page.", MESSAGE), 304: SAME},
        parameters=TAGGED,
        errors=("precondition_failed",),
    ),
    "POST /api/chat/conversations/{conversation_id}/messages/": Operation(
        name="send_message",
        summary="Send a message",
        description="Text, files, or both. Files are uploaded before and named by id, or come "
        "along in a form. All or nothing: when one file is refused, no message is sent and no "
        "file is kept.",
        request={
            "application/json": MessageCreateSerializer,
            "multipart/form-data": MessageFormSerializer,
        },
        answers={201: answer(MessageSerializer, "Sent.", MESSAGE)},
        errors=(
            "incomplete_body",
            "too_many_files",
            "unusable_attachments",
            *ROOM_ERRORS,
            *IDEMPOTENCY_ERRORS,
            *codes_with_status(413, 415, 422, 503, 507),
        ),
        examples=(
            sent("text", {"content": "Look at this"}),
            sent("uploaded before", {"content": "Look at this", "attachments": [12, 13]}),
        ),
        parameters=(IDEMPOTENCY_KEY,),
    ),
    "GET /api/chat/messages/{message_id}/": Operation(
        name="get_message",
        summary="One message",
        description="With those of its attachments that you may see.",
        answers={200: answer(MessageSerializer, "The message.", MESSAGE), 304: SAME},
        parameters=TAGGED,
        errors=("precondition_failed",),
    ),
    "PATCH /api/chat/messages/{message_id}/": Operation(
        name="edit_message",
        summary="Edit a message",
        description="Its sender may; sets `edited_at`.",
        request=MessageEditSerializer,
        answers={200: answer(MessageSerializer, "Edited.", MESSAGE)},
        examples=(sent("text", {"content": "Look at that"}),),
    ),
    "DELETE /api/chat/messages/{message_id}/": Operation(
        name="delete_message",
        summary="Delete a message",
        description="Hides it from everyone in the conversation and deletes its files, unless "
        "moderators hold them; its sender and the conversation's owner may.",
        answers={204: empty("Deleted.")},
    ),
}
