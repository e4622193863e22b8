"""What ``chaos`` has verified: thousands of real files, some of them in trouble."""

import hashlib
import json
import os
import random
import stat
from pathlib import Path
from typing import Any

from tests.clips import clip

FOLDER, DELETED_NAME, LISTED = "chaos", "deleted", "rows.json"

# Few enough to come first: what takes longest is begun early.
POISONOUS, READY, HEALING, DEAD = 1, 8, 5, 5
# Among all the others.
MISSING, WRONG_SIZE, WRONG_HASH, DELETED = 40, 30, 30, 20
EXPECTED_FAILURES = {
    "missing_file": MISSING,
    "size_differs": WRONG_SIZE,
    "hash_differs": WRONG_HASH,
    "storage_error": DEAD,
    "worker_lost": POISONOUS,
}
POISON = b"this ends whoever has it read"
# Reading it fails with EIO, for root too: a file whose medium is broken.
BROKEN_MEDIUM = "/proc/self/mem"
ORIGINALS = 8

CREATE = """
import json
from django.contrib.auth.models import User
from chat.models import Attachment, Conversation
conversation = Conversation.objects.create(title="Chaos", created_by=User.objects.first())
rows = json.load(open({path!r}))
Attachment.objects.bulk_create(
    (
        Attachment(conversation=conversation, original_name="x", kind="video", **row)
        for row in rows
    ),
    batch_size=500,
)
"""


def make_items(data_dir: Path, media: Path, count: int, chance: random.Random) -> None:
    """So many files below ``media``, nearly all of them hard links of a few, and a list of their
    rows in ``data_dir``."""
    media.mkdir(parents=True)
    rows: list[dict[str, Any]] = []

    def item(name: str, source: Path | None, **fields: Any) -> None:
        if source is not None:
            os.link(source, media / name)
            fields = {"size": source.stat().st_size, **fields}
        rows.append({"file": f"{FOLDER}/{name}", **fields})

    originals = data_dir / "originals"
    originals.mkdir()
    sums: list[tuple[Path, str]] = []
    for number in range(ORIGINALS):
        content = chance.randbytes(16_384 + number)
        (originals / str(number)).write_bytes(content)
        sums.append((originals / str(number), hashlib.sha256(content).hexdigest()))
    video, poison = originals / "video.mp4", originals / "poison.mp4"
    video.write_bytes(clip().read_bytes())
    poison.write_bytes(clip().read_bytes() + POISON)

    for path in [media / f"broken-{number}" for number in range(DEAD)] + healing(media):
        path.symlink_to(BROKEN_MEDIUM)
        item(path.name, None, size=0)
    for number in range(READY):
        item(f"ready-{number}", video, processing_state="ready")
    item("poison", poison, processing_state="ready")

    sound = sums[0][0]
    others: list[tuple[str, Path | None, dict[str, Any]]] = [
        *((f"missing-{number}", None, {"size": 1}) for number in range(MISSING)),
        *((f"size-{number}", sound, {"size": 1}) for number in range(WRONG_SIZE)),
        *((f"hash-{number}", sound, {"sha256": "0" * 64}) for number in range(WRONG_HASH)),
        *((f"{DELETED_NAME}-{number}", sound, {}) for number in range(DELETED)),
    ]
    for number in range(count - len(rows) - len(others)):
        source, digest = sums[number % ORIGINALS]
        others.append((f"sound-{number}", source, {"sha256": digest} if number % 2 else {}))
    chance.shuffle(others)
    for name, path_or_none, fields in others:
        item(name, path_or_none, **fields)
    (data_dir / LISTED).write_text(json.dumps(rows))


def healing(media: Path) -> list[Path]:
    return [media / f"healing-{number}" for number in range(HEALING)]


def heal(media: Path) -> None:
    """From now on these can be read."""
    for path in healing(media):
        whole = path.with_suffix(".whole")
        whole.touch()
        whole.rename(path)


def deadly_tool(folder: Path) -> Path:
    """In the place of ffprobe: ends the worker, two processes above it, over one file only."""
    tool = folder / "deadly"
    tool.write_text(
        "#!/bin/sh\nfor last; do :; done\n"
        f'if grep -q "{POISON.decode()}" "${{last#file:}}"; then\n'
        "  read -r _ _ _ worker _ < /proc/$PPID/stat\n"
        '  kill -9 "$worker"; sleep 5\nfi\n'
        'exec ffprobe "$@"\n'
    )
    tool.chmod(stat.S_IRWXU)
    return tool
