"""How much room one has for files, and how much of it is taken."""

from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from chat.api_views import ApiView
from chat.services import attachments, quotas


class UsageSerializer(serializers.Serializer):
    quota_bytes = serializers.IntegerField()
    stored_bytes = serializers.IntegerField()
    pending_bytes = serializers.IntegerField()


class QuotaView(ApiView):
    def get(self, request: Request) -> Response:
        usage = quotas.usage_of(attachments.owner_of(self.actor))
        return Response(UsageSerializer(usage).data)
