"""What the list of videos can be narrowed by."""

from collections.abc import Callable
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any

import django_filters as filters
from django import forms
from django.contrib.auth.models import User
from django.db.models import F, OuterRef, Q, QuerySet, Subquery
from django.db.models.functions import Coalesce, Length
from django.db.models.lookups import Exact, GreaterThan, IsNull, LessThan
from django.utils import timezone

from chat.errors import OUTCOMES
from chat.index_scan import tested
from chat.models import Attachment, Conversation
from chat.rendition import Rendition
from chat.report import ReportCase
from chat.video_text import MIN_CHARACTERS, Holds, VideoText
from moderation.exact_search import exactly, number_in
from moderation.filters import Choices, DayRange, RangeForm, day_end, day_start
from moderation.values_in_use import values_in_use
from moderation.video_inputs import kbps, length, pixels, size, text_input
from moderation.words import codec_words, container_words, duration_words, size_words

Rows = QuerySet[Any]
YES_NO = [("yes", "Yes"), ("no", "No")]
NO_SOUND = "none"
SPANS = {
    "24h": (timedelta(hours=24), "Last 24 hours"),
    "7d": (timedelta(days=7), "Last 7 days"),
    "30d": (timedelta(days=30), "Last 30 days"),
    "90d": (timedelta(days=90), "Last 90 days"),
    "365d": (timedelta(days=365), "Last year"),
}
SHAPES = [("landscape", "Landscape"), ("portrait", "Portrait"), ("square", "Square")]


class VideoFilter(DayRange):
    """Each filter is a condition on a row; ``moderation.video_listing`` finds the rows."""

    q = filters.CharFilter(label="Search", method="by_condition", max_length=200)
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
    failure = filters.ChoiceFilter(
        label="Failure",
        field_name="failure_code",
        choices=[(code, code.replace("_", " ").capitalize()) for code in sorted(OUTCOMES)],
        empty_label="Any failure",
    )
    visibility = filters.ChoiceFilter(
        label="Visibility",
        choices=[(value, label.capitalize()) for value, label in Attachment.Visibility.choices],
        empty_label="Any",
    )
    codec = filters.ChoiceFilter(label="Codec", choices=(), empty_label="Any codec")
    audio = filters.ChoiceFilter(
        label="Sound", method="by_condition", choices=(), empty_label="Any sound"
    )
    container = filters.ChoiceFilter(label="Container", choices=(), empty_label="Any container")
    orientation = filters.ChoiceFilter(
        label="Shape", method="by_condition", choices=SHAPES, empty_label="Any shape"
    )
    duration_min = length("Length from", "gte")
    duration_max = length("Length to", "lte")
    size_min = size("Size from", "gte", "5 MB")
    size_max = size("Size to", "lte", "1.5 GB")
    width_min = pixels("Width from", "width", "gte")
    width_max = pixels("Width to", "width", "lte")
    height_min = pixels("Height from", "height", "gte")
    height_max = pixels("Height to", "height", "lte")
    bitrate_min = kbps("Bit rate from", "gte")
    bitrate_max = kbps("Bit rate to", "lte")
    reported = filters.ChoiceFilter(
        label="Reported",
        method="by_condition",
        choices=[
            ("open", "Waiting for a decision"),
            ("yes", "Ever reported"),
            ("no", "Never reported"),
        ],
        empty_label="Either",
    )
    poster = filters.ChoiceFilter(
        label="Has thumbnail", method="by_condition", choices=YES_NO, empty_label="Either"
    )
    preview = filters.ChoiceFilter(
        label="Has preview", method="by_condition", choices=YES_NO, empty_label="Either"
    )
    conversation = filters.CharFilter(
        label="Conversation",
        method="by_condition",
        max_length=200,
        widget=text_input("Title or #number", list="conversations"),
    )
    uploader = filters.CharFilter(
        label="Uploader",
        method="by_condition",
        max_length=150,
        widget=text_input("User name", list="uploaders"),
    )
    added = filters.ChoiceFilter(
        label="Added",
        method="by_condition",
        choices=[(name, words) for name, (_span, words) in SPANS.items()],
        empty_label="Any time",
    )

    WORDS = {
        "q": "matches “{}”",
        "state": "state is {}",
        "failure": "failed: {}",
        "visibility": "visibility is {}",
        "codec": "codec is {}",
        "audio": "sound is {}",
        "container": "container is {}",
        "orientation": "shape is {}",
        "duration_min": "{} or longer",
        "duration_max": "{} or shorter",
        "size_min": "{} or larger",
        "size_max": "{} or smaller",
        "width_min": "at least {} pixels wide",
        "width_max": "at most {} pixels wide",
        "height_min": "at least {} pixels high",
        "height_max": "at most {} pixels high",
        "bitrate_min": "{} kbit/s or more",
        "bitrate_max": "{} kbit/s or less",
        "reported": "reports: {}",
        "poster": "{} thumbnail",
        "preview": "{} preview",
        "conversation": "in {}",
        "uploader": "uploaded by {}",
        "added": "added in the {}",
        "date_from": "since {}",
        "date_to": "until {}",
    }
    # Of the panel that shows them.
    GROUPS = {
        "State": ("state", "failure", "visibility", "reported", "poster", "preview"),
        "Format": ("codec", "audio", "container", "orientation"),
        "Length and size": ("duration_min", "duration_max", "size_min", "size_max"),
        "Picture": (
            "width_min", "width_max", "height_min", "height_max", "bitrate_min", "bitrate_max",
        ),
        "Where and when": ("conversation", "uploader", "added", "date_from", "date_to"),
    }  # fmt: skip
    LOWER = ("state", "failure", "visibility", "orientation", "reported", "added")
    # Filter → what makes its condition, where that is not a lookup of its own.
    CONDITIONS = {
        "q": "holds_text",
        "audio": "has_sound",
        "orientation": "has_shape",
        "reported": "has_reports",
        "poster": "has_poster",
        "preview": "has_preview",
        "conversation": "in_conversation",
        "uploader": "of_uploader",
        "added": "added_within",
        "date_from": "added_since",
        "date_to": "added_until",
    }
    # Filters whose rows are found in another table.
    ELSEWHERE = {"q": "with_text", "reported": "with_reports", "preview": "with_preview"}

    class Meta:
        model = Attachment
        fields: list[str] = []
        form = RangeForm

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # Read once: a callable would be asked again for each validation and rendering.
        found = values_in_use("codec", "audio_codec", "container")
        self.filters["codec"].extra["choices"] = named(found["codec"], codec_words)
        self.filters["container"].extra["choices"] = named(found["container"], container_words)
        self.filters["audio"].extra["choices"] = [
            *named(found["audio_codec"], codec_words),
            (NO_SOUND, "No sound"),
        ]

    @property
    def groups(self) -> dict[str, list[forms.BoundField]]:
        return {
            legend: [self.form[name] for name in names] for legend, names in self.GROUPS.items()
        }

    # --- Each filter ---
    def condition(self, name: str) -> Q:
        """What this filter, which is in force, asks of a row."""
        value = self.form.cleaned_data[name]
        if name in self.CONDITIONS:
            made: Q = getattr(self, self.CONDITIONS[name])(value)
            return made
        asked = self.filters[name]
        return Q(**{f"{asked.field_name}__{asked.lookup_expr}": value})

    def ids_by(self, name: str) -> Rows:
        """The ids of the videos that this filter alone leaves, by the quickest way to them."""
        if name in self.ELSEWHERE:
            found: Rows | None = getattr(self, self.ELSEWHERE[name])(self.form.cleaned_data[name])
            if found is not None:
                return found
        return Attachment.objects.videos().order_by().filter(self.condition(name)).values("pk")

    def by_condition(self, rows: Rows, name: str, _value: Any) -> Rows:
        if name in self.ELSEWHERE:
            return rows.filter(pk__in=self.ids_by(name))
        return rows.filter(self.condition(name))

    def since(self, rows: Rows, name: str, day: Any) -> Rows:
        return self.by_condition(rows, name, day)

    def until(self, rows: Rows, name: str, day: Any) -> Rows:
        return self.by_condition(rows, name, day)

    def holds_text(self, text: str) -> Q:
        if (exact := self._exactly(text)) is not None:
            return exact
        body = VideoText.objects.filter(attachment=OuterRef("pk")).values("body")
        return Q(Holds(Subquery(body), text))

    def with_text(self, text: str) -> Rows | None:
        if (exact := self._exactly(text)) is not None:
            is_video = tested(Q(kind=Attachment.Kind.VIDEO))
            return Attachment.objects.order_by().filter(exact, is_video).values("pk")
        if len(text) < MIN_CHARACTERS:
            return None
        return VideoText.objects.filter(body__finds=text).values("attachment_id")

    def has_sound(self, codec: str) -> Q:
        return Q(audio_codec="" if codec == NO_SOUND else codec)

    def has_shape(self, shape: str) -> Q:
        compared = {"landscape": GreaterThan, "portrait": LessThan, "square": Exact}[shape]
        return Q(compared(F("width") - F("height"), 0))

    def has_poster(self, answer: str) -> Q:
        compared = GreaterThan if answer == "yes" else Exact
        return Q(compared(Length("thumbnail"), 0))

    # Looked up for each row by itself: an EXISTS some databases answer for all rows beforehand.
    def has_preview(self, answer: str) -> Q:
        mine = stored_previews().filter(attachment=OuterRef("pk")).values("pk")
        return Q(IsNull(Subquery(mine), answer == "no"))

    def with_preview(self, answer: str) -> Rows | None:
        return stored_previews().values("attachment_id") if answer == "yes" else None

    def has_reports(self, answer: str) -> Q:
        mine = cases(answer).filter(attachment=OuterRef("pk")).values("pk")
        return Q(IsNull(Subquery(mine), answer == "no"))

    def with_reports(self, answer: str) -> Rows | None:
        return None if answer == "no" else cases(answer).values("attachment_id")

    def in_conversation(self, text: str) -> Q:
        """``#12`` is the conversation's number, everything else a part of its title."""
        if (number := number_in(text)) is not None:
            return Q(conversation_id=number)
        like = Conversation.objects.order_by().filter(title__icontains=text)
        return Q(conversation_id__in=like.values("pk"))

    def of_uploader(self, name: str) -> Q:
        """Of who has the name, else of who has it but for the case."""
        people = User.objects.order_by("pk").values("pk")
        exactly, nearly = people.filter(username=name), people.filter(username__iexact=name)
        return Q(uploaded_by_id=Coalesce(Subquery(exactly[:1]), Subquery(nearly[:1])))

    def added_within(self, span: str) -> Q:
        return Q(created_at__gte=self._now - SPANS[span][0])

    def added_since(self, day: Any) -> Q:
        return Q(created_at__gte=day_start(day))

    def added_until(self, day: Any) -> Q:
        end = day_end(day)
        return Q(created_at__lt=end) if end else Q()

    @property
    def one_value(self) -> frozenset[str]:
        """Filters in force for one value of a field, after which an index goes on by date."""
        names = {"state", "failure", "visibility", "codec", "audio", "container", "uploader"}
        if number_in(self.form.cleaned_data.get("conversation") or "") is not None:
            names.add("conversation")
        return self.in_force & names

    @cached_property
    def _now(self) -> datetime:
        return timezone.now()

    def _exactly(self, text: str) -> Q | None:
        if text not in self._exact:
            self._exact[text] = exactly(text)
        return self._exact[text]

    @cached_property
    def _exact(self) -> dict[str, Q | None]:
        return {}

    def value_words(self, name: str, value: Any) -> str:
        if name.startswith("duration_"):
            return duration_words(value)
        if name.startswith("size_"):
            return size_words(value)
        if name in ("poster", "preview"):
            return "has a" if value == "yes" else "has no"
        if name == "conversation":
            number = number_in(value)
            if number is None:
                return f"conversations like “{value}”"
            conversation = Conversation.objects.filter(pk=number).first()
            return f"“{conversation}”" if conversation else f"conversation {value}"
        if name.startswith(("width_", "height_", "bitrate_")):
            return f"{value:,.0f}"
        words = super().value_words(name, value)
        return words.lower() if name in self.LOWER else words


def stored_previews() -> Rows:
    return Rendition.objects.stored().order_by().filter(kind=Rendition.Kind.PREVIEW)


def cases(answer: str) -> Rows:
    """Of videos with open reports, or with any."""
    reported: Rows = ReportCase.objects.order_by()
    return reported.filter(open_reports__gte=1) if answer == "open" else reported


def named(values: list[str], words: Callable[[str], str]) -> Choices:
    return [(value, words(value)) for value in values]
