"""Demo data: people, conversations with something to say, and clips, some of them legacy."""

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

from django.contrib.auth.models import Group, User
from django.db import transaction
from django.utils import timezone

from chat.models import ActivityLog, Attachment, Conversation, Message, Participant
from chat.services import activity, attachments
from chat.services.activity import Actor
from chat.services.importing import import_video
from chat.services.uploads import ReceivedFile
from moderation.demo_clips import PLAYLIST_NAME, make_clips
from moderation.people import NewAccount, readable_password

COMMAND = Actor(command="seed_demo")
READ_BYTES = 1024 * 1024

# Username → role in the dashboard.
PEOPLE = {
    "mara": "",
    "jonas": "",
    "priya": "",
    "tomas": "",
    "elif": "",
    "vera": "viewer",
    "malik": "moderator",
    "olivia": "operator",
}


@dataclass(frozen=True, slots=True)
class Line:
    """One message; a ``legacy`` clip is there as it was before videos were read."""

    sender: str
    text: str
    clip: str = ""
    legacy: bool = False


@dataclass(frozen=True, slots=True)
class Talk:
    """A conversation: the first of the people owns it; it began so many days ago."""

    title: str
    people: tuple[str, ...]
    days_ago: int
    lines: tuple[Line, ...]


TALKS = (
    Talk("Old club archive", ("tomas", "mara", "elif"), 160, (
        Line("tomas", "I found the club's old hard disk. Putting what still opens in here."),
        Line("tomas", "First batch, the early years.", "microscope_08.avi", legacy=True),
        Line("tomas", "", "presentation-1.wmv", legacy=True),
        Line("tomas", "", "dashcam 0412.avi", legacy=True),
        Line("elif", "The presentation! I still have the handout somewhere."),
        Line("tomas", "Captured from tape, the colours are off.", "broadcast capture.ts",
             legacy=True),
        Line("tomas", "", "nature_loop.ogv", legacy=True),
        Line("mara", "Is the trailer in there too?"),
        Line("tomas", "There is a file of that name. Tiny, though.", PLAYLIST_NAME, legacy=True),
        Line("tomas", "And this one broke off while copying.", "half transferred.mp4",
             legacy=True),
        Line("tomas", "", "edit-master.mov", legacy=True),
        Line("elif", "Thank you for doing this. That was a lot of tape."),
    )),
    Talk("Harbour film club", ("mara", "jonas", "priya", "tomas"), 9, (
        Line("mara", "Saturday's footage is coming in. Who has the evening shots?"),
        Line("jonas", "Me. This is the one from the pier.", "Harbour at dusk.mp4"),
        Line("priya", "Oh, that light!"),
        Line("priya", "Mine came out upright, I forgot to turn the phone.", "IMG_2057.MOV"),
        Line("mara", "Upright is fine for the foyer screen.", "kiosk portrait.mov"),
        Line("tomas", "Drone battery gave up, but the second pass is usable.",
             "drone pass 2.mkv"),
        Line("jonas", "Does the opening have to be black for two seconds?", "slow start.mp4"),
        Line("mara", "That is on purpose. Wait for it."),
        Line("priya", "Two loops for between the films:", "Aurora loop.mp4"),
        Line("priya", "", "Aurora loop.webm"),
        Line("tomas", "Test pattern for the projector, so nobody has to search again.",
             "test pattern.mkv"),
        Line("mara", "You are all wonderful. See you at seven."),
    )),
    Talk("Lab 4", ("elif", "priya", "jonas"), 5, (
        Line("elif", "The growth series from last night.", "whiteboard.webm"),
        Line("priya", "Can you show the screen while it runs?"),
        Line("elif", "Here, five seconds of it:", "screen-recording.webm"),
        Line("jonas", "Pixels look stretched on my side.", "wide anamorphic.mp4"),
        Line("elif", "They are anamorphic: 720 × 576 meant for 16:9."),
        Line("priya", "Downlink from this morning's pass.", "satellite.ts"),
        Line("jonas", "What is the orange blinking thing?", "blink.webm"),
        Line("elif", "The status lamp. It is happy."),
    )),
    Talk("", ("jonas", "mara"), 2, (
        Line("jonas", "You asked for the flight clip."),
        Line("jonas", "", "IMG_2041.MOV"),
        Line("mara", "Beautiful. And the upright one?"),
        Line("jonas", "From my other phone:", "VID_20261108_183355.mp4"),
        Line("mara", "Found the song as well, with its cover.", "Track 03 (with cover).mp4"),
        Line("jonas", "Perfect, cutting it tonight."),
    )),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Seeded:
    """What there is now; ``accounts`` are the new ones."""

    accounts: list[NewAccount]
    conversations: int
    messages: int
    videos: int
    legacy: int
    skipped: list[str]


def is_empty() -> bool:
    return not Conversation.objects.exists()


def seed(say: Callable[[str], None]) -> Seeded:
    """Make the clips, then people and conversations in one transaction: all of it or nothing.

    Raises:
        VideoError: ffmpeg is missing, or there is no room.
    """
    with TemporaryDirectory(prefix="offchat-demo-") as folder:
        say("Making short clips…")
        made = make_clips(Path(folder))
        with ExitStack() as undo, transaction.atomic():
            seeding = Seeding(made.clips, undo)
            for talk in TALKS:
                seeding.converse(talk)
    return Seeded(
        accounts=seeding.accounts,
        conversations=len(TALKS),
        messages=seeding.messages,
        videos=seeding.videos,
        legacy=seeding.legacy,
        skipped=made.skipped,
    )


class Seeding:
    """Rows and files as they are made; ``undo`` deletes the files when the rows are not kept."""

    def __init__(self, clips: dict[str, Path], undo: ExitStack) -> None:
        self.clips, self.undo = clips, undo
        self.accounts: list[NewAccount] = []
        self.messages = self.videos = self.legacy = 0
        self.people = {name: self._person(name, role) for name, role in PEOPLE.items()}

    def _person(self, name: str, role: str) -> User:
        """A new account; one that is there already stays as it is."""
        there = User.objects.filter(username=name).first()
        if there is not None:
            return there
        password = readable_password()
        user = User.objects.create_user(name, f"{name}@example.org", password)
        if role:
            user.groups.add(Group.objects.get(name=role))
        self.accounts.append(NewAccount(name, password))
        return user

    def converse(self, talk: Talk) -> None:
        began = timezone.now() - timedelta(days=talk.days_ago)
        owner = self.people[talk.people[0]]
        conversation = Conversation.objects.create(
            title=talk.title, created_by=owner, created_at=began
        )
        activity.record(ActivityLog.Action.CONVERSATION_CREATED, COMMAND, conversation)
        for name in talk.people:
            user = self.people[name]
            role = Participant.Role.OWNER if user == owner else Participant.Role.MEMBER
            Participant.objects.create(
                conversation=conversation, user=user, role=role, joined_at=began
            )
        for number, line in enumerate(talk.lines):
            # Uneven, as people write: the gaps grow and shrink.
            self.write(line, conversation, began + timedelta(minutes=7 * number + number**3 % 41))

    def write(self, line: Line, conversation: Conversation, at: datetime) -> None:
        clip = self.clips.get(line.clip)
        if line.clip and clip is None and not line.text:
            return
        sender = self.people[line.sender]
        message = Message.objects.create(
            conversation=conversation, sender=sender, content=line.text, created_at=at
        )
        self.messages += 1
        if clip is None:
            return
        if line.legacy:
            self.attach_legacy(clip, message)
        else:
            self.upload(clip, message)

    def attach_legacy(self, clip: Path, message: Message) -> None:
        imported = import_video(clip, message.conversation, message.sender, COMMAND)
        file = imported.attachment.file
        self.undo.push(
            lambda kind, *_: file.storage.delete(file.name or "") if kind is not None else None
        )
        Attachment.objects.filter(pk=imported.attachment.pk).update(
            message=message, created_at=message.created_at
        )
        self.legacy += 1

    def upload(self, clip: Path, message: Message) -> None:
        """The road that the API's uploads take."""
        actor = Actor(user=message.sender)
        received = ReceivedFile(clip.name)
        self.undo.callback(received.discard)
        with clip.open("rb") as source:
            while block := source.read(READ_BYTES):
                received.append(block)
        received.finish()
        (attachment,) = self.undo.enter_context(
            attachments.stored([received], message.conversation, actor, only_videos=True)
        )
        attachment.created_at = message.created_at
        attachments.save(attachment, actor, message)
        self.videos += 1
