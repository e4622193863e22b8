"""The set of videos as the command line names it, and back."""

import csv
import io
import shlex
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from django.core.management.base import CommandError, CommandParser

from chat.models import Attachment
from moderation.arguments import LARGEST_ID, USAGE, conversation_named, number
from moderation.models import Job
from moderation.scopes import ONLY, Scope
from moderation.video_filters import VideoFilter

STANDARD_INPUT = "-"
COLUMN = "id"
OPTIONS = ("only", "kind", "limit", "conversation", "scope_filter", "ids", "until")


def add_scope_arguments(parser: CommandParser) -> None:
    parser.add_argument("--kind", choices=Job.WORK, help="of work; metadata by default")
    parser.add_argument(
        "--only",
        choices=ONLY,
        help="those that lack it (default), those that failed, those done by an older version, "
        "or all again",
    )
    parser.add_argument("--limit", type=number, help="at most so many, the oldest first")
    parser.add_argument("--conversation", help="only of this one: its id or exact title")
    parser.add_argument(
        "--scope-filter",
        action="append",
        metavar="NAME=VALUE",
        help="narrow as the dashboard's list of videos does in its address (repeatable): "
        + ", ".join(VideoFilter.base_filters),
    )
    parser.add_argument(
        "--ids",
        metavar="FILE.csv",
        help=f"only these: the column named {COLUMN}, else the first one; - reads standard input",
    )
    parser.add_argument(
        "--until", type=number, metavar="ID", help="none above it: the set that a dry run counted"
    )


def scope_from(options: Mapping[str, Any]) -> tuple[str, Scope]:
    """(kind, scope).

    Raises:
        CommandError: with what would be right; exit status 2.
    """
    conversation = options["conversation"]
    scope = Scope(
        only=options["only"] or "missing",
        ids=ids_from(options["ids"]) if options["ids"] else (),
        conversation=conversation_named(conversation).pk if conversation else None,
        filters=filters_from(options["scope_filter"] or ()),
        limit=options["limit"],
        until=options["until"],
    )
    return options["kind"] or Job.Kind.METADATA, scope


def command_line(options: Mapping[str, Any], until: int) -> str:
    """The command that runs on the same set, frozen at ``until``."""
    words = ["manage.py", "backfill_video_metadata"]
    for name in (*OPTIONS, "workers", "rate"):
        value = until if name == "until" else options[name]
        for each in value if isinstance(value, list) else [value]:
            if each is not None:
                words += [f"--{name.replace('_', '-')}", str(each)]
    if isinstance(options["window"], tuple):
        words += ["--window", "{:%H:%M}-{:%H:%M}".format(*options["window"])]
    return shlex.join(words)


def filters_from(pairs: Sequence[str]) -> dict[str, str]:
    """{name: value} of ``NAME=VALUE``, each of which the list of videos would take.

    Raises:
        CommandError: with what is accepted instead; exit status 2.
    """
    filters: dict[str, str] = {}
    for pair in pairs:
        name, _, value = pair.partition("=")
        if name not in VideoFilter.base_filters:
            names = ", ".join(VideoFilter.base_filters)
            raise filter_error(pair, f"there is no filter {name!r}; the names are {names}.")
        if not value.strip():
            raise filter_error(pair, "it has no value: write NAME=VALUE.")
        if name in filters:
            raise filter_error(pair, f"{name} is given twice.")
        filters[name] = value
    narrowed = VideoFilter(filters, queryset=Attachment.objects.none())
    for name, messages in narrowed.errors.items():
        choices = getattr(narrowed.form.fields[name], "choices", ())
        values = ", ".join(str(key) for key, _words in choices if key)
        accepted = f"{name} is one of {values}." if values else " ".join(messages)
        if name.startswith("date_") and "valid" in accepted:
            accepted += " Write it as 2024-12-31."
        raise filter_error(f"{name}={filters.get(name, '')}", accepted)
    return filters


def filter_error(pair: str, words: str) -> CommandError:
    return CommandError(f"--scope-filter {pair}: {words}", returncode=USAGE)


def ids_from(source: str) -> tuple[int, ...]:
    """The ids in a CSV file, or on standard input.

    Raises:
        CommandError: it cannot be read, or a row has no id, with the line's number; exit
        status 2.
    """
    try:
        raw = sys.stdin.buffer.read() if source == STANDARD_INPUT else Path(source).read_bytes()
        text = raw.decode("utf-8-sig")  # spreadsheets begin files so
        ids = tuple(ids_in(text))
    except OSError as error:
        raise ids_error(f"it cannot be read: {error.strerror}.") from None
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        raise ids_error(f"line {line} is not UTF-8 text.") from None
    except csv.Error as error:
        raise ids_error(f"it is no CSV file: {error}.") from None
    if not ids:
        raise ids_error("there is no id in it.")
    return ids


def ids_in(text: str) -> Iterator[int]:
    """Of CSV with a header that names the column ``id``, or else none and the first column."""
    first_line = text.partition("\n")[0]
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=max(",;\t", key=first_line.count))
    column = 0
    for row in rows:
        cells = [cell.strip() for cell in row]
        if not any(cells):
            continue
        names = [cell.casefold() for cell in cells]
        if rows.line_num == 1 and COLUMN in names:
            column = names.index(COLUMN)
            continue
        cell = cells[column] if column < len(cells) else ""
        if not (cell.isascii() and cell.isdigit() and 1 <= int(cell[:40]) <= LARGEST_ID):
            raise ids_error(f"line {rows.line_num}: {cell!r} is not an id.")
        yield int(cell)


def ids_error(words: str) -> CommandError:
    return CommandError(f"--ids: {words}", returncode=USAGE)
