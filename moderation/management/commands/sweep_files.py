"""Stored files that no row names, and what is left of uploads: shown, and deleted only when asked
to."""

import argparse
import json
import re
from collections.abc import Callable, Iterator
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from chat.services import resumable, uploads
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
        "List stored files that no row names, such as a crash leaves behind, and what is left of "
        "uploads that broke off or expired.  Nothing is deleted without --delete.  (A consumer "
        "deletes stored ones of the last two months each night and all on Sundays, those of "
        "uploads each hour.)"
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
        for name, bytes_long, delete in everything_left(options["older_than"]):
            size += bytes_long
            found.append({"name": name, "size": bytes_long})
            if not options["json"]:
                self.stdout.write(f"  {bytes_long:>14,} B  {name}")
            deleted += options["delete"] and delete()
        if options["json"]:
            result = {"found": len(found), "bytes": size, "deleted": deleted, "files": found}
            self.stdout.write(json.dumps(result))
            return
        files = "1 file" if len(found) == 1 else f"{len(found):,} files"
        end = f"{deleted:,} deleted." if options["delete"] else "None deleted: add --delete."
        words = f"{files} that no row names, {size_words(size)}."
        self.stdout.write(f"{words} {end}" if found else "Every stored file is named by a row.")


def everything_left(older_than: timedelta) -> Iterator[tuple[str, int, Callable[[], bool]]]:
    """Name, size in bytes, and what deletes it and tells whether it did."""
    for orphan in find_orphans(older_than):
        yield orphan.name, orphan.size, partial(delete_orphan, orphan)
    for path in uploads.abandoned(older_than.total_seconds()):
        yield f"incoming/{path.name}", size_of(path), partial(delete_file, path)
    for upload in resumable.expired():
        name = f"incoming/{upload.path.name} (an upload that expired)"
        yield name, size_of(upload.path), partial(resumable.sweep_upload, upload)
    for path in resumable.orphans():
        yield f"incoming/{path.name}", size_of(path), partial(delete_file, path)


def size_of(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def delete_file(path: Path) -> bool:
    path.unlink(missing_ok=True)
    return True
