"""What the lists can be narrowed by: names in the URL, fields behind them, words on the chips."""

from datetime import UTC, datetime, time, timedelta
from functools import cached_property
from typing import Any

import django_filters as filters
from django import forms
from django.db.models import QuerySet

Choices = list[tuple[str, str]]


class RangeForm(forms.Form):
    """Checks that the lower end of each range is not above the upper."""

    RANGES = (
        ("duration_min", "duration_max", "The shortest length is longer than the longest."),
        ("size_min", "size_max", "The smallest size is larger than the largest."),
        ("width_min", "width_max", "The smallest width is larger than the largest."),
        ("height_min", "height_max", "The smallest height is larger than the largest."),
        ("bitrate_min", "bitrate_max", "The lowest bit rate is higher than the highest."),
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


class ListFilter(filters.FilterSet):
    """A filter set that can say in words what it does.

    Values that are not valid are left out of the query and shown with an error at their field.
    """

    # Filter name → sentence with the value in it.
    WORDS: dict[str, str] = {}

    @cached_property
    def chips(self) -> list[tuple[str, str]]:
        """(name, words) of every filter in force."""
        in_force = self.in_force
        cleaned = self.form.cleaned_data
        return [
            (name, self.WORDS[name].format(self.value_words(name, cleaned[name])))
            for name in self.WORDS
            if name in in_force
        ]

    def value_words(self, name: str, value: Any) -> str:
        choices = dict(getattr(self.form.fields[name], "choices", ()))
        return str(choices.get(value, value))

    @cached_property
    def in_force(self) -> frozenset[str]:
        """Names of the filters that have a valid value."""
        self.form.is_valid()
        cleaned = self.form.cleaned_data
        return frozenset(name for name in self.WORDS if cleaned.get(name) not in (None, ""))

    @property
    def narrowed(self) -> bool:
        """Whether anything was asked for, the wrong values included."""
        return bool(self.in_force or self.errors)


def day_start(day: Any) -> datetime:
    return datetime.combine(day, time.min, tzinfo=UTC)


def day_end(day: Any) -> datetime | None:
    """None after the last day there is."""
    return day_start(day) + timedelta(days=1) if day.year < 9999 else None


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
        end = day_end(day)
        return queryset.filter(created_at__lt=end) if end else queryset
