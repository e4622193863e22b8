"""The benchmarks run still: at a size that measures nothing, so that none goes stale unnoticed.

Their names and arguments mypy holds against the product in ``make check``; what they say in SQL
and hand to other processes is run here.
"""

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from django.db import connection

from bench import jobs_media
from chat.models import Attachment
from chat.services.video_service import VideoProcessingService
from moderation.models import Job
from tests.machine import need_ffmpeg
from tests.moderation.installation import NEW, Installation, migrated_file
from tests.running import ROOT


@pytest.fixture
def copy(tmp_path: Path) -> Installation:
    """Of a migrated installation, without anything in it."""
    made = Installation(tmp_path / "data", **NEW)
    shutil.copyfile(migrated_file(), made.data_dir / "db.sqlite3")
    return made


def test_the_job_engine_over_rows(copy: Installation) -> None:
    database = {"DATABASE_URL": f"sqlite:///{copy.data_dir}/db.sqlite3"}
    ran = subprocess.run(
        [sys.executable, "-m", "bench.jobs_engine", "--rows", "60", "--written", "50"],
        cwd=ROOT,
        env=copy.environment | database,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert ran.returncode == 0, ran.stderr
    assert "60 items, nothing written" in ran.stdout
    assert "50 items, row and log entry written" in ran.stdout


def test_the_media_engine_alone(copy: Installation, tmp_path: Path) -> None:
    need_ffmpeg()
    paths = jobs_media.make_archive(tmp_path / "archive", 2)
    assert len({path.read_bytes() for path in paths}) == 2
    assert jobs_media.engine_alone(copy, paths, 1) > 0


def test_a_backfill_is_begun_anew(legacy_video: Callable[[], Attachment]) -> None:
    before = Attachment.objects.needing_metadata()
    video = legacy_video()
    VideoProcessingService().process_video_attachment(video)
    assert not before.exists()
    with connection.cursor() as cursor:
        cursor.execute(jobs_media.LEGACY)
    assert before.get() == video
    exec(jobs_media.START, {})
    assert Job.objects.get().kind == "metadata"
