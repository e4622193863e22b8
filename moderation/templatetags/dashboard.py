"""Template tags of the dashboard: icons, states, times and sizes."""

import json
import unicodedata
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache, lru_cache
from typing import Any

from django import template
from django.contrib.messages.storage.base import Message
from django.http import QueryDict
from django.template.context import RequestContext
from django.templatetags.static import static
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.http import urlencode
from django.utils.safestring import SafeString

from chat.models import Attachment
from moderation import pictures, words
from moderation.list_walks import ListPage
from moderation.long_lists import COUNT_LIMIT
from moderation.navigation import places_for, waiting_for
from moderation.progress import Progress
from moderation.shortcuts import shortcuts_for

register = template.Library()
register.filter("size", words.size_words)
register.filter("bitrate", words.bitrate_words)
register.filter("dimensions", words.dimensions_words)
register.filter("seconds_exactly", words.seconds_words)
register.filter("rate", words.rate_words)
register.filter("visible", words.visible)
register.filter("details_words", words.details_words)
register.filter("span", words.duration_words)
register.filter("rough_span", words.rough_span_words)
register.filter("codec", words.codec_words)
register.filter("container", words.container_words)
register.filter("tile_shape", pictures.tile_shape)
register.filter("outcome", words.outcome_words)
register.filter("code_words", words.code_words)

# What in an address says which page of a list is shown.
PLACES = ("page", "after", "before")

# Characters of a name's end that stay visible when the middle is cut: an extension and a number.
NAME_TAIL = 9

# State → (icon, word); the class `state-<state>` gives the colour.
STATES = {
    "pending": ("circle-dashed", "Not processed"),
    "processing": ("loader-2", "Processing"),
    "ready": ("circle-check", "Ready"),
    "failed": ("alert-triangle", "Failed"),
    "quarantined": ("eye-off", "Quarantined"),
    "removed": ("ban", "Removed"),
    "reported": ("flag", "Reported"),
    "stuck": ("hourglass", "Stuck"),
    "visible": ("eye", "Visible"),
    "hold": ("lock", "Under hold"),
    # of jobs
    "planning": ("clock", "Planning"),
    "running": ("loader-2", "Running"),
    "paused": ("player-pause", "Paused"),
    "done": ("circle-check", "Done"),
    "cancelled": ("ban", "Cancelled"),
    # of failures; also of a job outside its hours
    "waiting": ("clock", "Waits for another try"),
    "dead": ("circle-x", "Given up"),
    "handled": ("check", "Handled"),
    # of log entries
    "ok": ("circle-check", "Done"),
    "refused": ("ban", "Refused"),
    # of the installation
    "works": ("circle-check", "Works"),
    "warning": ("alert-triangle", "Look here"),
    "on": ("circle-check", "On"),
    "off": ("ban", "Off"),
    "missing": ("alert-triangle", "Missing"),
    "spare": ("info-circle", "Not needed"),
    "denied": ("circle-check", "Denied"),
    "through": ("alert-triangle", "Got through"),
}


@register.simple_tag
@cache
def icon(name: str, label: str = "") -> SafeString:
    """An icon of the sprite; decorative unless it has a label.

    Made once each: a page has a hundred, and the address of a static file is long to find.
    """
    href = static("icons.svg")
    if label:
        return format_html(
            '<svg class="icon" role="img" aria-label="{}"><use href="{}#{}"></use></svg>',
            label,
            href,
            name,
        )
    return format_html(
        '<svg class="icon" aria-hidden="true"><use href="{}#{}"></use></svg>', href, name
    )


@register.simple_tag
def state(name: str, title: str = "", word: str = "") -> SafeString:
    """A state as icon and word, its own unless another is given."""
    symbol, usual = STATES.get(name, ("info-circle", name))
    return format_html(
        '<span class="state state-{}" title="{}">{}<span>{}</span></span>',
        name,
        title,
        icon(symbol),
        word or usual,
    )


@register.simple_tag
def attachment_state(attachment: Attachment) -> SafeString:
    """What matters most about an attachment: held back or removed, else its processing state."""
    if attachment.visibility != Attachment.Visibility.VISIBLE:
        return state(attachment.visibility)
    return state(attachment.processing_state, words.outcome_words(attachment.failure_code))


@register.simple_tag
def ago(moment: datetime | None) -> SafeString | str:
    """A moment in words, with the exact time in UTC on hover."""
    if moment is None:
        return ""
    moment = moment.astimezone(UTC)
    return format_html(
        '<time datetime="{}" title="{}">{}</time>',
        moment.isoformat(timespec="seconds"),
        exact_words(moment),
        words.ago_words(moment),
    )


@register.simple_tag
def exactly(moment: datetime) -> SafeString:
    """A moment for a document: ``2026-11-25 04:31:07 UTC``."""
    moment = moment.astimezone(UTC)
    return format_html(
        '<time datetime="{}">{}</time>', moment.isoformat(timespec="seconds"), exact_words(moment)
    )


def exact_words(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%d %H:%M:%S UTC")


@register.simple_tag
def at(moment: datetime) -> SafeString:
    """A moment to come, by the clock: ``at 21:14``, or with its date when that is not today's."""
    local, now = timezone.localtime(moment), timezone.localtime()
    shape = "at %H:%M" if local.date() == now.date() else "on %-d %b at %H:%M"
    return format_html(
        '<time datetime="{}">{}</time>',
        moment.isoformat(timespec="seconds"),
        local.strftime(shape),
    )


@register.filter
def undo_batch(message: Message) -> str:
    """Of the message that something was decided: which batch takes it back."""
    tag = message.extra_tags or ""
    return tag.removeprefix("undo:") if tag.startswith("undo:") else ""


@register.filter
def number(value: int) -> str:
    """``1,234``."""
    return f"{value:,}"


@register.simple_tag
def short_name(name: str) -> SafeString:
    """A file name that loses its middle, never its end, when room is short.

    One that is read from the right stays in one piece, since two pieces side by side would be
    read in the wrong order; and no letter is taken from its accents.
    """
    name = words.visible(name)
    cut = max(0, len(name) - NAME_TAIL)
    while cut > 0 and unicodedata.category(name[cut])[0] == "M":
        cut -= 1
    if any(unicodedata.bidirectional(letter) in ("R", "AL") for letter in name):
        cut = 0
    head, tail = name[:cut], name[cut:]
    shape = "<bdi>{}</bdi><bdi>{}</bdi>" if head else "{}<bdi>{}</bdi>"
    return format_html(f'<span class="short-name">{shape}</span>', head, tail)


@register.simple_tag
def thumbnail_url(attachment: Attachment) -> str:
    return pictures.poster_address(attachment)


@register.simple_tag
def storyboard_url(attachment: Attachment) -> str:
    return pictures.storyboard_address(attachment)


@register.simple_tag
def how_many(count: int, singular: str, plural: str = "", limit: int = COUNT_LIMIT) -> str:
    """A count that may be "more than the limit", with its noun."""
    return words.count_words(count, limit, singular, plural)


@register.simple_tag(takes_context=True)
def rail(context: RequestContext) -> list[dict[str, Any]]:
    """The places of the rail, with their address, whether one is there, and their count."""
    request = context["request"]
    match = getattr(request, "resolver_match", None)
    name = match.url_name or "" if match else ""
    waiting = waiting_for(request).at
    return [
        {
            "place": place,
            "url": reverse(f"moderation:{place.url_name}"),
            "current": place.holds(name),
            "count": waiting.get(place, ""),
        }
        for place in places_for(request.user)
    ]


@register.simple_tag(takes_context=True)
def shortcuts(context: RequestContext) -> dict[str, Mapping[str, str]]:
    return shortcuts_for(context["request"].user)


@register.filter
def key_caps(keys: str) -> list[str]:
    """Each key of ``g v`` and ``Ctrl+K``."""
    return keys.replace("+", " ").split()


@register.simple_tag(takes_context=True)
def running_jobs(context: RequestContext) -> dict[str, Any]:
    """The unfinished jobs: whether there are any, how many of them run, where to look."""
    waiting = waiting_for(context["request"])
    number, word = (
        (waiting.at_work, "running") if waiting.at_work else (waiting.unfinished, "paused")
    )
    return {
        "any": waiting.unfinished > 0,
        "at_work": waiting.at_work,
        "words": f"{number} job{'s' * (number != 1)} {word}",
        "url": reverse("moderation:job", args=[waiting.job])
        if waiting.unfinished == 1
        else reverse("moderation:jobs"),
    }


@register.simple_tag(takes_context=True)
def address(context: RequestContext, **changes: object) -> str:
    """The page's query string with some parameters changed; None takes one away.

    After the ``list_path`` of the context, where a list is shown under another address.
    """
    query = context["request"].GET.copy()
    for name, value in changes.items():
        query.pop(name, None)
        if value is not None:
            query[name] = str(value)
    return f"{context.get('list_path', '')}?{query.urlencode()}"


@register.simple_tag(takes_context=True)
def from_here(context: RequestContext) -> str:
    """What a link out of a list carries along, so that the video's page knows its neighbours:
    filters and order, not the page."""
    return origin(context["request"].META.get("QUERY_STRING", ""))


@lru_cache(maxsize=64)  # each row of a list asks
def origin(list_query: str) -> str:
    query = QueryDict(list_query, mutable=True)
    for name in ("page", "per_page", "after", "before", "columns", "view"):
        query.pop(name, None)
    return urlencode({"from": query.urlencode()})


@register.simple_tag(takes_context=True)
def without(context: RequestContext, name: str) -> str:
    """The page's query string without one filter, on the first page."""
    return turn(context, **{name: None})


@register.simple_tag(takes_context=True)
def turn(context: RequestContext, **changes: object) -> str:
    """The address of another page of the list, or of its first one after some changes."""
    return address(context, **{**dict.fromkeys(PLACES), **changes})


@register.filter
def page_numbers(table: Any) -> list[int | None]:
    return near_numbers(table.page.number, table.paginator.num_pages)


@register.filter
def numbers_near(page: ListPage) -> list[int | None]:
    return near_numbers(page.number, page.pages)


def near_numbers(current: int, last: int) -> list[int | None]:
    """Page numbers to offer: the ends, the page's neighbours, None where some are left out."""
    near = {1, last, *range(current - 2, current + 3)}
    shown = sorted(number for number in near if 1 <= number <= last)
    numbers: list[int | None] = []
    for number in shown:
        if numbers and number - (numbers[-1] or 0) > 1:
            numbers.append(None)
        numbers.append(number)
    return numbers


@register.filter
def about(action: str, what: str) -> str:
    """What was done, where the page itself says to what: ``made renditions of it``."""
    return f"{action} {what}" if action.endswith((" of", " on", " for")) else action


@register.filter
def split(text: str) -> list[str]:
    """``"a b"`` as ``["a", "b"]``, to go through them."""
    return text.split()


@register.filter
def query(name: str, value: str) -> str:
    """``name=value``, safe in an address."""
    return urlencode({name: value})


@register.filter
def pretty(value: object) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False)


@register.inclusion_tag("moderation/_bar.html")
def progress_bar(progress: Progress) -> dict[str, Any]:
    """A bar in three colours; lengths are thousandths of its width."""
    x, parts = 0, []
    numbers = {
        "ready": progress.ready,
        "failed": progress.failed + progress.dead,
        "skipped": progress.skipped,
    }
    for name, number in numbers.items():
        width = round(1000 * number / progress.total) if progress.total else 0
        if number and not width:
            width = 4  # a single failure in a million is seen
        width = min(width, 1000 - x)
        parts.append((name, x, width))
        x += width
    return {"parts": parts, "percent": int(100 * progress.fraction)}
