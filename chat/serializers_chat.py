"""Conversations and participants as JSON, and what a client may send to make them."""

from typing import Any

from django.contrib.auth import get_user_model
from django.contrib.auth.models import AbstractBaseUser
from rest_framework import serializers

from chat.api_views import IdField, TextField
from chat.models import Conversation, Participant
from chat.serializers_video import PersonSerializer

MAX_PEOPLE = 200  # named in one request


class ParticipantSerializer(serializers.ModelSerializer):
    id = serializers.IntegerField(source="user_id")
    username = serializers.CharField(source="user.username")

    class Meta:
        model = Participant
        fields = ["id", "username", "role", "joined_at", "last_read_message"]
        read_only_fields = fields


class ConversationSerializer(serializers.ModelSerializer):
    """A conversation and who takes part in it now."""

    # Needs `participations` prefetched to the current ones, with their users, and `with_news`.
    created_by = PersonSerializer(allow_null=True)
    last_message = serializers.IntegerField(source="last_message_id", allow_null=True)
    unread_count = serializers.IntegerField()
    participants = ParticipantSerializer(source="participations", many=True)

    class Meta:
        model = Conversation
        fields = [
            "id", "title", "created_by", "created_at", "participants", "last_message",
            "unread_count",
        ]  # fmt: skip
        read_only_fields = fields


class UsernamesField(serializers.ListField):
    """Usernames in, accounts out."""

    child = TextField(max_length=150)

    def to_internal_value(self, data: Any) -> list[AbstractBaseUser]:
        names: list[str] = super().to_internal_value(data)
        accounts = get_user_model().objects.filter(username__in=names, is_active=True)
        found = {account.get_username(): account for account in accounts}
        unknown = [name for name in names if name not in found]
        if unknown:
            raise serializers.ValidationError(f"There is no account {', '.join(unknown)}.")
        return list(found.values())


class ConversationCreateSerializer(serializers.Serializer):
    title = TextField(max_length=200, required=False, allow_blank=True, default="")
    participants = UsernamesField(max_length=MAX_PEOPLE, required=False, default=list)


class ConversationEditSerializer(serializers.Serializer):
    title = TextField(max_length=200, allow_blank=True)


class ParticipantsAddSerializer(serializers.Serializer):
    participants = UsernamesField(max_length=MAX_PEOPLE, min_length=1)


class RoleSerializer(serializers.Serializer):
    role = serializers.ChoiceField(choices=Participant.Role.choices)


class ReadSerializer(serializers.Serializer):
    """How far a conversation has been read; all of it without ``message``."""

    message = IdField(required=False)


class ReadStateSerializer(serializers.Serializer):
    last_read_message = serializers.IntegerField(source="last_read_id")
    unread_count = serializers.IntegerField(help_text="up to 100")


class SignInSerializer(serializers.Serializer):
    username = TextField(max_length=150)
    password = TextField(max_length=4096, trim_whitespace=False)
    code = TextField(
        max_length=40,
        required=False,
        help_text="of the second factor, or a recovery code; for accounts that have one",
    )
