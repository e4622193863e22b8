"""What the activity log can be narrowed by.  Each filter is a range of an index that ends in the
log's own order, so that none has to sort or to read what it does not show."""

from datetime import datetime, timedelta
from functools import cached_property, reduce
from ipaddress import ip_address
from operator import and_
from typing import Any

import django_filters as filters
from django import forms
from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.db.models import Q, QuerySet, Subquery
from django.utils import timezone

from chat.index_scan import tested
from chat.models import ActivityLog, Conversation
from moderation.filters import Choices, DayRange, RangeForm, day_end, day_start
from moderation.long_lists import COUNT_LIMIT, LIMIT_OF_SEVERAL, bounded_counts

OBJECT_TYPES: Choices = [
    ("attachment", "Attachment"),
    ("conversation", "Conversation"),
    ("message", "Message"),
    ("job", "Job"),
    ("user", "Person"),
    ("group", "Group"),
]
WITHIN = {
    "1h": ("Last hour", timedelta(hours=1)),
    "24h": ("Last 24 hours", timedelta(hours=24)),
    "7d": ("Last 7 days", timedelta(days=7)),
    "30d": ("Last 30 days", timedelta(days=30)),
    "90d": ("Last 90 days", timedelta(days=90)),
}
# Ids follow the times, but for transactions that last and clocks that differ; never for so long.
SLACK = timedelta(hours=1)
TOLD_APART = 10_000  # filters that leave more entries are not counted further


def number_filter(label: str, **extra: Any) -> filters.NumberFilter:
    return filters.NumberFilter(
        label=label, min_value=1, max_value=2**53, decimal_places=0, **extra
    )


class AddressField(forms.CharField):
    """An IP address, in the one way of writing it that the log has."""

    def clean(self, value: Any) -> str:
        text = super().clean(value)
        try:
            return str(ip_address(text)) if text else ""
        except ValueError:
            raise ValidationError("Write a whole address, such as 192.0.2.7.") from None


class AddressFilter(filters.Filter):
    field_class = AddressField


class ActivityFilter(DayRange):
    actor = filters.CharFilter(label="Who", max_length=150)
    action = filters.ChoiceFilter(
        label="Action",
        choices=[(value, label.capitalize()) for value, label in ActivityLog.Action.choices],
        empty_label="Any action",
    )
    outcome = filters.ChoiceFilter(
        label="Outcome",
        choices=[(value, label.capitalize()) for value, label in ActivityLog.Outcome.choices],
        empty_label="Any outcome",
    )
    object_type = filters.ChoiceFilter(
        label="Object", choices=OBJECT_TYPES, empty_label="Any object"
    )
    object_id = number_filter("Number of the object")
    conversation = number_filter("Conversation", field_name="conversation_id")
    job = number_filter("Done by job", field_name="job_id")
    address = AddressFilter(label="Address", field_name="ip_address", max_length=45)
    within = filters.ChoiceFilter(
        label="When",
        method="in_the_last",
        choices=[(name, words) for name, (words, _) in WITHIN.items()],
        empty_label="Any time",
    )

    WORDS = {
        "actor": "by {}",
        "action": "action is {}",
        "outcome": "outcome is {}",
        "object_type": "object is {}",
        "object_id": "number is {}",
        "conversation": "in {}",
        "job": "done by job {}",
        "address": "from {}",
        "within": "in the {}",
        "date_from": "since {}",
        "date_to": "until {}",
    }

    DATES = frozenset({"within", "date_from", "date_to"})
    # What few entries have in common comes first, where it is not worth counting further.
    RARE_FIRST = (
        "object_id", "job", "address", "conversation", "actor", "outcome", "object_type", "action",
    )  # fmt: skip

    class Meta:
        model = ActivityLog
        fields: list[str] = []
        form = RangeForm

    def filter_queryset(self, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Along the index of the filter that leaves fewest; the entries there are tested for the
        others.  Databases do not know which it is."""
        for name in sorted(self.in_force & self.DATES):
            queryset = self.filters[name].filter(queryset, self.form.cleaned_data[name])
        names = sorted(self.in_force - self.DATES, key=self.RARE_FIRST.index)
        if not names:
            return queryset
        counts = [0]
        if len(names) > 1:
            by_each = [queryset.filter(self.condition(name)) for name in names]
            counts = bounded_counts(by_each, TOLD_APART)
        best = names.pop(counts.index(min(counts)))
        queryset = queryset.filter(self.condition(best))
        if names:
            queryset = queryset.filter(tested(reduce(and_, map(self.condition, names))))
        return queryset

    @property
    def count_limit(self) -> int:
        """How far the entries are counted: under several filters each is looked at."""
        return COUNT_LIMIT if len(self.in_force - self.DATES) < 2 else LIMIT_OF_SEVERAL

    def condition(self, name: str) -> Q:
        value = self.form.cleaned_data[name]
        return (
            self.by_actor(value)
            if name == "actor"
            else Q(**{self.filters[name].field_name: value})
        )

    def by_actor(self, text: str) -> Q:
        """By the account that has the name now, under whatever name it acted; else by the name as
        it was written: of a deleted account, a command, a job."""
        if text not in self._accounts:
            account = User.objects.filter(username__iexact=text).values_list("pk", flat=True)
            self._accounts[text] = account.first()
        found = self._accounts[text]
        return Q(actor_name=text) if found is None else Q(actor_id=found)

    @cached_property
    def _accounts(self) -> dict[str, int | None]:
        return {}

    def since(self, queryset: QuerySet[Any], _name: str, day: Any) -> QuerySet[Any]:
        return from_moment(queryset, day_start(day))

    def until(self, queryset: QuerySet[Any], name: str, day: Any) -> QuerySet[Any]:
        narrowed = super().until(queryset, name, day)
        if (end := day_end(day)) is None:
            return narrowed
        entries = ActivityLog.objects.filter(created_at__lt=end + SLACK).order_by("-created_at")
        return narrowed.filter(pk__lte=Subquery(entries.values("pk")[:1]))

    def in_the_last(self, queryset: QuerySet[Any], _name: str, name: str) -> QuerySet[Any]:
        return from_moment(queryset, timezone.now() - WITHIN[name][1])

    def value_words(self, name: str, value: Any) -> str:
        words = super().value_words(name, value)
        if name == "conversation":
            conversation = Conversation.objects.filter(pk=value).first()
            return f"“{conversation}”" if conversation else f"conversation {value}"
        lower = name in ("action", "outcome", "object_type", "within")
        return words.lower() if lower else words


def from_moment(queryset: QuerySet[Any], moment: datetime) -> QuerySet[Any]:
    """Entries since ``moment``, as a range of ids too: the order of every index of the log."""
    entries = ActivityLog.objects.filter(created_at__gte=moment - SLACK).order_by("created_at")
    return queryset.filter(created_at__gte=moment, pk__gte=Subquery(entries.values("pk")[:1]))
