"""What narrows the lists of the API down; a name or value that is not known is a field error."""

from datetime import UTC, datetime
from typing import Any

import django_filters
from django import forms
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db.models import Exists, OuterRef
from django_filters.rest_framework import DjangoFilterBackend
from drf_spectacular.utils import extend_schema_field
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request

from chat.api_views import MAX_ID, PAGE_PARAMETERS
from chat.models import (
    Attachment,
    AttachmentQuerySet,
    Conversation,
    Message,
    MessageQuerySet,
)
from chat.permissions import visible_conversation

# What every database takes in every time zone.
FIRST_TIME = datetime(1900, 1, 1, tzinfo=UTC)
LAST_TIME = datetime(9000, 1, 1, tzinfo=UTC)


@extend_schema_field({"type": "integer", "format": "int64", "minimum": 1})
class IdFilter(django_filters.Filter):
    field_class = forms.IntegerField

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, min_value=1, max_value=MAX_ID, **kwargs)


class TimeFilter(django_filters.IsoDateTimeFilter):
    """ISO 8601, in UTC unless it says otherwise."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        limits = [MinValueValidator(FIRST_TIME), MaxValueValidator(LAST_TIME)]
        super().__init__(*args, validators=limits, **kwargs)


class ListFilters(django_filters.FilterSet):
    created_after = TimeFilter(field_name="created_at", lookup_expr="gt")
    created_before = TimeFilter(field_name="created_at", lookup_expr="lt")


class VideoFilters(ListFilters):
    conversation = IdFilter(method="of_conversation")
    state = django_filters.MultipleChoiceFilter(
        field_name="processing_state", choices=Attachment.ProcessingState.choices
    )
    uploaded_by = IdFilter(field_name="uploaded_by_id")

    class Meta:
        model = Attachment
        fields: list[str] = []

    def of_conversation(self, found: AttachmentQuerySet, _name: str, pk: int) -> Any:
        """Raises ChatError ``not_found``: who has left is told so, not shown an empty list."""
        return found.filter(conversation=visible_conversation(self.request, pk))


class MessageFilters(ListFilters):
    sender = IdFilter(field_name="sender_id")
    kind = django_filters.MultipleChoiceFilter(
        choices=Attachment.Kind.choices, method="with_attachment"
    )

    class Meta:
        model = Message
        fields: list[str] = []

    def with_attachment(self, found: MessageQuerySet, _name: str, kinds: list[str]) -> Any:
        """Messages with an attachment of one of these kinds that the reader may see."""
        if not kinds:
            return found
        visible: AttachmentQuerySet = Attachment.objects.visible_to(self.request.user)
        return found.filter(Exists(visible.filter(message=OuterRef("pk"), kind__in=kinds)))


class ConversationFilters(ListFilters):
    unread = django_filters.ChoiceFilter(
        choices=[("true", "true"), ("false", "false")], method="with_unread"
    )

    class Meta:
        model = Conversation
        fields: list[str] = []

    def with_unread(self, found: Any, _name: str, wanted: str) -> Any:
        return (
            found.filter(unread_count__gt=0) if wanted == "true" else found.filter(unread_count=0)
        )


def given(request: Request, name: str) -> list[str]:
    return request.query_params.getlist(name)


class StrictFilters(DjangoFilterBackend):
    """Refuses names that are no filter: a filter that is ignored shows what was not asked for."""

    def filter_queryset(self, request: Request, queryset: Any, view: Any) -> Any:
        known = {*view.filterset_class.base_filters, *PAGE_PARAMETERS}
        unknown = [name for name in request.query_params if name not in known]
        if unknown:
            sentence = f"There is no such filter; there are {', '.join(sorted(known))}."
            raise ValidationError({name.replace("\0", "?"): [sentence] for name in unknown})
        empty = [name for name in view.filterset_class.base_filters if "" in given(request, name)]
        if empty:
            raise ValidationError({name: ["Give a value, or leave it out."] for name in empty})
        return super().filter_queryset(request, queryset, view)
