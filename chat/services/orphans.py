"""Files that no row names: of a crash before their row was committed, or after it was deleted."""

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.core.files.storage import default_storage
from django.utils import timezone

from chat.models import Attachment
from chat.rendition import Rendition

logger = logging.getLogger(__name__)

# Longer than any work takes from storing a file to the commit of its row.
ABANDONED = timedelta(hours=24)
NAMED_BY = {
    "attachments": (Attachment, "file"),
    "posters": (Attachment, "thumbnail"),
    "renditions": (Rendition, "file"),
}


@dataclass(frozen=True, slots=True)
class Orphan:
    """A stored file that no row names."""

    name: str
    size: int  # bytes
    modified_at: datetime


def find_orphans(older_than: timedelta = ABANDONED, months: int | None = None) -> Iterator[Orphan]:
    """Files below the folders of attachments, posters and renditions that no row names and that
    have not been written to for ``older_than``; of this month and the ``months`` before it, or of
    all.  Looks at one folder of a month after the other.
    """
    oldest = timezone.now() - older_than
    for folder, (model, field) in NAMED_BY.items():
        for month in month_folders(folder, months):
            names = {f"{month}/{name}" for name in listed(month)[1]}
            rows = model._default_manager.filter(**{f"{field}__startswith": f"{month}/"})
            named = rows.values_list(field, flat=True)
            for name in sorted(names.difference(named.iterator(10_000))):
                modified_at = default_storage.get_modified_time(name)
                if modified_at < oldest:
                    yield Orphan(name, default_storage.size(name), modified_at)


def delete_orphan(orphan: Orphan) -> bool:
    """Delete the file unless a row names it by now; whether it is gone."""
    model, field = NAMED_BY[orphan.name.partition("/")[0]]
    if model._default_manager.filter(**{field: orphan.name}).exists():
        return False
    default_storage.delete(orphan.name)
    logger.info("deleted %s, which no row names", orphan.name)
    return True


def sweep_orphans(older_than: timedelta = ABANDONED, months: int | None = 1) -> int:
    """Delete those of this month and the ``months`` before it, or of all; returns how many."""
    return sum(delete_orphan(orphan) for orphan in find_orphans(older_than, months))


def month_folders(folder: str, months: int | None) -> Iterator[str]:
    """Where ``stored_name`` puts files: of this month and so many before it, or of all."""
    if months is None:
        for year in sorted(listed(folder)[0]):
            yield from (
                f"{folder}/{year}/{month}" for month in sorted(listed(f"{folder}/{year}")[0])
            )
        return
    day = timezone.now()
    for _ in range(months + 1):
        yield f"{folder}/{day:%Y/%m}"
        day = day.replace(day=1) - timedelta(days=1)


def listed(folder: str) -> tuple[list[str], list[str]]:
    """Names of the folders and of the files in it."""
    try:
        return default_storage.listdir(folder)
    except FileNotFoundError:
        return [], []
