import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from config.parent import end_with_supervisor
from moderation import backfill
from moderation.arguments import job_numbered, number, quieten
from moderation.consumer import lower_priority
from moderation.stopping import Stopped, stoppable


class Command(BaseCommand):
    help = "Started by `backfill_video_metadata --workers`, and ends with it; says nothing."
    requires_system_checks = []  # the command that started this made them

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("job", type=number, metavar="JOB")

    def handle(self, *_args: Any, **options: Any) -> None:
        quieten(options["verbosity"])
        try:
            with stoppable():
                end_with_supervisor()
                lower_priority("jobs")
                backfill.run_inline(job_numbered(options["job"]), lambda _progress: None)
        except Stopped as stopped:
            sys.exit(stopped.exit_status)
