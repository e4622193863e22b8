import json
import sys
from pathlib import Path
from typing import Any

from django.contrib.auth.models import User
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import transaction

from chat.models import ActivityLog, Conversation, Participant
from chat.services import activity
from chat.services.activity import Actor
from chat.services.importing import files_below, import_video, readable_name
from moderation.arguments import (
    INTERRUPTED,
    SOME_FAILED,
    USAGE,
    conversation_named,
    printable,
)

COMMAND = "import_videos"


class Command(BaseCommand):
    help = (
        "Bring every file in a folder and below in as a video without metadata; then run "
        "backfill_video_metadata.  Running it again imports what is new.  Exit status: 0, "
        "1 some files could not be read or stored, 2 usage, 130 interrupted."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("folder", type=Path, metavar="DIR")
        parser.add_argument("--conversation", required=True, help="its id or exact title")
        parser.add_argument("--user", help="who counts as the uploader; nobody by default")
        parser.add_argument(
            "--create",
            action="store_true",
            help="make the conversation, with --user as its owner, when there is none",
        )
        parser.add_argument(
            "--json", action="store_true", help="print one JSON object and nothing else"
        )

    def handle(self, *_args: Any, **options: Any) -> None:
        folder: Path = options["folder"]
        if not folder.is_dir():
            raise CommandError(f"{folder} is not a folder.", returncode=USAGE)
        user = self.user_named(options["user"])
        conversation = self.conversation_for(options["conversation"], user, options["create"])
        self.as_json = options["json"]
        self.totals = {"imported": 0, "skipped": 0, "failed": 0}
        self.files: list[dict[str, Any]] = []
        interrupted = False
        try:
            for path in files_below(folder, self.tell_failed):
                try:
                    imported = import_video(path, conversation, user, Actor(command=COMMAND))
                except OSError as error:
                    self.tell_failed(error, path)
                else:
                    outcome = "imported" if imported.is_new else "skipped"
                    self.tell(path, outcome, id=imported.attachment.pk)
        except KeyboardInterrupt:
            interrupted = True
        self.summarise(conversation)
        if interrupted:
            sys.exit(INTERRUPTED)
        if self.totals["failed"]:
            sys.exit(SOME_FAILED)

    def tell_failed(self, error: OSError, path: Path | None = None) -> None:
        self.tell(path or Path(str(error.filename)), "failed", detail=str(error))

    def tell(self, path: Path, outcome: str, **facts: Any) -> None:
        self.totals[outcome] += 1
        line = {"name": readable_name(path), "outcome": outcome, **facts}
        if self.as_json:
            self.files.append(line)
            return
        about = facts.get("detail") or f"attachment {facts['id']}"
        if outcome == "skipped":
            about = f"the same as {about}"
        self.stdout.write(f"{outcome:<9} {printable(line['name'])}  ({printable(about)})")

    def summarise(self, conversation: Conversation) -> None:
        if self.as_json:
            result = {"conversation": conversation.pk, **self.totals, "files": self.files}
            self.stdout.write(json.dumps(result))
            return
        counts = ", ".join(f"{count:,} {outcome}" for outcome, count in self.totals.items())
        self.stdout.write(f"{counts}.")
        if self.totals["imported"]:
            self.stdout.write(
                f"Now run: manage.py backfill_video_metadata --conversation {conversation.pk}"
            )

    def user_named(self, name: str | None) -> User | None:
        if not name:
            return None
        user = User.objects.filter(username=name).first()
        if user is None:
            raise CommandError(f"There is no user {name!r}.", returncode=USAGE)
        return user

    def conversation_for(self, text: str, user: User | None, create: bool) -> Conversation:
        if not create or Conversation.objects.filter(title=text).exists():
            return conversation_named(text)
        if user is None:
            raise CommandError("--create needs --user: the owner.", returncode=USAGE)
        actor = Actor(command=COMMAND)
        with transaction.atomic():
            conversation = Conversation.objects.create(title=text[:200], created_by=user)
            Participant.objects.create(
                conversation=conversation, user=user, role=Participant.Role.OWNER
            )
            activity.record(ActivityLog.Action.CONVERSATION_CREATED, actor, conversation)
        return conversation
