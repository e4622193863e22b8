"""Template filters that say what was reported and decided."""

from datetime import datetime, timedelta

from django import template
from django.conf import settings
from django.utils import timezone

from chat.models import Attachment
from moderation.report_words import decision_words, reason_words

register = template.Library()
register.filter("decision", decision_words)
register.filter("reason", reason_words)


@register.filter
def clock(value: float) -> str:
    """``0:21``, ``1:02:03``: a time in a video."""
    minutes, rest = divmod(int(value), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


@register.filter
def seconds(value: float) -> str:
    """``21.5``, for an address."""
    return f"{value:.3f}".rstrip("0").rstrip(".")


@register.filter
def erased_from(attachment: Attachment) -> datetime:
    """When the bytes of a removed video may be deleted, at the earliest."""
    removed_at = attachment.removed_at or timezone.now()
    return removed_at + timedelta(days=settings.REMOVED_RETENTION_DAYS)
