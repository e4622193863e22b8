"""Stored files that no row names: shown, and deleted only when asked to."""

import argparse
import json
import re
from datetime import timedelta
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from chat.services.orphans import ABANDONED, delete_orphan, find_orphans
from moderation.words import size_words

UNITS = {"m": "minutes", "h": "hours", "d": "days"}


def span(text: str) -> timedelta:
    """``90m``, ``24h`` or ``7d``."""
    found = re.fullmatch(r"(\d{1,6})([mhd])", text)
    if not found:
        raise argparse.ArgumentTypeError(f"{text!r} is not a time such as 90m, 24h or 7d")
    return timedelta(**{UNITS[found[2]]: int(found[1])})


class Command(BaseCommand):
    help = (
        "List stored files that no row names, such as a crash leaves behind.  Nothing is deleted "
        "without --delete.  (A consumer deletes those of the last two months each night.)"
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--delete", action="store_true", help="delete what is found")
        parser.add_argument(
            "--older-than",
            type=span,
            default=ABANDONED,
            help="leave out what was written to within this time: 90m, 24h (default), 7d",
        )
        parser.add_argument("--json", action="store_true", help="print one JSON object")

    def handle(self, *_args: Any, **options: Any) -> None:
        found, size, deleted = [], 0, 0
        for orphan in find_orphans(options["older_than"]):
            size += orphan.size
            if options["json"]:
                found.append({"name": orphan.name, "size": orphan.size})
            else:
                found.append({})
                self.stdout.write(f"  {orphan.size:>14,} B  {orphan.name}")
            deleted += options["delete"] and delete_orphan(orphan)
        if options["json"]:
            result = {"found": len(found), "bytes": size, "deleted": deleted, "files": found}
            self.stdout.write(json.dumps(result))
            return
        files = "1 file" if len(found) == 1 else f"{len(found):,} files"
        end = f"{deleted:,} deleted." if options["delete"] else "None deleted: add --delete."
        words = f"{files} that no row names, {size_words(size)}."
        self.stdout.write(f"{words} {end}" if found else "Every stored file is named by a row.")
