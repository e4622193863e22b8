"""Form fields that the filters need and Django lacks."""

import re
from typing import Any

from django import forms

SIZE = re.compile(r"(\d{1,12}(?:\.\d{1,3})?)\s*(b|kb|mb|gb|tb)?", re.ASCII)
UNIT_BYTES = {None: 10**6, "b": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9, "tb": 10**12}
LARGEST = 2**62  # more than any database's number of bytes may be
CLOCK = re.compile(r"(?:(\d{1,3}):)?(\d{1,5}):([0-5]?\d(?:\.\d{1,3})?)", re.ASCII)
SECONDS = re.compile(r"(\d{1,7}(?:\.\d{1,3})?)\s*(s|min|h)?", re.ASCII)
UNIT_SECONDS = {None: 1, "s": 1, "min": 60, "h": 3600}


class MeasureField(forms.CharField):
    """A number that people write in their own way; ``to_python`` gives None for nothing."""

    def validate(self, value: Any) -> None:
        if value is None and self.required:
            super().validate("")

    def run_validators(self, value: Any) -> None:
        """The validators of text say nothing about numbers."""


class SizeField(MeasureField):
    """A size as people write it (``5 MB``, ``1.5gb``, ``300 kB``; ``20`` is 20 MB) in bytes."""

    def to_python(self, value: Any) -> Any:
        text = super().to_python(value)
        if not text:
            return None
        if plain := SIZE.fullmatch(text.lower()):
            return min(round(float(plain[1]) * UNIT_BYTES[plain[2]]), LARGEST)
        raise forms.ValidationError(f"“{text}” is not a size: write 5 MB, 300 kB or 1.5 GB.")


class ClockField(MeasureField):
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
