"""Files that were stored and then, because of a crash, never named by a row."""

from collections.abc import Iterator
from datetime import timedelta

from django.core.files.storage import default_storage
from django.utils import timezone

from chat.models import Attachment
from chat.rendition import Rendition

# Longer than any work takes from storing a file to the commit of its row.
ABANDONED = timedelta(hours=24)
NAMED_BY = {
    "renditions": (Rendition, "file"),
    "posters": (Attachment, "thumbnail"),
}


def sweep_orphans(older_than: timedelta = ABANDONED) -> int:
    """Delete files of this month and the last that no row names; returns how many."""
    oldest = timezone.now() - older_than
    swept = 0
    for folder, (model, field) in NAMED_BY.items():
        for month in months(folder):
            names = {f"{month}/{name}" for name in listed(month)}
            rows = model._default_manager.filter(**{f"{field}__startswith": f"{month}/"})
            for name in names.difference(rows.values_list(field, flat=True)):
                if default_storage.get_modified_time(name) < oldest:
                    default_storage.delete(name)
                    swept += 1
    return swept


def months(folder: str) -> Iterator[str]:
    """Where ``stored_name`` puts files now, and put them last month."""
    today = timezone.now()
    yield f"{folder}/{today:%Y/%m}"
    yield f"{folder}/{today.replace(day=1) - timedelta(days=1):%Y/%m}"


def listed(folder: str) -> list[str]:
    try:
        return default_storage.listdir(folder)[1]
    except FileNotFoundError:
        return []
