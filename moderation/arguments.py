"""What the commands share: arguments, exit statuses, who acts, names on a terminal."""

import argparse
import getpass
import logging
import math
import os
import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import time
from typing import Any

from django.core.management.base import CommandError, CommandParser

from chat.models import Conversation
from chat.services.activity import Actor
from moderation.models import Job
from moderation.steering import Pace

# Exit statuses.
SOME_FAILED = 1
USAGE = 2  # as argparse's own
STOPPED = 3  # before its end: paused, cancelled, or the machine could not go on
INTERRUPTED = 130  # 128 + SIGINT, as shells say it

NO_LIMIT = "none"
WINDOW = re.compile(r"(\d{1,2}):(\d\d)[-–](\d{1,2}):(\d\d)", re.ASCII)
LARGEST_ID = 2**63 - 1


def number(text: str) -> int:
    """From 1 on, no larger than an id can be."""
    if not (text.isascii() and text.isdigit() and 1 <= int(text[:40]) <= LARGEST_ID):
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 1 on")
    return int(text)


def workers(text: str) -> int | str:
    return NO_LIMIT if text == NO_LIMIT else number(text)


def rate(text: str) -> float | str:
    """Items a second."""
    if text == NO_LIMIT:
        return NO_LIMIT
    try:
        found = float(text)
    except ValueError:
        found = math.nan
    if not found > 0:  # NaN too
        raise argparse.ArgumentTypeError(f"{text!r} is not a number above 0")
    return found


def window(text: str) -> tuple[time, time] | str:
    """``22:00-06:00``: hours of the day, which may lie past midnight."""
    if text == NO_LIMIT:
        return NO_LIMIT
    try:
        if not (found := WINDOW.fullmatch(text)):
            raise ValueError
        hour, minute, last_hour, last_minute = map(int, found.groups())
        return time(hour, minute), time(last_hour, last_minute)
    except ValueError:
        message = f"{text!r} is no part of the day: write it as 22:00-06:00"
        raise argparse.ArgumentTypeError(message) from None


def add_pace_arguments(parser: CommandParser) -> None:
    lift = f"“{NO_LIMIT}” lifts it"
    parser.add_argument("--workers", type=workers, help=f"at work at once, at most; {lift}")
    parser.add_argument(
        "--rate", type=rate, help=f"items a second, by all workers together, at most; {lift}"
    )
    parser.add_argument(
        "--window", type=window, metavar="22:00-06:00", help=f"hours of the day; {lift}"
    )


def pace_from(options: Mapping[str, Any], before: Pace) -> Pace:
    """``before``, with what the options say of it changed.

    Raises:
        CommandError: it makes no sense; exit status 2.
    """
    changes: dict[str, Any] = {}
    for name, option in (("workers", "workers"), ("items_per_second", "rate")):
        if options[option] is not None:
            changes[name] = None if options[option] == NO_LIMIT else options[option]
    if options["window"] is not None:
        hours = (None, None) if options["window"] == NO_LIMIT else options["window"]
        changes["hours_from"], changes["hours_until"] = hours
    try:
        return replace(before, **changes)
    except ValueError as error:
        raise CommandError(str(error), returncode=USAGE) from None


def job_numbered(pk: int) -> Job:
    """Raises CommandError when there is none; exit status 2."""
    job = Job.objects.filter(pk=pk).first()
    if job is None:
        message = f"There is no job {pk}: `manage.py jobs list --all` shows those there are."
        raise CommandError(message, returncode=USAGE)
    return job


def conversation_named(text: str) -> Conversation:
    """The conversation with this id, else the one with exactly this title.

    Raises:
        CommandError: there is none, or the title is not the only one; exit status 2.
    """
    if text.isascii() and text.isdigit() and len(text) < 19:
        by_id = Conversation.objects.filter(pk=int(text)).first()
        if by_id is not None:
            return by_id
    found = list(Conversation.objects.filter(title=text).order_by("pk")[:10])
    if not found:
        raise CommandError(f"There is no conversation {text!r}.", returncode=USAGE)
    if len(found) > 1:
        ids = ", ".join(str(conversation.pk) for conversation in found)
        raise CommandError(
            f"Several conversations are called {text!r}: use one of the ids {ids}.",
            returncode=USAGE,
        )
    return found[0]


def operator(command: str) -> Actor:
    """Whoever runs the command, for the activity log: ``jobs pause (anna)``."""
    return Actor(command=f"{command} ({account_name()})"[:150])


def account_name() -> str:
    """On this machine, of the person: under sudo, who called it."""
    try:
        return os.environ.get("SUDO_USER") or getpass.getuser()
    except (OSError, KeyError):  # the account has no name, as in some containers
        return f"uid {os.getuid()}"


def quieten(verbosity: int) -> None:
    """Leave what is in the summary anyway out of the log: each file that failed."""
    if verbosity < 2:
        logging.getLogger("chat.services.video_service").setLevel(logging.WARNING)


def printable(name: str) -> str:
    """A client's file name, with nothing in it that a terminal would act on."""
    return "".join(letter if letter.isprintable() else "�" for letter in name)
