from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from chat.errors import VideoError
from moderation import demo
from moderation.people import NewAccount, ensure_admin


class Command(BaseCommand):
    help = (
        "Fill an empty installation with people, conversations and about 24 short clips in many "
        "codecs, some of them without metadata, and make an administrator."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--force", action="store_true", help="add the demo to what there is already"
        )

    def handle(self, *_args: Any, **options: Any) -> None:
        if not (options["force"] or demo.is_empty()):
            raise CommandError("There are conversations already; --force adds the demo's to them.")
        try:
            seeded = demo.seed(self.stdout.write)
        except VideoError as error:
            raise CommandError(f"{error.outcome.operator} {error.detail}".strip()) from error
        for sentence in seeded.skipped:
            self.stdout.write(f"Left out: {sentence}")
        self.stdout.write(
            f"{seeded.conversations} conversations, {seeded.messages} messages, "
            f"{seeded.videos} videos, {seeded.legacy} legacy ones without metadata."
        )
        if seeded.accounts:
            self.stdout.write("People and their passwords, shown only now:")
        for account in seeded.accounts:
            self.tell(account, demo.PEOPLE[account.username])
        admin = ensure_admin()
        if admin is not None:
            self.tell(admin, "administrator")

    def tell(self, account: NewAccount, role: str) -> None:
        self.stdout.write(f"  {account.username:<8} {account.password}  {role}".rstrip())
