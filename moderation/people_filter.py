"""What the list of people can be narrowed by."""

from typing import Any

import django_filters as filters
from django.contrib.auth.models import User
from django.db.models import Q, QuerySet

from moderation.filters import ListFilter, RangeForm
from moderation.roles import ROLES


class PeopleFilter(ListFilter):
    q = filters.CharFilter(label="Search", method="search", max_length=150)
    role = filters.ChoiceFilter(
        label="Role",
        method="with_role",
        choices=[
            ("any", "Any role"),
            *((name, name.capitalize()) for name in ROLES),
            ("none", "No role"),
            ("superuser", "Superuser"),
        ],
        empty_label="Everybody",
    )
    state = filters.ChoiceFilter(
        label="Account",
        method="in_state",
        choices=[("active", "Active"), ("deactivated", "Deactivated")],
        empty_label="Active or not",
    )

    WORDS = {"q": "matches “{}”", "role": "role is {}", "state": "account is {}"}

    class Meta:
        model = User
        fields: list[str] = []
        form = RangeForm

    def search(self, queryset: QuerySet[Any], _name: str, text: str) -> QuerySet[Any]:
        names = Q(first_name__icontains=text) | Q(last_name__icontains=text)
        return queryset.filter(names | Q(username__icontains=text) | Q(email__icontains=text))

    def with_role(self, queryset: QuerySet[Any], _name: str, role: str) -> QuerySet[Any]:
        if role == "superuser":
            return queryset.filter(is_superuser=True)
        wanted = list(ROLES) if role in ("any", "none") else [role]
        having = User.groups.through.objects.filter(group__name__in=wanted).values("user_id")
        if role == "none":
            return queryset.exclude(pk__in=having)
        return queryset.filter(pk__in=having)

    def in_state(self, queryset: QuerySet[Any], _name: str, state: str) -> QuerySet[Any]:
        return queryset.filter(is_active=state == "active")

    def value_words(self, name: str, value: Any) -> str:
        words = super().value_words(name, value)
        return words if name == "q" else words.lower()
