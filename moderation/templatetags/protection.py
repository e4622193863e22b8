"""Template tags for what spares the people who look."""

import base64
import binascii
from typing import Any

from django import template
from django.template.context import RequestContext
from django.urls import reverse

from chat.models import Attachment, clock
from moderation.protection import (
    MEASURES,
    Protection,
    break_is_due,
    protection_for,
    revealed_by,
)

register = template.Library()
register.filter("clock", clock)


@register.simple_tag(takes_context=True)
def shield(context: RequestContext) -> Protection:
    """What this person has chosen."""
    return protection_for(context["request"])


@register.inclusion_tag("moderation/_break.html", takes_context=True)
def break_suggestion(context: RequestContext) -> dict[str, Any]:
    """A break, where what this request revealed makes one due."""
    revealed = revealed_by(context["request"])
    return {"revealed": revealed, "due": break_is_due(revealed)}


@register.simple_tag
def measures(chosen: Protection) -> list[tuple[str, str, bool]]:
    """(name, words, whether it is chosen) of each."""
    return [(name, words, getattr(chosen, name)) for name, words in MEASURES.items()]


@register.simple_tag
def blurred_url(attachment: Attachment, chosen: Protection) -> str:
    """Of the picture shown until the poster is asked for; empty where none has been made."""
    if not attachment.placeholder:
        return ""
    try:
        content = base64.b64decode(attachment.placeholder)
    except binascii.Error:
        return ""
    name = base64.urlsafe_b64encode(content).decode().rstrip("=")
    return reverse("moderation:blurred", args=[name]) + ("?grey" if chosen.greyscale else "")
