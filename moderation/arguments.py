"""What the commands share: arguments, exit statuses, names on a terminal."""

import argparse

from django.core.management.base import CommandError

from chat.models import Conversation

# Exit statuses.
SOME_FAILED = 1
USAGE = 2  # as argparse's own
INTERRUPTED = 130  # 128 + SIGINT, as shells say it
TERMINATED = 143


def positive(text: str) -> int:
    try:
        number = int(text)
    except ValueError:
        number = 0
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 1 on")
    return number


def conversation_named(text: str) -> Conversation:
    """The conversation with this id, else the one with exactly this title.

    Raises:
        CommandError: there is none, or the title is not the only one; exit status 2.
    """
    if text.isascii() and text.isdigit() and len(text) < 19:
        by_id = Conversation.objects.filter(pk=int(text)).first()
        if by_id is not None:
            return by_id
    found = list(Conversation.objects.filter(title=text).order_by("pk")[:10])
    if not found:
        raise CommandError(f"There is no conversation {text!r}.", returncode=USAGE)
    if len(found) > 1:
        ids = ", ".join(str(conversation.pk) for conversation in found)
        raise CommandError(
            f"Several conversations are called {text!r}: use one of the ids {ids}.",
            returncode=USAGE,
        )
    return found[0]


def printable(name: str) -> str:
    """A client's file name, with nothing in it that a terminal would act on."""
    return "".join(letter if letter.isprintable() else "�" for letter in name)
