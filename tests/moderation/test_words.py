"""How pages say things."""

from datetime import timedelta

import pytest
from django.core.exceptions import ValidationError
from django.utils import timezone

from moderation.form_fields import ClockField
from moderation.templatetags.dashboard import details_words, short_name
from moderation.words import (
    ago_words,
    count_words,
    duration_words,
    outcome_words,
    rough_span_words,
    size_words,
)


@pytest.mark.parametrize(
    ("size", "words"),
    [
        (None, ""),
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.0 kB"),
        (99_949, "99.9 kB"),
        (99_950, "100 kB"),
        (999_949, "1000 kB"),
        (999_950, "1.0 MB"),
        (12_345_678, "12.3 MB"),
        (2 * 10**9, "2.0 GB"),
        (5 * 10**16, "50000 TB"),
    ],
)
def test_sizes(size: int | None, words: str) -> None:
    assert size_words(size) == words


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (None, ""),
        (0, "0 s"),
        (5.0, "5 s"),
        (9.94, "9.9 s"),
        (59.4, "59 s"),
        (59.6, "1 min"),
        (200, "3 min 20 s"),
        (3600, "1 h"),
        (7500, "2 h 5 min"),
    ],
)
def test_spans(seconds: float | None, words: str) -> None:
    assert duration_words(seconds) == words


@pytest.mark.parametrize(
    ("past", "words"),
    [
        (timedelta(seconds=-30), "just now"),
        (timedelta(seconds=44), "just now"),
        (timedelta(seconds=50), "1 min ago"),
        (timedelta(minutes=59), "59 min ago"),
        (timedelta(hours=5), "5 h ago"),
        (timedelta(days=1, hours=1), "yesterday"),
        (timedelta(days=3), "3 days ago"),
    ],
)
def test_moments(past: timedelta, words: str) -> None:
    assert ago_words(timezone.now() - past) == words


def test_older_moments_are_dates() -> None:
    assert ago_words(timezone.now().replace(year=2001, month=2, day=3)) == "3 Feb 2001"


def test_counts() -> None:
    assert count_words(1, 10_000, "video") == "1 video"
    assert count_words(0, 10_000, "video") == "0 videos"
    assert count_words(10_001, 10_000, "entry", "entries") == "10,000+ entries"


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (None, ""),
        (42, "42 s"),
        (100, "1 min 40 s"),
        (101, "2 min"),
        (3599, "60 min"),
        (3600, "1 h"),
    ],
)
def test_guessed_spans(seconds: float | None, words: str) -> None:
    assert rough_span_words(seconds) == words


def test_outcomes_of_other_versions_have_no_words() -> None:
    assert "not one frame" in outcome_words("no_decodable_frame")
    assert outcome_words("of_another_version") == ""


def test_short_names_keep_their_end() -> None:
    assert short_name("a<b>.mp4").count("&lt;") == 1
    assert "<bdi>holiday (fi</bdi><bdi>nal).webm</bdi>" in short_name("holiday (final).webm")


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90", 90.0),
        ("0.5", 0.5),
        ("90 s", 90.0),
        ("5 min", 300.0),
        ("5MIN", 300.0),
        ("2h", 7200.0),
        ("1:30", 90.0),
        ("90:00", 5400.0),
        ("1:02:03.5", 3723.5),
        ("", None),
        (" ", None),
    ],
)
def test_clock_times(text: str, seconds: float | None) -> None:
    assert ClockField(required=False).clean(text) == seconds


@pytest.mark.parametrize(
    "text", ["x", "-1", "1:60", "1:2:3:4", "nan", "inf", "1e9", "9" * 50, "١"]
)
def test_what_is_no_clock_time(text: str) -> None:
    with pytest.raises(ValidationError):
        ClockField(required=False).clean(text)


def test_details_in_one_line() -> None:
    details = {"kinds": ["preview", "storyboard"], "size": 12, "changes": {"title": ["a", "b"]}}
    assert details_words(details) == "kinds: preview, storyboard, size: 12"
    assert details_words({}) == "Details"
