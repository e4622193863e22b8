"""What spares the people who look: pictures blurred until asked for, without colour or sound, or
small; and a count of what was looked at, which suggests breaks.

Each is a person's own choice; who has not chosen has the organisation's, ``REVIEWER_PROTECTION``.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.contrib.auth.models import AbstractBaseUser, AnonymousUser
from django.db import models
from django.db.models import F, Sum
from django.http import HttpRequest
from django.utils import timezone

from moderation.long_lists import Sql, in_one_query, value_of

MEASURES = {
    "blur": "Blur pictures until I ask for them",
    "greyscale": "Without colour",
    "mute": "Without sound",
    "small": "Small",
}


@dataclass(frozen=True, slots=True)
class Protection:
    blur: bool
    greyscale: bool
    mute: bool
    small: bool

    @classmethod
    def of_the_organisation(cls) -> "Protection":
        return cls(*(name in settings.REVIEWER_PROTECTION for name in MEASURES))


class ReviewerPreference(models.Model):
    """What one person has chosen; null is the organisation's choice."""

    user = models.OneToOneField(
        settings.AUTH_USER_MODEL, models.CASCADE, primary_key=True, related_name="+"
    )
    blur = models.BooleanField(null=True)
    greyscale = models.BooleanField(null=True)
    mute = models.BooleanField(null=True)
    small = models.BooleanField(null=True)

    class Meta:
        app_label = "moderation"

    def __str__(self) -> str:
        return f"Protection of {self.user}"


class Exposure(models.Model):
    """How many pictures and videos one person has revealed in one hour of the clock."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="+")
    hour = models.DateTimeField(help_text="its beginning")
    revealed = models.PositiveIntegerField(default=0)

    class Meta:
        app_label = "moderation"
        constraints = [
            models.UniqueConstraint(fields=["user", "hour"], name="exposure_once_an_hour")
        ]

    def __str__(self) -> str:
        return f"{self.revealed} revealed by {self.user} from {self.hour:%H:%M}"


def choice_of(user: AbstractBaseUser | AnonymousUser) -> list[Sql]:
    """What selects each measure that a person has chosen; see ``as_chosen``."""
    mine = ReviewerPreference.objects.filter(user_id=user.pk or 0)
    return [value_of(mine.values(name)) for name in MEASURES]


def as_chosen(values: Iterable[Any]) -> Protection:
    usual = Protection.of_the_organisation()
    chosen = dict(zip(MEASURES, values, strict=True))
    return Protection(
        **{
            name: getattr(usual, name) if value is None else bool(value)
            for name, value in chosen.items()
        }
    )


def protection_of(user: AbstractBaseUser | AnonymousUser) -> Protection:
    return as_chosen(in_one_query(choice_of(user)))


def protection_for(request: HttpRequest) -> Protection:
    """Of who asks; looked up once a request."""
    if not hasattr(request, "protection"):
        request.protection = protection_of(request.user)  # type: ignore[attr-defined]
    found: Protection = request.protection  # type: ignore[attr-defined]
    return found


def choose(user: AbstractBaseUser, chosen: dict[str, Any]) -> None:
    """Keep a person's choice: {measure: True, False, or None for the organisation's}."""
    values = {name: chosen[name] for name in MEASURES}
    ReviewerPreference.objects.update_or_create(user_id=user.pk, defaults=values)


def count_reveal(request: HttpRequest) -> None:
    """Count one more picture revealed, which this request shows; see ``revealed_by``."""
    user: Any = request.user
    now = timezone.now()
    hour = now.replace(minute=0, second=0, microsecond=0)
    Exposure.objects.get_or_create(user_id=user.pk, hour=hour)
    Exposure.objects.filter(user_id=user.pk, hour=hour).update(revealed=F("revealed") + 1)
    request.revealed = revealed_lately(user)  # type: ignore[attr-defined]


def revealed_by(request: HttpRequest) -> int:
    """How many were revealed lately, if this request revealed one of them, else 0."""
    return getattr(request, "revealed", 0)


def revealed_lately(user: AbstractBaseUser | AnonymousUser) -> int:
    """About how many within the last sixty minutes: those of this hour and the one before, that
    one's by how much of it still lies within them."""
    now = timezone.now()
    hour = now.replace(minute=0, second=0, microsecond=0)
    mine = Exposure.objects.filter(user_id=user.pk or 0)
    before = mine.filter(hour=hour - timedelta(hours=1)).aggregate(n=Sum("revealed"))["n"] or 0
    this_hour = mine.filter(hour=hour).aggregate(n=Sum("revealed"))["n"] or 0
    share = 1 - (now - hour) / timedelta(hours=1)
    return this_hour + round(before * share)


def break_is_due(revealed: int) -> bool:
    """At each multiple of ``BREAK_AFTER_REVEALS``; never when that is 0."""
    every = settings.BREAK_AFTER_REVEALS
    return bool(every) and revealed > 0 and revealed % every == 0
