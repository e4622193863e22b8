"""Attachments and messages as JSON, and what a client may send to make them."""

import hashlib
from typing import Any

from django.conf import settings
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.reverse import reverse

from chat.api_views import IdField, TextField
from chat.authentication import address_token
from chat.errors import ChatError
from chat.http_range import INLINE_TYPES
from chat.models import Attachment, Conversation, Message
from chat.rendition import Rendition
from chat.services import messages
from chat.services.activity import Actor

MAX_CONTENT_CHARACTERS = 20_000


class PersonSerializer(serializers.Serializer):
    id = serializers.IntegerField()
    username = serializers.CharField()


class AttachmentSerializer(serializers.ModelSerializer):
    """A file and what is known of it, for the person who asks.

    While a moderator holds a video back its metadata stay visible and every address is null.
    """

    # Needs `request` in its context: addresses are signed for who asks.
    conversation = serializers.IntegerField(source="conversation_id")
    message = serializers.IntegerField(source="message_id", allow_null=True)
    uploaded_by = PersonSerializer(allow_null=True)
    video_dimensions = serializers.ListField(
        child=serializers.IntegerField(), min_length=2, max_length=2, allow_null=True
    )
    processing_state = serializers.SerializerMethodField()
    thumbnail_url = serializers.SerializerMethodField()
    # Made in the background after the upload; null until then.
    storyboard_url = serializers.SerializerMethodField()
    preview_url = serializers.SerializerMethodField()
    download_url = serializers.SerializerMethodField()
    stream_url = serializers.SerializerMethodField()

    class Meta:
        model = Attachment
        fields = [
            "id", "conversation", "message", "uploaded_by", "original_name", "kind",
            "content_type", "size", "duration", "duration_formatted", "width", "height",
            "video_dimensions", "bitrate", "codec", "audio_codec", "container", "frame_rate",
            "rotation", "processing_state", "failure_code", "visibility", "thumbnail_url",
            "placeholder", "storyboard_url", "preview_url", "download_url", "stream_url",
            "created_at",
        ]  # fmt: skip
        read_only_fields = fields

    @extend_schema_field(
        serializers.ChoiceField(Attachment.ProcessingState.choices, allow_null=True)
    )
    def get_processing_state(self, attachment: Attachment) -> str | None:
        """Null for what is not a video: there is nothing to process."""
        return attachment.processing_state if attachment.kind == Attachment.Kind.VIDEO else None

    def get_thumbnail_url(self, attachment: Attachment) -> str | None:
        return self._address("thumbnail", attachment) if attachment.thumbnail else None

    def get_download_url(self, attachment: Attachment) -> str | None:
        return self._address("download", attachment)

    def get_stream_url(self, attachment: Attachment) -> str | None:
        """For ``<video>`` and ``<img>``; null for what a browser is not to show in place."""
        url = self._address("stream", attachment)
        if url is None or attachment.content_type not in INLINE_TYPES:
            return None
        return f"{url}?token={address_token(self.context['request'].user, attachment.pk)}"

    def get_storyboard_url(self, attachment: Attachment) -> str | None:
        return self._rendition_address("storyboard", Rendition.Kind.STORYBOARD, attachment)

    def get_preview_url(self, attachment: Attachment) -> str | None:
        return self._rendition_address("preview", Rendition.Kind.PREVIEW, attachment)

    def _rendition_address(self, view: str, kind: str, attachment: Attachment) -> str | None:
        return self._address(view, attachment) if attachment.stored_rendition(kind) else None

    def _address(self, view: str, attachment: Attachment) -> str | None:
        if attachment.visibility != Attachment.Visibility.VISIBLE:
            return None
        request = self.context["request"]
        return reverse(f"chat:{view}", args=[attachment.pk], request=request)


class UploadSerializer(serializers.Serializer):
    """The form fields beside the file of an upload."""

    conversation = IdField()
    content = TextField(required=False, allow_blank=True, max_length=MAX_CONTENT_CHARACTERS)


class ResumableUploadSerializer(UploadSerializer):
    """The metadata of a resumable upload."""

    filename = serializers.CharField(required=False, allow_blank=True, trim_whitespace=False)
    filetype = serializers.CharField(required=False, allow_blank=True)
    kind = serializers.ChoiceField(choices=["any", "video"], required=False)


def attachment_tag(attachment: Attachment, request: Request) -> str:
    """A weak ETag of what ``AttachmentSerializer`` would say to who asks, without asking it."""
    said = [getattr(attachment, field.attname) for field in attachment._meta.concrete_fields]
    said += [attachment.uploaded_by and attachment.uploaded_by.get_username()]
    said += [(each.kind, each.file.name) for each in attachment.renditions.all()]
    said += [
        address_token(request.user, attachment.pk),  # type: ignore[arg-type]
        request.build_absolute_uri("/"),
    ]
    return f'W/"{hashlib.sha256(repr(said).encode()).hexdigest()[:32]}"'


class MessageSerializer(serializers.ModelSerializer):
    """A message with those of its attachments that its reader may see."""

    conversation = serializers.IntegerField(source="conversation_id")
    sender = PersonSerializer(allow_null=True)
    attachments = AttachmentSerializer(many=True)

    class Meta:
        model = Message
        fields = [
            "id", "conversation", "sender", "content", "attachments", "created_at", "edited_at",
        ]  # fmt: skip
        read_only_fields = fields


class MessageCreateSerializer(serializers.Serializer):
    """A new message: text, files uploaded before (ids), and files that come with it; all of it or
    nothing is kept."""

    # `save(conversation=…, actor=…, also=…)` takes each of the files in `context["files"]` down
    # the video road if it is a video by its content.

    content = TextField(
        required=False, allow_blank=True, default="", max_length=MAX_CONTENT_CHARACTERS
    )
    attachments = serializers.ListField(
        child=IdField(), required=False, default=list, max_length=settings.MESSAGE_MAX_FILES
    )

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        files = self.context.get("files", ())
        if len(set(attrs["attachments"])) + len(files) > settings.MESSAGE_MAX_FILES:
            raise ChatError("too_many_files")
        if not (attrs["content"] or attrs["attachments"] or files):
            raise serializers.ValidationError(
                {"content": ["A message needs text or an attachment."]}
            )
        return attrs

    def create(self, validated_data: dict[str, Any]) -> Message:
        conversation: Conversation = validated_data["conversation"]
        actor: Actor = validated_data["actor"]
        return messages.send(
            conversation,
            actor,
            validated_data["content"],
            attachment_ids=validated_data["attachments"],
            files=self.context.get("files", ()),
            also=validated_data["also"],
        )


class MessageEditSerializer(serializers.Serializer):
    content = TextField(max_length=MAX_CONTENT_CHARACTERS)
