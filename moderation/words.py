"""How the pages say things: sizes, times, codecs, outcomes, scopes of a list."""

from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

from django.utils import timezone
from django.utils.text import Truncator

from chat.errors import OUTCOMES

CODECS = {
    "h264": "H.264",
    "hevc": "HEVC",
    "vp8": "VP8",
    "vp9": "VP9",
    "av1": "AV1",
    "mpeg4": "MPEG-4",
    "msmpeg4v2": "MS MPEG-4 v2",
    "msmpeg4v3": "MS MPEG-4 v3",
    "mpeg2video": "MPEG-2",
    "mpeg1video": "MPEG-1",
    "theora": "Theora",
    "mjpeg": "Motion JPEG",
    "prores": "ProRes",
    "h263": "H.263",
    "flv1": "Sorenson H.263",
    "wmv1": "WMV 7",
    "wmv2": "WMV 8",
    "wmv3": "WMV 9",
    "vc1": "VC-1",
    "aac": "AAC",
    "mp2": "MP2",
    "mp3": "MP3",
    "opus": "Opus",
    "vorbis": "Vorbis",
    "flac": "FLAC",
    "ac3": "AC-3",
    "eac3": "E-AC-3",
    "amr_nb": "AMR",
    "wmav2": "WMA 2",
    "pcm_s16le": "PCM",
}
CONTAINERS = {
    "mp4": "MP4",
    "mov": "MOV",
    "webm": "WebM",
    "matroska": "MKV",
    "avi": "AVI",
    "mpegts": "MPEG-TS",
    "mpeg": "MPEG-PS",
    "ogg": "OGG",
    "flv": "FLV",
    "asf": "WMV",
    "3gp": "3GP",
}


# Zero width non-joiner and joiner: between letters of Persian or Hindi, in pictures of a family.
JOINERS = "\u200c\u200d"


def codec_words(codec: str) -> str:
    return CODECS.get(codec, codec)


def container_words(container: str) -> str:
    return CONTAINERS.get(container, container)


def size_words(size_bytes: int | None) -> str:
    """``12.3 MB``; decimal units, as disks and browsers count."""
    if size_bytes is None:
        return ""
    if size_bytes < 1000:
        return f"{size_bytes} B"
    size = float(size_bytes)
    for unit in ("kB", "MB", "GB", "TB"):
        size /= 1000
        if size < 999.95 or unit == "TB":
            break
    return f"{size:.1f} {unit}" if size < 99.95 else f"{size:.0f} {unit}"


def bitrate_words(kbps: int | None) -> str:
    """``820 kbit/s``, ``4.2 Mbit/s``."""
    if kbps is None:
        return ""
    return f"{kbps} kbit/s" if kbps < 1000 else f"{kbps / 1000:.1f} Mbit/s"


def dimensions_words(dimensions: tuple[int, int] | None) -> str:
    """``1280 × 720``; empty where they are unknown."""
    return "{} × {}".format(*dimensions) if dimensions else ""


def seconds_words(seconds: float | None) -> str:
    """The exact number beside the rounded one: ``4.01 s``, ``36,000 s``."""
    return "" if seconds is None else f"{round(seconds, 2):,g} s"


def rate_words(a_second: float | None) -> str:
    """``7.2``; a dash where nothing was measured."""
    return f"{a_second:,.1f}" if a_second else "–"


def duration_words(seconds: float | None) -> str:
    """A span for people: ``49 ms``, ``0.4 s``, ``42 s``, ``3 min 20 s``, ``2 h 5 min``."""
    if seconds is None:
        return ""
    if 0 < seconds < 0.1:
        return f"{max(1, round(seconds * 1000))} ms"
    if seconds < 10:
        return f"{round(seconds, 1):g} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    if minutes < 60:
        return f"{minutes} min {rest} s" if rest else f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if minutes else f"{hours} h"


def rough_span_words(seconds: float | None) -> str:
    """A span that is only guessed: ``42 s``, ``4 min``, ``2 h 5 min``."""
    if seconds is not None and 100 < seconds < 3600:
        return f"{round(seconds / 60)} min"
    return duration_words(seconds)


def ago_words(moment: datetime) -> str:
    """``just now``, ``5 min ago``, ``3 h ago``, ``2 days ago``, then the date."""
    past = timezone.now() - moment
    if past < timedelta(seconds=45):
        return "just now"
    minutes = round(past.total_seconds() / 60)
    if minutes < 60:
        return f"{max(1, minutes)} min ago"
    if minutes < 24 * 60:
        return f"{minutes // 60} h ago"
    if past.days < 7:
        return "yesterday" if past.days == 1 else f"{past.days} days ago"
    shape = "%-d %b" if moment.year == timezone.now().year else "%-d %b %Y"
    return timezone.localtime(moment).strftime(shape)


def outcome_words(code: str) -> str:
    """The operator's sentence of an outcome code; empty for a code of another version."""
    outcome = OUTCOMES.get(code)
    return outcome.operator if outcome else ""


def code_words(code: str) -> str:
    """``no decodable frame``, where there is no room for the sentence."""
    return code.replace("_", " ")


def visible(name: str) -> str:
    """A name whose invisible characters are seen: what turns the direction of writing around, or
    has no width, can make one name look like another.  Joiners stay where a script or a picture
    of several signs needs them."""
    return "".join(
        letter
        if letter.isprintable() or (letter in JOINERS and not before.isascii())
        else "\N{REPLACEMENT CHARACTER}"
        for before, letter in pairwise(f" {name}")
    )


def details_words(details: dict[str, Any]) -> str:
    """The first facts of an entry's details, short enough for one line."""
    facts = [fact_words(name, value) for name, value in details.items()]
    return Truncator(", ".join(filter(None, facts)) or "Details").chars(60)


def fact_words(name: str, value: object) -> str:
    """``kinds: preview``, ``time: 2.5 s``, ``again``; nothing for what says nothing."""
    if name == "batch" or value is None or value is False or isinstance(value, dict):
        return ""
    label = name.removesuffix("_seconds").replace("_", " ")
    if value is True:
        return label
    if isinstance(value, list):
        value = ", ".join(map(str, value))
    elif name.endswith("_seconds") and isinstance(value, int | float):
        value = duration_words(value)
    elif name in ("size", "bytes") and isinstance(value, int):
        value = size_words(value)
    return f"{label}: {value}"


def count_words(count: int, limit: int, singular: str, plural: str = "") -> str:
    """``1 video``, ``24 videos``, ``10,000+ videos``."""
    noun = singular if count == 1 else (plural or f"{singular}s")
    return f"{limit:,}+ {noun}" if count > limit else f"{count:,} {noun}"
