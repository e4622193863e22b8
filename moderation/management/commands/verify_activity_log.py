"""Is the activity log what was written?"""

import argparse
import time
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from chat import append_only
from chat.models import UnsealedEntry
from chat.services import activity_chain
from chat.services.activity_chain import BrokenChainError, Head, Span


def entry_id(text: str) -> int:
    if not text.isdecimal() or not 0 < int(text) < 2**63:
        raise argparse.ArgumentTypeError(f"{text!r} is not an entry's number")
    return int(text)


def anchor(text: str) -> Head:
    try:
        return Head.parse(text)
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"{text!r} is not a head such as 120:9f86d0… (64 hexadecimal digits)"
        ) from None


class Command(BaseCommand):
    help = (
        "Follow the hash chain over the activity log.  Names the first entry that was altered,"
        " deleted or reordered, with exit status 1.  Prints the head: kept elsewhere and given"
        " back with --expect, it shows whether the chain was made anew since."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--from", dest="first", type=entry_id, help="first entry to look at")
        parser.add_argument("--until", dest="last", type=entry_id, help="last entry to look at")
        parser.add_argument(
            "--expect", type=anchor, action="append", default=[], metavar="HEAD",
            help="a head printed before, which must be in the chain; may be repeated",
        )  # fmt: skip

    def handle(self, *_args: Any, **options: Any) -> None:
        began = time.monotonic()
        try:
            seen = self.look(options["first"], options["last"], options["expect"])
        except BrokenChainError as broken:
            raise CommandError(str(broken), returncode=1) from None
        seconds = time.monotonic() - began
        self.stdout.write(
            f"{seen:,} entries are as they were sealed ({seen / max(seconds, 0.001):,.0f} a"
            f" second); {UnsealedEntry.objects.count():,} wait for their seal."
        )
        self.stdout.write(f"Head: {activity_chain.head()}")

    def look(self, first: int | None, last: int | None, expected: list[Head]) -> int:
        if lacking := append_only.missing():
            raise BrokenChainError(
                f"Triggers that protect the log are not in force: {', '.join(sorted(lacking))}."
            )
        for known in expected:
            if not known.is_in_the_chain:
                raise BrokenChainError(
                    f"The chain does not contain {known}: entries were cut off at its end, or it"
                    " was made anew."
                )
        span = Span.of_entries(first, last)
        seen = sum(activity_chain.verify(span))
        activity_chain.verify_no_stranger(first, last)
        return seen
