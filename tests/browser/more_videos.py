"""Videos for one test: rows over the files of one that is ready, each with bytes of its own."""

from collections.abc import Iterator
from contextlib import contextmanager

from tests.browser.conftest import Stage

MAKE = """
import copy, hashlib
from django.utils import timezone
from chat.models import Attachment
pattern = Attachment.objects.videos().filter(original_name="blink.webm").get()
for number in range({count}):
    row = copy.copy(pattern)
    row.pk, row.message_id, row.created_at = None, None, timezone.now()
    row.original_name = f"{name} {{number + 1:02}}.webm"
    row.sha256 = hashlib.sha256(row.original_name.encode()).hexdigest()
    row.visibility, row.decision_reason, row.decision_version = "visible", "", 0
    row._state.adding = True
    row.save(force_insert=True)
    print(row.pk)
"""
REMOVE = """
from chat.models import Attachment, HeldContent
rows = Attachment.objects.filter(original_name__startswith="{name} ")
HeldContent.objects.filter(sha256__in=rows.values("sha256")).delete()
rows.delete()
"""


@contextmanager
def more_videos(stage: Stage, name: str, count: int) -> Iterator[list[str]]:
    """Their numbers; named ``NAME 01.webm`` and so on, and gone afterwards."""
    made = stage.installation.python(MAKE.format(name=name, count=count))
    try:
        yield made.split()
    finally:
        stage.installation.python(REMOVE.format(name=name))
