"""Form fields that the filters need and Django lacks."""

import re
from typing import Any

from django import forms

CLOCK = re.compile(r"(?:(\d{1,3}):)?(\d{1,5}):([0-5]?\d(?:\.\d{1,3})?)", re.ASCII)
SECONDS = re.compile(r"(\d{1,7}(?:\.\d{1,3})?)\s*(s|min|h)?", re.ASCII)
UNIT_SECONDS = {None: 1, "s": 1, "min": 60, "h": 3600}


class ClockField(forms.CharField):
    """A duration as people write it (``90``, ``1:30``, ``5 min``, ``1:02:03``) in seconds."""

    def to_python(self, value: Any) -> Any:
        text = super().to_python(value)
        if not text:
            return None
        if clock := CLOCK.fullmatch(text):
            hours, minutes, seconds = clock.groups()
            return int(hours or 0) * 3600 + int(minutes) * 60 + float(seconds)
        if plain := SECONDS.fullmatch(text.lower()):
            return float(plain[1]) * UNIT_SECONDS[plain[2]]
        raise forms.ValidationError(f"“{text}” is not a length: write 90, 1:30 or 5 min.")

    def validate(self, value: Any) -> None:
        if value is None and self.required:
            super().validate("")

    def run_validators(self, value: Any) -> None:
        """The validators of text say nothing about seconds."""
