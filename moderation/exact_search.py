"""What in a search names one thing: a number, or a hash."""

import re

from django.db.models import Q

from chat.models import Attachment
from chat.video_text import MIN_CHARACTERS

HASH_START = re.compile(r"[0-9a-f]{8,64}", re.ASCII)


def exactly(text: str) -> Q | None:
    """``#12``, a number too short to search for, or the beginning of a video's SHA-256, where
    there is one that begins so; None for everything else."""
    if (number := number_in(text)) is not None:
        return Q(pk=number)
    if len(text) < MIN_CHARACTERS and (number := number_in(f"#{text}")) is not None:
        return Q(pk=number)
    start = text.lower()
    if HASH_START.fullmatch(start):
        begins = Q(sha256__gte=start, sha256__lt=f"{start}g")
        if Attachment.objects.filter(begins).exists():
            return begins
    return None


def number_in(text: str) -> int | None:
    """12 of ``#12``."""
    digits = text.removeprefix("#")
    known = text.startswith("#") and digits.isascii() and digits.isdigit() and len(digits) < 18
    return int(digits) if known else None
