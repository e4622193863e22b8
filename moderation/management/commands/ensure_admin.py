from typing import Any

from django.core.management.base import BaseCommand

from moderation.people import ensure_admin


class Command(BaseCommand):
    help = (
        "Make sure that an administrator exists, named and with the password that "
        "ADMIN_USERNAME and ADMIN_PASSWORD say, else generated and printed once."
    )

    def handle(self, *_args: Any, **_options: Any) -> None:
        made = ensure_admin()
        if made is not None:
            self.stdout.write(f"Administrator: {made.username}   password: {made.password}")
