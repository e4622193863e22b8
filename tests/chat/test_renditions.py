"""Storyboards, previews, WebP posters and placeholders together: what is wanted and not stored is
made; twice, interrupted, refused."""

import base64
import dataclasses
import re
import shutil
from datetime import timedelta
from pathlib import Path

import pytest
from PIL import Image

from chat.errors import VideoError
from chat.models import ActivityLog, Attachment
from chat.rendition import Rendition
from chat.services import attachments
from chat.services.activity import Actor
from chat.services.media_limits import MediaLimits, with_second_chance
from chat.services.orphans import sweep_orphans
from chat.services.renditions import POSTER, PREVIEW, STORYBOARD, Renderer, missing
from chat.services.video_service import VideoProcessingService
from tests.chat.renditions import (
    MPEG4,
    Kind,
    make,
    named,
    probed,
    refused,
    stored,
)
from tests.clips import clip

pytestmark = [pytest.mark.django_db(transaction=True)]
CORPUS = Path(__file__).parents[3] / "shared" / "corpus" / "files"


# --- Every kind ---------------------------------------------------------------------------------


def test_makes_every_kind_that_is_wanted(ready, engine):
    attachment = ready(clip("a.avi", *MPEG4))
    rows = make(attachment)
    assert set(rows) == set(Kind.values)
    assert not missing(attachment, [POSTER, STORYBOARD, PREVIEW])
    assert not Attachment.objects.needing_renditions(dict.fromkeys(Kind.values, 1))
    assert stored() == named()
    preview = probed(rows[Kind.PREVIEW])
    assert (preview.codec, preview.audio_codec, preview.container) == ("h264", "aac", "mp4")
    assert (preview.width, preview.height) == (320, 240)
    assert preview.duration == pytest.approx(attachment.duration, abs=0.3)
    entries = ActivityLog.objects.filter(action=ActivityLog.Action.RENDITIONS_MADE)
    assert [sorted(e.details["kinds"]) for e in entries.order_by("id")] == [
        *([["poster_webp"]]),
        ["storyboard", "storyboard_map"],
        ["preview"],
    ]
    for row in rows.values():
        if row.file:
            assert row.size == Path(row.file.path).stat().st_size > 0


def test_placeholder_and_webp_come_from_the_poster(ready):
    attachment = ready()
    rows = make(attachment, POSTER)
    assert 5 <= len(base64.b64decode(attachment.placeholder)) <= 30
    row = rows[Kind.POSTER_WEBP]
    assert row.size < attachment.thumbnail.size
    with Image.open(row.file.path, formats=["WEBP"]) as image:
        assert image.size == (320, 240)


def test_a_webp_that_is_not_smaller_is_not_kept(ready):
    attachment = ready(clip("tiny.mp4", source="color=red:size=16x16:rate=5:duration=1"))
    path = Path(attachment.thumbnail.path)
    with Image.open(path) as image:
        image.save(path, "JPEG", quality=1)
    rows = make(attachment, POSTER)
    if rows[Kind.POSTER_WEBP].file:
        assert rows[Kind.POSTER_WEBP].size < path.stat().st_size
    assert not missing(attachment, [POSTER])
    assert attachment.placeholder


def test_a_new_poster_is_seen_to_again(ready):
    attachment = ready()
    first = make(attachment, POSTER)[Kind.POSTER_WEBP].file.name
    VideoProcessingService().process_video_attachment(attachment)
    attachment.refresh_from_db()
    assert missing(attachment, [POSTER]) == [POSTER]
    assert make(attachment, POSTER)[Kind.POSTER_WEBP].file.name != first
    assert stored() == named()


# --- No metadata --------------------------------------------------------------------------------


def assert_nothing_says_where(rows: dict[str, Rendition], *words: bytes) -> None:
    for row in rows.values():
        if row.file:
            content = Path(row.file.path).read_bytes()
            for word in words:
                assert word not in content, (row.kind, word)


def test_no_rendition_says_where_the_video_was_taken(ready, engine):
    tags = ("-metadata", "location=+48.8584+002.2945/", "-metadata", "title=Secret place")
    tagged = clip("gps.mov", "-c:v", "mpeg4", "-c:a", "aac", *tags)
    assert b"48.8584" in tagged.read_bytes()
    rows = make(ready(tagged))
    assert rows[Kind.PREVIEW].file
    assert rows[Kind.STORYBOARD].file
    assert_nothing_says_where(rows, b"48.85", b"002.29", b"Secret")


@pytest.mark.skipif(not CORPUS.exists(), reason="no corpus beside the project")
def test_nor_of_the_corpus(ready, engine, settings):
    settings.PREVIEW_HEAVY_KBPS = 1
    source = CORPUS / "with-gps.mov"
    places = re.findall(rb"[+-]\d+\.\d+[+-]\d+\.\d+[+/]", source.read_bytes())
    assert places
    rows = make(ready(source))
    assert rows[Kind.PREVIEW].file
    assert_nothing_says_where(rows, *places, *(place[:7] for place in places))


# --- Again, interrupted, refused ----------------------------------------------------------------


def state() -> list[tuple]:
    return list(Rendition.objects.order_by("kind").values_list("kind", "file", "created_at"))


def test_twice_changes_nothing(ready):
    attachment = ready(clip("a.avi", *MPEG4))
    make(attachment)
    rows, files = state(), stored()
    make(attachment)
    assert (state(), stored()) == (rows, files)
    assert ActivityLog.objects.filter(action="renditions_made").count() == 3


def test_asked_for_again_all_are_replaced(ready):
    attachment = ready(clip("a.avi", *MPEG4))
    make(attachment)
    rows, before = state(), stored()
    make(attachment, force=True)
    assert [row[0] for row in state()] == [row[0] for row in rows]
    assert stored() == named()
    assert not stored() & before


def test_it_goes_on_where_it_was_interrupted(ready):
    attachment = ready(clip("a.avi", *MPEG4))
    make(attachment, POSTER)
    rows = state()
    assert missing(attachment, [POSTER, STORYBOARD, PREVIEW]) == [STORYBOARD, PREVIEW]
    make(attachment)
    assert set(rows) <= set(state())


def test_what_another_worker_made_meanwhile_stays(ready):
    attachment = ready()
    renderer = Renderer((STORYBOARD,))
    slow = renderer.prepare(attachment)
    make(attachment, STORYBOARD)
    rows = state()
    assert renderer.record(slow)
    assert state() == rows
    assert stored() == named()


def test_a_crash_before_the_row_leaves_what_a_sweep_deletes(ready):
    attachment = ready()
    Renderer((STORYBOARD,)).prepare(attachment)  # and the process ends
    assert len(stored()) == 2
    assert sweep_orphans() == 0  # it may still be at work
    assert sweep_orphans(timedelta(seconds=-1)) == 2
    make(attachment)
    assert sweep_orphans(timedelta(seconds=-1)) == 0
    assert stored() == named()
    assert Path(attachment.thumbnail.path).exists()


def test_a_video_deleted_meanwhile_leaves_no_files(ready):
    attachment = ready()
    renderer = Renderer((POSTER, STORYBOARD))
    prepared = renderer.prepare(attachment)
    Attachment.objects.filter(pk=attachment.pk).delete()
    assert renderer.record(prepared) is False
    assert stored() == set()


def test_deleting_a_video_deletes_its_renditions(ready, owner):
    attachment = ready(clip("a.avi", *MPEG4))
    make(attachment)
    attachments.delete(attachment, Actor(user=owner))
    assert stored() == set()
    assert not Rendition.objects.exists()


def test_nothing_is_made_of_what_is_not_ready(legacy_video):
    assert make(legacy_video()) == {}


def test_a_file_that_is_lost_is_a_permanent_failure_with_a_code(ready):
    attachment = ready(clip("a.avi", *MPEG4))
    Path(attachment.file.path).unlink()
    assert refused(attachment, STORYBOARD).code == "missing_file"
    assert Rendition.objects.get(kind=Kind.STORYBOARD).failure_code == "missing_file"
    assert not missing(attachment, [STORYBOARD])
    assert attachment in Attachment.objects.failed_renditions([Kind.STORYBOARD])


def test_a_failed_second_making_keeps_the_first(ready):
    attachment = ready()
    make(attachment, STORYBOARD)
    rows = state()
    shutil.move(attachment.file.path, attachment.file.path + "x")
    assert refused(attachment, STORYBOARD, force=True).code == "missing_file"
    assert state() == rows
    assert stored() == named()


@pytest.mark.parametrize(("work", "name"), [(STORYBOARD, "STORYBOARD"), (PREVIEW, "PREVIEW")])
def test_a_limit_is_named_with_its_value(ready, engine, settings, work, name):
    attachment = ready(clip("a.avi", *MPEG4))
    setattr(settings, f"{name}_WALL_SECONDS", 0.001)
    error = refused(attachment, work)
    assert (error.code, error.permanent) == ("time_limit", True)
    assert f"{name}_WALL_SECONDS" in error.detail
    assert not missing(attachment, [work])
    assert stored() == set()
    make(attachment, POSTER)
    setattr(settings, f"{name}_WALL_SECONDS", 30)
    assert make(attachment, work, force=True)[work.formats[0].kind].file


def test_an_output_that_grows_too_large_is_refused(ready, settings):
    settings.PREVIEW_OUTPUT_BYTES = 4096
    error = refused(ready(clip("a.avi", *MPEG4)), PREVIEW)
    assert error.code == "output_limit"
    assert "PREVIEW_OUTPUT_BYTES" in error.detail


@pytest.mark.parametrize(
    ("code", "permanent", "times"), [("time_limit", True, 2), ("storage_error", False, 1)]
)
def test_out_of_time_twice_is_permanent(code, permanent, times):
    asked = []

    def work(given: MediaLimits) -> None:
        asked.append(given.cpu_seconds)
        raise VideoError(code)

    with pytest.raises(VideoError) as caught:
        with_second_chance(MediaLimits.from_settings(), work)
    assert (caught.value.permanent, len(asked)) == (permanent, times)


def test_a_second_chance_is_enough_where_the_first_was_too_short(ready):
    limits = MediaLimits.from_settings()
    asked = []

    def work(given: MediaLimits) -> float:
        asked.append(given.wall_seconds)
        if len(asked) == 1:
            raise VideoError("time_limit", "too slow")
        return given.wall_seconds

    given = dataclasses.replace(limits, wall_seconds=3.0)
    assert with_second_chance(given, work) == 6.0
    assert asked == [3.0, 6.0]
