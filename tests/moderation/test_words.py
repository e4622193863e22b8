"""How pages say things."""

from datetime import timedelta

import pytest
from django.core.exceptions import ValidationError
from django.utils import timezone

from moderation.form_fields import ClockField
from moderation.templatetags.dashboard import short_name
from moderation.words import (
    ago_words,
    bitrate_words,
    count_words,
    details_words,
    dimensions_words,
    duration_words,
    outcome_words,
    rate_words,
    rough_span_words,
    seconds_words,
    size_words,
    visible,
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
        (0.0004, "1 ms"),
        (0.049, "49 ms"),
        (0.42, "0.4 s"),
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


def test_facts_of_a_video() -> None:
    assert bitrate_words(820) == "820 kbit/s"
    assert bitrate_words(1161) == "1.2 Mbit/s"
    assert dimensions_words((1280, 720)) == "1280 × 720"
    assert dimensions_words(None) == ""
    assert [seconds_words(value) for value in (None, 0, 4.013, 36000.0)] == [
        "", "0 s", "4.01 s", "36,000 s",
    ]  # fmt: skip
    assert [rate_words(value) for value in (None, 7.24, 1234)] == ["–", "7.2", "1,234.0"]


def test_names_that_are_no_plain_latin() -> None:
    """One that is read from the right stays whole, accents stay on their letter, and what cannot
    be seen is made visible."""
    assert "<bdi>הסרטון של החתונה.mov</bdi></span>" in short_name("הסרטון של החתונה.mov")
    assert "<bdi>n\u0303ords.mp4</bdi>" in short_name("a man\u0303ords.mp4")
    assert "\ufffdgpj.exe" in short_name("photo\u202egpj.exe").replace("</bdi><bdi>", "")
    assert "<bdi>x</bdi></span>" in short_name("x")
    assert visible("a\u200db\nc") == "a\ufffdb\ufffdc"
    assert visible("\U0001f468\u200d\U0001f469.mp4") == "\U0001f468\u200d\U0001f469.mp4"


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
    assert details_words(details) == "kinds: preview, storyboard, size: 12 B"
    reported = {"reason": "hate", "time_seconds": 2.5, "again": True}
    assert details_words(reported) == "reason: hate, time: 2.5 s, again"
    assert details_words({"time_seconds": None, "again": False, "batch": "f00"}) == "Details"
    assert details_words({}) == "Details"
