"""How the pages say things: sizes, times, codecs, outcomes, scopes of a list."""

from datetime import datetime, timedelta

from django.utils import timezone

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
    "mp3": "MP3",
    "opus": "Opus",
    "vorbis": "Vorbis",
    "flac": "FLAC",
    "ac3": "AC-3",
    "eac3": "E-AC-3",
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


def duration_words(seconds: float | None) -> str:
    """A span for people: ``0.4 s``, ``42 s``, ``3 min 20 s``, ``2 h 5 min``."""
    if seconds is None:
        return ""
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


def count_words(count: int, limit: int, singular: str, plural: str = "") -> str:
    """``1 video``, ``24 videos``, ``10,000+ videos``."""
    noun = singular if count == 1 else (plural or f"{singular}s")
    return f"{limit:,}+ {noun}" if count > limit else f"{count:,} {noun}"
