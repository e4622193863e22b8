"""`manage.py run_huey --queue jobs|uploads`: the consumer of one queue on this machine."""

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandParser
from django.db import connections

from chat.checks import MEDIA
from chat.services.sandbox_state import check_at_start
from config.parent import end_family_with_parent
from moderation.consumer import Consumer, free_what_is_frozen, lower_priority
from moderation.queues import QUEUES, create_tables


class Command(BaseCommand):
    help = (
        "Works on a queue until it is stopped: with INT what is running finishes, within a few"
        " seconds; with TERM it is given back."
    )

    # The others are mostly about addresses and views, which it would import for nothing.
    requires_system_checks = [MEDIA]

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--queue", choices=QUEUES, default="jobs", help="default: jobs")
        parser.add_argument("--workers", type=int, help="processes; default: as set for the queue")

    def handle(self, *, queue: str, workers: int | None, **options: Any) -> None:
        # Killed with -9 it would leave its workers taking tasks beside those of the next one.
        end_family_with_parent()
        free_what_is_frozen()
        check_at_start(settings.MEDIA_SANDBOX)
        create_tables()
        lower_priority(queue)
        connections.close_all()  # or the workers would have one that is another process's too
        Consumer(queue, workers or settings.QUEUE_WORKERS[queue]).run()
