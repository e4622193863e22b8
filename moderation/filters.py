"""What the lists can be narrowed by: names in the URL, fields behind them, words on the chips."""

from datetime import UTC, datetime, time, timedelta
from typing import Any

import django_filters as filters
from django import forms
from django.db.models import Q, QuerySet

from chat.models import Attachment, Conversation
from moderation.form_fields import ClockField
from moderation.words import codec_words, duration_words

Choices = list[tuple[str, str]]


class RangeForm(forms.Form):
    """Checks that the lower end of each range is not above the upper."""

    RANGES = (
        ("duration_min", "duration_max", "The shortest length is longer than the longest."),
        ("date_from", "date_to", "The first day is after the last."),
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name, field in self.fields.items():
            field.widget.attrs["aria-describedby"] = f"id_{name}_error"
            select = isinstance(field.widget, forms.Select)
            field.widget.attrs["class"] = "form-select" if select else "form-control"

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        for low, high, sentence in self.RANGES:
            start, end = cleaned.get(low), cleaned.get(high)
            if start is not None and end is not None and start > end:
                self.add_error(high, sentence)
        return cleaned


class ClockFilter(filters.Filter):
    field_class = ClockField


class ListFilter(filters.FilterSet):
    """A filter set that can say in words what it does.

    Values that are not valid are left out of the query and shown with an error at their field.
    """

    # Filter name → sentence with the value in it.
    WORDS: dict[str, str] = {}

    @property
    def chips(self) -> list[tuple[str, str]]:
        """(name, words) of every filter in force."""
        self.form.is_valid()
        cleaned = self.form.cleaned_data
        return [
            (name, self.WORDS[name].format(self.value_words(name, cleaned[name])))
            for name in self.WORDS
            if cleaned.get(name) not in (None, "")
        ]

    def value_words(self, name: str, value: Any) -> str:
        choices = dict(getattr(self.form.fields[name], "choices", ()))
        return str(choices.get(value, value))

    @property
    def narrowed(self) -> bool:
        """Whether anything was asked for, the wrong values included."""
        return bool(self.chips or self.errors)


def day_start(day: Any) -> datetime:
    return datetime.combine(day, time.min, tzinfo=UTC)


class DayRange(ListFilter):
    """Of lists with ``created_at``: whole days in UTC, as index ranges."""

    date_from = filters.DateFilter(
        label="From",
        method="since",
        widget=forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d"),
    )
    date_to = filters.DateFilter(
        label="To",
        method="until",
        widget=forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d"),
    )

    def since(self, queryset: QuerySet[Any], _name: str, day: Any) -> QuerySet[Any]:
        return queryset.filter(created_at__gte=day_start(day))

    def until(self, queryset: QuerySet[Any], _name: str, day: Any) -> QuerySet[Any]:
        # date.max has no day after it.
        end = day_start(day) + timedelta(days=1) if day.year < 9999 else None
        return queryset.filter(created_at__lt=end) if end else queryset


def clock_input() -> forms.TextInput:
    return forms.TextInput(attrs={"placeholder": "1:30 or 5 min", "autocomplete": "off"})


def codec_choices() -> Choices:
    codecs = Attachment.objects.videos().exclude(codec="").order_by("codec")
    return [
        (codec, codec_words(codec)) for codec in codecs.values_list("codec", flat=True).distinct()
    ]


class VideoFilter(DayRange):
    q = filters.CharFilter(label="Search", method="search", max_length=200)
    codec = filters.ChoiceFilter(label="Codec", choices=(), empty_label="Any codec")
    state = filters.ChoiceFilter(
        label="State",
        field_name="processing_state",
        choices=[
            ("ready", "Ready"),
            ("failed", "Failed"),
            ("pending", "Not processed"),
            ("processing", "Processing"),
        ],
        empty_label="Any state",
    )
    duration_min = ClockFilter(
        label="At least", field_name="duration", lookup_expr="gte", widget=clock_input()
    )
    duration_max = ClockFilter(
        label="At most", field_name="duration", lookup_expr="lte", widget=clock_input()
    )
    conversation = filters.CharFilter(
        label="Conversation",
        method="in_conversation",
        max_length=200,
        widget=forms.TextInput(attrs={"list": "conversations", "placeholder": "Title or #number"}),
    )
    uploader = filters.CharFilter(
        label="Uploader",
        field_name="uploaded_by__username",
        lookup_expr="iexact",
        max_length=150,
        widget=forms.TextInput(attrs={"list": "uploaders", "placeholder": "User name"}),
    )

    WORDS = {
        "q": "matches “{}”",
        "state": "state is {}",
        "codec": "codec is {}",
        "duration_min": "{} or longer",
        "duration_max": "{} or shorter",
        "conversation": "in {}",
        "uploader": "uploaded by {}",
        "date_from": "since {}",
        "date_to": "until {}",
    }

    class Meta:
        model = Attachment
        fields: list[str] = []
        form = RangeForm

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # Read once: a callable would be asked again for each validation and rendering.
        self.filters["codec"].extra["choices"] = codec_choices()

    def search(self, queryset: QuerySet[Any], _name: str, text: str) -> QuerySet[Any]:
        return queryset.filter(
            Q(original_name__icontains=text)
            | Q(conversation__title__icontains=text)
            | Q(uploaded_by__username__icontains=text)
        )

    def in_conversation(self, queryset: QuerySet[Any], _name: str, text: str) -> QuerySet[Any]:
        """``#12`` is the conversation's number, everything else a part of its title."""
        if (number := conversation_number(text)) is not None:
            return queryset.filter(conversation_id=number)
        return queryset.filter(conversation__title__icontains=text)

    def value_words(self, name: str, value: Any) -> str:
        if name in ("duration_min", "duration_max"):
            return duration_words(value)
        if name == "conversation":
            number = conversation_number(value)
            if number is None:
                return f"conversations like “{value}”"
            conversation = Conversation.objects.filter(pk=number).first()
            return f"“{conversation}”" if conversation else f"conversation {value}"
        return super().value_words(name, value)


def conversation_number(text: str) -> int | None:
    digits = text.removeprefix("#")
    known = text.startswith("#") and digits.isascii() and digits.isdigit() and len(digits) < 18
    return int(digits) if known else None
