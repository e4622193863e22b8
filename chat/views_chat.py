"""Conversations, who takes part in them, and their messages."""

from collections.abc import Callable

from django.conf import settings
from django.db.models import Prefetch, QuerySet
from rest_framework.exceptions import ValidationError
from rest_framework.generics import ListAPIView
from rest_framework.request import Request
from rest_framework.response import Response

from chat.api_views import ApiView, NewestFirst
from chat.filters import ConversationFilters, MessageFilters, StrictFilters
from chat.models import Attachment, Conversation, Message, Participant
from chat.permissions import visible_conversation, visible_message, visible_participant
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
from chat.services import conversations, messages
from chat.services.idempotency import payload_sha256
from chat.services.uploads import ReceivedFile
from chat.unread import with_news
from chat.views_video import ReceivingView


def with_people(found: "QuerySet[Conversation]") -> "QuerySet[Conversation]":
    people = Participant.objects.current().select_related("user").order_by("joined_at", "id")
    return found.select_related("created_by").prefetch_related(
        Prefetch("participations", queryset=people)
    )


def with_attachments(found: "QuerySet[Message]", request: Request) -> "QuerySet[Message]":
    visible = Attachment.objects.visible_to(request.user)
    files = visible.select_related("uploaded_by").prefetch_related("renditions")
    return found.select_related("sender").prefetch_related(
        Prefetch("attachments", queryset=files.order_by("id"))
    )


class ConversationListView(ApiView, ListAPIView):
    serializer_class = ConversationSerializer
    pagination_class = NewestFirst
    filter_backends = [StrictFilters]
    filterset_class = ConversationFilters

    def get_queryset(self) -> "QuerySet[Conversation]":
        user = self.request.user
        return with_people(with_news(Conversation.objects.visible_to(user), user))

    def post(self, request: Request) -> Response:
        form = ConversationCreateSerializer(data=request.data)
        form.is_valid(raise_exception=True)
        created = conversations.create(
            self.actor, form.validated_data["title"], form.validated_data["participants"]
        )
        return Response(conversation_body(created, request), status=201)


class ConversationView(ApiView):
    def get(self, request: Request, conversation_id: int) -> Response:
        return Response(conversation_body(visible_conversation(request, conversation_id), request))

    def patch(self, request: Request, conversation_id: int) -> Response:
        conversation = visible_conversation(request, conversation_id)
        form = ConversationEditSerializer(data=request.data)
        form.is_valid(raise_exception=True)
        conversations.rename(conversation, self.actor, form.validated_data["title"])
        return Response(conversation_body(conversation, request))

    def delete(self, request: Request, conversation_id: int) -> Response:
        conversations.delete(visible_conversation(request, conversation_id), self.actor)
        return Response(status=204)


class ParticipantListView(ApiView):
    def get(self, request: Request, conversation_id: int) -> Response:
        return Response(people_body(visible_conversation(request, conversation_id)))

    def post(self, request: Request, conversation_id: int) -> Response:
        conversation = visible_conversation(request, conversation_id)
        form = ParticipantsAddSerializer(data=request.data)
        form.is_valid(raise_exception=True)
        conversations.add(conversation, self.actor, form.validated_data["participants"])
        return Response(people_body(conversation), status=201)


class ConversationReadView(ApiView):
    def post(self, request: Request, conversation_id: int) -> Response:
        """Move the reader's marker forward; never back, so that devices need not agree."""
        conversation = visible_conversation(request, conversation_id)
        form = ReadSerializer(data=request.data)
        form.is_valid(raise_exception=True)
        message_id = form.validated_data.get("message")
        if message_id and not conversation.messages.filter(pk=message_id).exists():
            raise ValidationError({"message": ["There is no such message in this conversation."]})
        conversations.mark_read(conversation, self.actor, message_id)
        row = Conversation.objects.filter(pk=conversation.pk)
        return Response(ReadStateSerializer(with_news(row, request.user).get()).data)


class ParticipantView(ApiView):
    def patch(self, request: Request, conversation_id: int, user_id: int) -> Response:
        participant = visible_participant(request, conversation_id, user_id)
        form = RoleSerializer(data=request.data)
        form.is_valid(raise_exception=True)
        conversations.change_role(participant, self.actor, form.validated_data["role"])
        return Response(ParticipantSerializer(participant).data)

    def delete(self, request: Request, conversation_id: int, user_id: int) -> Response:
        participant = visible_participant(request, conversation_id, user_id)
        conversations.remove(participant, self.actor)
        return Response(status=204)


class MessageListView(ReceivingView, ListAPIView):
    """The messages of a conversation; a new one as JSON, or as a form with ``files``."""

    queryset = Message.objects.none()  # for the schema, which knows no conversation
    serializer_class = MessageSerializer
    pagination_class = NewestFirst
    filter_backends = [StrictFilters]
    filterset_class = MessageFilters
    file_field = "files"
    max_files = settings.MESSAGE_MAX_FILES

    def get_queryset(self) -> "QuerySet[Message]":
        conversation = visible_conversation(self.request, self.kwargs["conversation_id"])
        visible = Message.objects.visible_to(self.request.user)
        return with_attachments(visible.filter(conversation=conversation), self.request)

    def post(self, request: Request, conversation_id: int) -> Response:
        self.conversation = visible_conversation(request, conversation_id)
        if request.content_type.startswith("multipart/form-data"):
            with self.receiving(request) as arrival:
                message_id = arrival.made_before()
                if message_id is None:
                    files = arrival.received.files.get(self.file_field, [])
                    message_id = self.send(arrival.received.fields, files, arrival.keep)
        else:
            with self.claiming(request) as claim:
                sent = payload_sha256(request.get_full_path(), request.data)
                message_id = claim.made_before(sent)
                if message_id is None:
                    message_id = self.send(request.data, [], claim.fulfil)
        return Response(message_body(visible_message(request, message_id), request), status=201)

    def send(
        self, data: object, files: list[ReceivedFile], also: Callable[[Message], None]
    ) -> int:
        form = MessageCreateSerializer(data=data, context={"files": files})
        form.is_valid(raise_exception=True)
        sent: Message = form.save(conversation=self.conversation, actor=self.actor, also=also)
        return sent.pk


class MessageView(ApiView):
    def get(self, request: Request, message_id: int) -> Response:
        return Response(message_body(visible_message(request, message_id), request))

    def patch(self, request: Request, message_id: int) -> Response:
        message = visible_message(request, message_id)
        form = MessageEditSerializer(data=request.data)
        form.is_valid(raise_exception=True)
        messages.edit(message, self.actor, form.validated_data["content"])
        return Response(message_body(message, request))

    def delete(self, request: Request, message_id: int) -> Response:
        messages.delete(visible_message(request, message_id), self.actor)
        return Response(status=204)


def conversation_body(conversation: Conversation, request: Request) -> object:
    row = Conversation.objects.filter(pk=conversation.pk)
    found = with_people(with_news(row, request.user)).get()
    return ConversationSerializer(found).data


def people_body(conversation: Conversation) -> object:
    people = conversation.participations.current().select_related("user")
    return ParticipantSerializer(people.order_by("joined_at", "id"), many=True).data


def message_body(message: Message, request: Request) -> object:
    found = with_attachments(Message.objects.filter(pk=message.pk), request).get()
    return MessageSerializer(found, context={"request": request}).data
