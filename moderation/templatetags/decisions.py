"""Template filters that say what was reported and decided."""

from datetime import datetime, timedelta

from django import template
from django.conf import settings
from django.utils import timezone

from chat.models import Attachment, clock
from moderation.report_words import decision_words, reason_words

register = template.Library()
register.filter("clock", clock)
register.filter("decision", decision_words)
register.filter("reason", reason_words)


@register.filter
def seconds(value: float) -> str:
    """``21.5``, for an address."""
    return f"{value:.3f}".rstrip("0").rstrip(".")


@register.filter
def erased_from(attachment: Attachment) -> datetime:
    """When the bytes of a removed video may be deleted, at the earliest."""
    removed_at = attachment.removed_at or timezone.now()
    return removed_at + timedelta(days=settings.REMOVED_RETENTION_DAYS)
