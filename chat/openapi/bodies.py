"""Bodies that no serializer of the views stands for."""

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from chat.api_views import IdField
from chat.serializers_video import MessageCreateSerializer, UploadSerializer


@extend_schema_field(OpenApiTypes.BINARY)
class BytesField(serializers.FileField):
    """A file in a form."""


class UploadFormSerializer(UploadSerializer):
    conversation = IdField(required=False, help_text="Before the file; or in the address.")
    file = BytesField()


class MessageFormSerializer(MessageCreateSerializer):
    files = serializers.ListField(child=BytesField(), required=False)


class TokenSerializer(serializers.Serializer):
    token = serializers.CharField(help_text="Shown this once: it is stored hashed.")
    expiry = serializers.DateTimeField(help_text="Sign in again from then on.")
