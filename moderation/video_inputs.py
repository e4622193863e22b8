"""Fields of the filters of the list of videos."""

import django_filters as filters
from django import forms

from moderation.form_fields import ClockField, SizeField

LARGEST_NUMBER = 2**31 - 1


class ClockFilter(filters.Filter):
    field_class = ClockField


class SizeFilter(filters.Filter):
    field_class = SizeField


def text_input(placeholder: str, **attrs: str) -> forms.TextInput:
    return forms.TextInput(attrs={"placeholder": placeholder, "autocomplete": "off", **attrs})


def length(label: str, lookup: str) -> ClockFilter:
    widget = text_input("1:30 or 5 min")
    return ClockFilter(label=label, field_name="duration", lookup_expr=lookup, widget=widget)


def size(label: str, lookup: str, example: str) -> SizeFilter:
    widget = text_input(example)
    return SizeFilter(label=label, field_name="size", lookup_expr=lookup, widget=widget)


def pixels(label: str, field: str, lookup: str) -> filters.NumberFilter:
    return number(label, field, lookup, "pixels")


def kbps(label: str, lookup: str) -> filters.NumberFilter:
    return number(label, "bitrate", lookup, "kbit/s")


def number(label: str, field: str, lookup: str, unit: str) -> filters.NumberFilter:
    return filters.NumberFilter(
        label=label,
        field_name=field,
        lookup_expr=lookup,
        min_value=1,
        max_value=LARGEST_NUMBER,
        decimal_places=0,
        widget=forms.NumberInput(attrs={"placeholder": unit, "min": 1}),
    )
