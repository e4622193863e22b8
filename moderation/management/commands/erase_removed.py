"""The bytes of removed videos: what is due, and its deletion."""

import json
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandParser
from django.db.models import Count, Sum

from moderation import retention
from moderation.arguments import operator
from moderation.management.commands.sweep_files import span
from moderation.words import size_words


class Command(BaseCommand):
    help = (
        "Delete the bytes of videos that were removed more than REMOVED_RETENTION_DAYS ago and "
        "are not under hold.  Their rows and the decisions on them stay.  (A consumer does it "
        "each night.)"
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--dry-run", action="store_true", help="delete nothing")
        parser.add_argument(
            "--older-than",
            type=span,
            help=f"24h, 7d, by itself {settings.REMOVED_RETENTION_DAYS}d: removed before that",
        )
        parser.add_argument("--json", action="store_true", help="print one JSON object")

    def handle(self, *_args: Any, **options: Any) -> None:
        older_than: timedelta | None = options["older_than"]
        found = retention.due(older_than).aggregate(count=Count("pk"), size=Sum("size", default=0))
        erased = 0
        if not options["dry_run"]:
            erased = retention.erase_due(older_than, operator("erase_removed"))
        if options["json"]:
            result = {"due": found["count"], "bytes": found["size"], "erased": erased}
            self.stdout.write(json.dumps(result))
            return
        videos = "1 video" if found["count"] == 1 else f"{found['count']:,} videos"
        done = "None deleted: a dry run." if options["dry_run"] else f"{erased:,} deleted."
        self.stdout.write(f"{videos} due, {size_words(found['size'])}. {done}")
