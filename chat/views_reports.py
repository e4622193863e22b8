"""Participants report a video to the moderators."""

from math import isfinite
from typing import Any

from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from chat.api_views import ApiView, SecondsField, TextField
from chat.errors import ChatError
from chat.models import Attachment, Report
from chat.moderated import Reason
from chat.permissions import viewable_attachment
from chat.services import reports

MAX_NOTE_CHARACTERS = 2000
# Players round, and the last picture lies at the end.
TIME_TOLERANCE_SECONDS = 1.0


class ReportSerializer(serializers.ModelSerializer):
    attachment = serializers.IntegerField(source="attachment_id")

    class Meta:
        model = Report
        fields = ["id", "attachment", "reason", "note", "time_seconds", "created_at"]
        read_only_fields = fields


class ReportCreateSerializer(serializers.Serializer):
    """What is wrong with a video, and where in it."""

    # `duration` in its context: of the video, in seconds, None when it is not known.

    reason = serializers.ChoiceField(choices=Reason.choices)
    note = TextField(required=False, allow_blank=True, default="", max_length=MAX_NOTE_CHARACTERS)
    time_seconds = SecondsField(
        required=False,
        allow_null=True,
        default=None,
        min_value=0,
        help_text="In the video; null: all of it.",
    )

    def validate_time_seconds(self, seconds: float | None) -> float | None:
        if seconds is None:
            return None
        duration = self.context.get("duration")
        if not isfinite(seconds):
            raise serializers.ValidationError("A valid number is required.")
        if duration is not None and seconds > duration + TIME_TOLERANCE_SECONDS:
            raise serializers.ValidationError(f"The video ends at {duration:g} seconds.")
        return seconds

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if attrs["reason"] == Reason.OTHER and not attrs["note"]:
            raise serializers.ValidationError({"note": ["Say what is wrong with it."]})
        return attrs


class ReportView(ApiView):
    """One's open report on a video: 201 when it is new, 200 when it was changed."""

    def post(self, request: Request, attachment_id: int) -> Response:
        attachment = viewable_attachment(request, attachment_id)
        if attachment.kind != Attachment.Kind.VIDEO:
            raise ChatError("not_reportable")
        form = ReportCreateSerializer(data=request.data, context={"duration": attachment.duration})
        form.is_valid(raise_exception=True)
        report, is_new = reports.report(attachment, self.actor, **form.validated_data)
        return Response(ReportSerializer(report).data, status=201 if is_new else 200)
