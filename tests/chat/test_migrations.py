"""A database as it was before video, brought up to date and backfilled: real files throughout."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.clips import clip
from tests.moderation.installation import Installation

# As the product of that time wrote it.
LEGACY = """
from django.db import connection
from django.utils import timezone
with connection.cursor() as cursor:
    def insert(table, **values):
        columns = ", ".join(values)
        marks = ", ".join(["%s"] * len(values))
        cursor.execute(f"INSERT INTO {table} ({columns}) VALUES ({marks})", list(values.values()))
        return cursor.lastrowid
    now = timezone.now()
    user = insert("auth_user", username="old", password="!", first_name="", last_name="",
                  email="", is_superuser=0, is_staff=0, is_active=1, date_joined=now)
    talk = insert("chat_conversation", title="Before", created_by_id=user, created_at=now)
    insert("chat_participant", conversation_id=talk, user_id=user, role="owner", joined_at=now)
    for name, kind, size, duration in FILES:
        message = insert("chat_message", conversation_id=talk, sender_id=user,
                         content="look", created_at=now)
        insert("chat_attachment", conversation_id=talk, message_id=message,
               uploaded_by_id=user, file="attachments/" + name, original_name=name,
               content_type="video/mp4", size=size, kind=kind, duration=duration,
               created_at=now)
"""


def migrations(*targets: list[str]) -> str:
    """What runs `manage.py migrate` to each of them, in one process."""
    calls = (f"call_command('migrate', *{target}, verbosity=0)" for target in targets)
    return "\n".join(["from django.core.management import call_command", *calls])


@pytest.fixture
def old_site(tmp_path: Path) -> Iterator[Installation]:
    """At 0003, with four videos (one broken, one whose file is lost) and a document."""
    site = Installation(tmp_path / "data")
    folder = site.data_dir / "media" / "attachments"
    folder.mkdir(parents=True)
    shutil.copy(clip(), folder / "one.mp4")
    shutil.copy(clip("x.webm", "-c:v", "libvpx", "-b:v", "200k", audio=False), folder / "two.webm")
    (folder / "broken.mp4").write_bytes(b"\0" * 500)
    (folder / "notes.pdf").write_bytes(b"%PDF-1.4 and so on")
    files = [
        ("one.mp4", "video", (folder / "one.mp4").stat().st_size, 99.0),
        ("two.webm", "video", (folder / "two.webm").stat().st_size, None),
        ("broken.mp4", "video", 500, None),
        ("lost.mp4", "video", 500, None),
        ("notes.pdf", "file", 18, None),
    ]
    site.python(f"{migrations(['auth'], ['chat', '0003'])}\nFILES = {files!r}\n{LEGACY}")
    yield site
    site.clear_away()


COLUMNS = "processing_state, failure_code, codec, width, height, round(duration, 1)"


def test_legacy_rows_survive_the_migrations_up_and_down(
    old_site: Installation,
) -> None:
    site = old_site
    before = (
        "SELECT id, conversation_id, message_id, uploaded_by_id, file, original_name,"
        " content_type, size, kind, duration, created_at FROM chat_attachment ORDER BY id"
    )
    rows = site.query(before)
    site.manage("migrate", "--verbosity", "0")
    assert site.query(before) == rows
    assert site.manage("makemigrations", "--check", "--dry-run").strip() == "No changes detected"
    select = f"SELECT original_name, {COLUMNS} FROM chat_attachment ORDER BY id"
    assert site.query(select)[0] == ("one.mp4", "pending", "", "", None, None, 99.0)

    result = site.manage_json("backfill_video_metadata", status=1)
    assert (result["total"], result["ready"], result["failed"]) == (4, 2, 2)
    assert site.query(select) == [
        ("one.mp4", "ready", "", "h264", 320, 240, 1.0),
        ("two.webm", "ready", "", "vp8", 320, 240, 1.0),
        ("broken.mp4", "failed", "not_a_video", "", None, None, None),
        ("lost.mp4", "failed", "missing_file", "", None, None, None),
        ("notes.pdf", "pending", "", "", None, None, None),
    ]
    posters = site.query("SELECT thumbnail FROM chat_attachment WHERE thumbnail != ''")
    assert len(posters) == 2
    for name in posters:
        assert (site.data_dir / "media" / name).read_bytes().startswith(b"\xff\xd8")
    assert site.manage_json("backfill_video_metadata")["total"] == 0

    # Down again, which forgets what was read of the files, and up: they are all still there.
    site.python(migrations(["moderation", "zero"], ["chat", "0003"], []))
    names = ["one.mp4", "two.webm", "broken.mp4", "lost.mp4", "notes.pdf"]
    assert site.query("SELECT original_name FROM chat_attachment ORDER BY id") == names
    assert site.manage_json("backfill_video_metadata", status=1)["ready"] == 2
