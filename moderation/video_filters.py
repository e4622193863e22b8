"""What the list of videos can be narrowed by."""

import re
from collections.abc import Callable, Iterable
from datetime import timedelta
from functools import cached_property
from typing import Any

import django_filters as filters
from django import forms
from django.contrib.auth.models import User
from django.db.models import Exists, F, OuterRef, Q, QuerySet
from django.db.models.functions import Length
from django.utils import timezone

from chat.errors import OUTCOMES
from chat.models import Attachment, Conversation
from chat.rendition import Rendition
from chat.report import ReportCase
from chat.video_text import MIN_CHARACTERS
from moderation import list_walks, long_lists
from moderation.filters import Choices, DayRange, RangeForm
from moderation.form_fields import ClockField, SizeField
from moderation.list_walks import Listing, Order
from moderation.long_lists import bounded_counts
from moderation.values_in_use import values_in_use
from moderation.words import codec_words, container_words, duration_words, size_words

Rows = QuerySet[Any]
YES_NO = [("yes", "Yes"), ("no", "No")]
NO_SOUND = "none"
# Titles found by a part of them; where there are more, the database looks them up again.
MANY_CONVERSATIONS = 500
SPANS = {
    "24h": (timedelta(hours=24), "Last 24 hours"),
    "7d": (timedelta(days=7), "Last 7 days"),
    "30d": (timedelta(days=30), "Last 30 days"),
    "90d": (timedelta(days=90), "Last 90 days"),
    "365d": (timedelta(days=365), "Last year"),
}
SHAPES = [("landscape", "Landscape"), ("portrait", "Portrait"), ("square", "Square")]
HASH_START = re.compile(r"[0-9a-f]{8,64}", re.ASCII)
LARGEST_NUMBER = 2**31 - 1


class ClockFilter(filters.Filter):
    field_class = ClockField


class SizeFilter(filters.Filter):
    field_class = SizeField


def text_input(placeholder: str, **attrs: str) -> forms.TextInput:
    return forms.TextInput(attrs={"placeholder": placeholder, "autocomplete": "off", **attrs})


def pixels(label: str, field: str, lookup: str) -> filters.NumberFilter:
    return filters.NumberFilter(
        label=label,
        field_name=field,
        lookup_expr=lookup,
        min_value=1,
        max_value=LARGEST_NUMBER,
        decimal_places=0,
        widget=forms.NumberInput(attrs={"placeholder": "pixels", "min": 1}),
    )


def kbps(label: str, lookup: str) -> filters.NumberFilter:
    return filters.NumberFilter(
        label=label,
        field_name="bitrate",
        lookup_expr=lookup,
        min_value=1,
        max_value=LARGEST_NUMBER,
        decimal_places=0,
        widget=forms.NumberInput(attrs={"placeholder": "kbit/s", "min": 1}),
    )


class VideoFilter(DayRange):
    """Also how its lists are found: see ``listing``."""

    q = filters.CharFilter(label="Search", method="search", max_length=200)
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
        label="Sound", method="by_sound", choices=(), empty_label="Any sound"
    )
    container = filters.ChoiceFilter(label="Container", choices=(), empty_label="Any container")
    orientation = filters.ChoiceFilter(
        label="Shape", method="by_shape", choices=SHAPES, empty_label="Any shape"
    )
    duration_min = ClockFilter(
        label="Length from",
        field_name="duration",
        lookup_expr="gte",
        widget=text_input("1:30 or 5 min"),
    )
    duration_max = ClockFilter(
        label="Length to",
        field_name="duration",
        lookup_expr="lte",
        widget=text_input("1:30 or 5 min"),
    )
    size_min = SizeFilter(
        label="Size from", field_name="size", lookup_expr="gte", widget=text_input("5 MB")
    )
    size_max = SizeFilter(
        label="Size to", field_name="size", lookup_expr="lte", widget=text_input("1.5 GB")
    )
    width_min = pixels("Width from", "width", "gte")
    width_max = pixels("Width to", "width", "lte")
    height_min = pixels("Height from", "height", "gte")
    height_max = pixels("Height to", "height", "lte")
    bitrate_min = kbps("Bit rate from", "gte")
    bitrate_max = kbps("Bit rate to", "lte")
    reported = filters.ChoiceFilter(
        label="Reported",
        method="by_reports",
        choices=[
            ("open", "Waiting for a decision"),
            ("yes", "Ever reported"),
            ("no", "Never reported"),
        ],
        empty_label="Either",
    )
    poster = filters.ChoiceFilter(
        label="Has thumbnail", method="by_poster", choices=YES_NO, empty_label="Either"
    )
    preview = filters.ChoiceFilter(
        label="Has preview", method="by_preview", choices=YES_NO, empty_label="Either"
    )
    conversation = filters.CharFilter(
        label="Conversation",
        method="in_conversation",
        max_length=200,
        widget=text_input("Title or #number", list="conversations"),
    )
    uploader = filters.CharFilter(
        label="Uploader",
        method="by_uploader",
        max_length=150,
        widget=text_input("User name", list="uploaders"),
    )
    added = filters.ChoiceFilter(
        label="Added",
        method="within",
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
    # Filters whose way to find rows is not their way to test one.
    SOUGHT = {"q": "seek_text", "preview": "seek_preview"}
    # Filters for one value of a field in DATED, whose index goes on by date.
    DATED = frozenset({"state", "failure", "visibility", "codec", "audio", "container"})

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
    def search(self, rows: Rows, _name: str, text: str) -> Rows:
        """Tests rows; ``seek_text`` finds them."""
        exact = self._exactly(text)
        return rows.filter(text__body__holds=text) if exact is None else rows.filter(exact)

    def by_sound(self, rows: Rows, _name: str, codec: str) -> Rows:
        return rows.filter(audio_codec="" if codec == NO_SOUND else codec)

    def by_shape(self, rows: Rows, _name: str, shape: str) -> Rows:
        lookup = {"landscape": "shape__gt", "portrait": "shape__lt", "square": "shape"}[shape]
        shaped: Rows = rows.alias(shape=F("width") - F("height"))
        return shaped.filter(**{lookup: 0})

    def by_poster(self, rows: Rows, _name: str, answer: str) -> Rows:
        lookup = "poster_length__gt" if answer == "yes" else "poster_length"
        measured: Rows = rows.alias(poster_length=Length("thumbnail"))
        return measured.filter(**{lookup: 0})

    def by_preview(self, rows: Rows, _name: str, answer: str) -> Rows:
        previews = Rendition.objects.stored().filter(
            attachment=OuterRef("pk"), kind=Rendition.Kind.PREVIEW
        )
        return rows.filter(Exists(previews) if answer == "yes" else ~Exists(previews))

    def by_reports(self, rows: Rows, _name: str, answer: str) -> Rows:
        if answer == "no":
            return rows.filter(~Exists(ReportCase.objects.filter(attachment=OuterRef("pk"))))
        return rows.filter(report_case__open_reports__gte=1 if answer == "open" else 0)

    def in_conversation(self, rows: Rows, _name: str, text: str) -> Rows:
        """``#12`` is the conversation's number, everything else a part of its title."""
        if self._conversation_ids is None:
            return rows.filter(conversation__title__icontains=text)
        return one_or_several(rows, "conversation_id", self._conversation_ids)

    def by_uploader(self, rows: Rows, _name: str, _text: str) -> Rows:
        return one_or_several(rows, "uploaded_by_id", self._uploader_ids)

    def within(self, rows: Rows, _name: str, span: str) -> Rows:
        return rows.filter(created_at__gte=timezone.now() - SPANS[span][0])

    # --- How rows are found ---
    def seek_text(self, rows: Rows) -> Rows:
        text = self.form.cleaned_data["q"]
        if self._exactly(text) is None and len(text) >= MIN_CHARACTERS:
            return rows.filter(text__body__finds=text)
        return self.search(rows, "q", text)

    def seek_preview(self, rows: Rows) -> Rows:
        answer = self.form.cleaned_data["preview"]
        if answer == "no":
            return self.by_preview(rows, "preview", answer)
        kind = Rendition.Kind.PREVIEW
        return rows.filter(renditions__kind=kind, renditions__file__gt="")

    def listing(self, every: Rows, order: Order, *, descending: bool) -> Listing:
        """The list in this order: of ``every`` row, those that the filters leave."""
        in_force = self.in_force
        with_order = in_force & order.narrowed_by
        if order.fields[0] == "created_at":
            with_order |= in_force & self._dated
        rest = in_force - with_order
        return Listing(
            every=every,
            sought=self.sought(every),
            narrowed=self.narrow(every, with_order),
            test=(lambda rows: self.narrow(rows, rest)) if rest else None,
            order=order,
            descending=descending,
            # An index counts for one filter, several need a look at each row.
            limit=long_lists.COUNT_LIMIT if len(in_force) < 2 else list_walks.FEW,
        )

    def sought(self, every: Rows) -> Rows:
        """The rows that match, in no order: found by the filter that leaves fewest, if that is
        few, and tested for the others; databases do not know which it is."""
        names = sorted(self.in_force)
        if len(names) > 1:
            limit = long_lists.COUNT_LIMIT
            counts = bounded_counts([self._seek(every, [name]) for name in names], limit)
            fewest, best = min(zip(counts, names, strict=True))
            if fewest <= limit:
                ids = self._seek(every, [best]).order_by().values("pk")[: limit + 1]
                return self.narrow(every.filter(pk__in=ids), self.in_force - {best})
        return self._seek(every, names)

    def _seek(self, rows: Rows, names: Iterable[str]) -> Rows:
        rows = self.narrow(rows, [name for name in names if name not in self.SOUGHT])
        for name in names:
            if name in self.SOUGHT:
                rows = getattr(self, self.SOUGHT[name])(rows)
        return rows

    @property
    def _dated(self) -> frozenset[str]:
        names = self.DATED
        if self._uploader_ids is not None and len(self._uploader_ids) == 1:
            names |= {"uploader"}
        if self._conversation_ids is not None and len(self._conversation_ids) == 1:
            names |= {"conversation"}
        return names

    @cached_property
    def _uploader_ids(self) -> list[int]:
        name = self.form.cleaned_data.get("uploader")
        if not name:
            return []
        exact = User.objects.filter(username=name).values_list("pk", flat=True)
        return list(exact) or list(
            User.objects.filter(username__iexact=name).values_list("pk", flat=True)
        )

    @cached_property
    def _conversation_ids(self) -> list[int] | None:
        """None where they are many."""
        text = self.form.cleaned_data.get("conversation")
        if not text:
            return []
        if (number := number_in(text)) is not None:
            return [number]
        like = Conversation.objects.filter(title__icontains=text).order_by("pk")
        ids = list(like.values_list("pk", flat=True)[: MANY_CONVERSATIONS + 1])
        return ids if len(ids) <= MANY_CONVERSATIONS else None

    def _exactly(self, text: str) -> Q | None:
        """What names one video: ``#12``, a number too short to search for, or the beginning of
        its SHA-256, where there is one that begins so."""
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


def one_or_several(rows: Rows, field: str, ids: list[int]) -> Rows:
    return rows.filter(**{field: ids[0]} if len(ids) == 1 else {f"{field}__in": ids})


def exactly(text: str) -> Q | None:
    if (number := number_in(text)) is not None:
        return Q(pk=number)
    if len(text) < MIN_CHARACTERS and (number := number_in(f"#{text}")) is not None:
        return Q(pk=number)
    start = text.lower()
    if HASH_START.fullmatch(start):
        begins = Q(sha256__gte=start, sha256__lt=f"{start}g")
        if Attachment.objects.filter(begins).exists():
            return begins
    return None


def number_in(text: str) -> int | None:
    """12 of ``#12``."""
    digits = text.removeprefix("#")
    known = text.startswith("#") and digits.isascii() and digits.isdigit() and len(digits) < 18
    return int(digits) if known else None


def named(values: list[str], words: Callable[[str], str]) -> Choices:
    return [(value, words(value)) for value in values]
