"""Huey's own consumer command, with workers that never outlive a killed consumer."""

from typing import Any

from django.conf import settings
from huey.contrib.djhuey.management.commands import run_huey

from chat.services.sandbox_state import check_at_start
from config.parent import end_family_with_parent


class Command(run_huey.Command):
    def handle(self, *args: Any, **options: Any) -> None:
        # Killed with -9 it would leave its workers taking tasks beside those of the next one.
        end_family_with_parent()
        check_at_start(settings.MEDIA_SANDBOX)
        super().handle(*args, **options)
