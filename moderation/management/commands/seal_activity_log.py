"""Sealing by hand what a consumer seals every few seconds."""

from typing import Any

from django.core.management.base import BaseCommand

from chat.models import UnsealedEntry
from chat.services import activity_chain

TOLD_EVERY = 50_000


class Command(BaseCommand):
    help = (
        "Chain all entries of the activity log that wait for their seal, as a consumer does every"
        " few seconds.  For the first time on a long log, or without a consumer.  Ctrl-C stops it;"
        " called again it goes on."
    )

    def handle(self, *_args: Any, **_options: Any) -> None:
        done = told = 0
        while sealed := activity_chain.seal_some():
            done += sealed
            if done - told >= TOLD_EVERY:
                told = done
                self.stdout.write(f"{done:,} sealed")
        self.stdout.write(f"{done:,} sealed, {UnsealedEntry.objects.count():,} wait.")
        self.stdout.write(f"Head: {activity_chain.head()}")
