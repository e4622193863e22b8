"""Huey's own consumer command, with workers that never outlive a killed consumer."""

from typing import Any

from huey.contrib.djhuey.management.commands import run_huey

from config.parent import end_family_with_parent


class Command(run_huey.Command):
    def handle(self, *args: Any, **options: Any) -> None:
        # Killed with -9 it would leave its workers taking tasks beside those of the next one.
        end_family_with_parent()
        super().handle(*args, **options)
