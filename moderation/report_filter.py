"""What the list of reports can be narrowed by; by itself it shows what is open."""

from datetime import timedelta
from typing import Any

import django_filters as filters
from django import forms
from django.db.models import Exists, OuterRef, Q, QuerySet, Subquery

from chat.index_scan import tested
from chat.models import Attachment, Conversation, Report, ReportCase
from chat.moderated import Reason
from chat.report import ReportQuerySet
from moderation.filters import ListFilter, RangeForm, day_start
from moderation.long_lists import whole_number
from moderation.report_words import reason_words

STATES = [("settled", "Settled"), ("all", "Open and settled")]


def day_input() -> forms.DateInput:
    return forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d")


class ReportFilter(ListFilter):
    state = filters.ChoiceFilter(
        label="State", choices=STATES, empty_label="Open", method="in_state"
    )
    reason = filters.ChoiceFilter(
        label="Reason",
        choices=[(value, label.capitalize()) for value, label in Reason.choices],
        empty_label="Any reason",
        method="with_reason",
    )
    conversation = filters.CharFilter(
        label="Conversation",
        method="in_conversation",
        max_length=200,
        widget=forms.TextInput(attrs={"placeholder": "Title or #number"}),
    )
    date_from = filters.DateFilter(label="Reported from", method="since", widget=day_input())
    date_to = filters.DateFilter(label="Reported to", method="until", widget=day_input())

    WORDS = {
        "state": "{}",
        "reason": "for {}",
        "conversation": "in conversations like “{}”",
        "date_from": "last reported since {}",
        "date_to": "last reported until {}",
    }

    class Meta:
        model = ReportCase
        fields: list[str] = []
        form = RangeForm

    @property
    def asked_state(self) -> str:
        """``open``, ``settled`` or ``all``."""
        state = self.data.get("state", "") if self.data else ""
        return state if state in dict(STATES) else "open"

    @property
    def usual_order(self) -> str:
        """Who waits longest comes first; of what does not wait, the newest."""
        return "waiting" if self.asked_state == "open" else "-last"

    @property
    def shown_reports(self) -> ReportQuerySet:
        """Those whose reasons and times the rows show."""
        reports = Report.objects.all()
        return reports.open() if self.asked_state == "open" else reports

    def filter_queryset(self, queryset: QuerySet[Any]) -> QuerySet[Any]:
        queryset = super().filter_queryset(queryset)
        if self.asked_state == "open":
            return queryset.filter(waiting_since__isnull=False)
        return queryset

    def in_state(self, queryset: QuerySet[Any], _name: str, state: str) -> QuerySet[Any]:
        return queryset.filter(waiting_since=None) if state == "settled" else queryset

    def with_reason(self, queryset: QuerySet[Any], _name: str, reason: str) -> QuerySet[Any]:
        given = self.shown_reports.filter(reason=reason, attachment=OuterRef("attachment"))
        return queryset.filter(Exists(given))

    def in_conversation(self, queryset: QuerySet[Any], _name: str, text: str) -> QuerySet[Any]:
        if text.startswith("#") and (number := whole_number(text[1:], 0)):
            return queryset.filter(attachment__conversation=number)
        # Of each case: joined, the database may read all videos for the few that are reported.
        videos = Attachment.objects.filter(pk=OuterRef("attachment_id"))
        like = Conversation.objects.order_by().filter(title__icontains=text)
        place = Subquery(videos.values("conversation_id")[:1])
        cases: QuerySet[Any] = queryset.alias(place=place)
        return cases.filter(tested(Q(place__in=like.values("pk"))))

    def since(self, queryset: QuerySet[Any], _name: str, day: Any) -> QuerySet[Any]:
        return queryset.filter(last_at__gte=day_start(day))

    def until(self, queryset: QuerySet[Any], _name: str, day: Any) -> QuerySet[Any]:
        # date.max has no day after it.
        end = day_start(day) + timedelta(days=1) if day.year < 9999 else None
        return queryset.filter(last_at__lt=end) if end else queryset

    def value_words(self, name: str, value: Any) -> str:
        if name == "reason":
            return reason_words(value)
        words = super().value_words(name, value)
        return words.lower() if name == "state" else words
