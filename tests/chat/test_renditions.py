"""Storyboards, previews, WebP posters and placeholders, of real clips by real ffmpeg."""

import base64
import dataclasses
import io
import itertools
import re
import shutil
from datetime import timedelta
from pathlib import Path

import pytest
from django.core.files.storage import default_storage
from PIL import Image, ImageStat

from chat.errors import VideoError
from chat.models import ActivityLog, Attachment
from chat.rendition import Rendition
from chat.services import attachments
from chat.services.activity import Actor
from chat.services.media_limits import MediaLimits, with_second_chance
from chat.services.orphans import sweep_orphans
from chat.services.renditions import POSTER, PREVIEW, STORYBOARD, Renderer, missing
from chat.services.video_service import VideoProcessingService
from tests.clips import clip, rotated

pytestmark = [pytest.mark.django_db(transaction=True)]
Kind = Rendition.Kind
CUE = re.compile(r"^([\d:.]+) --> ([\d:.]+)\nstoryboard/#xywh=(\d+),(\d+),(\d+),(\d+)$", re.M)
MPEG4 = ("-c:v", "mpeg4", "-c:a", "mp3")
CORPUS = Path(__file__).parents[3] / "shared" / "corpus" / "files"


@pytest.fixture(params=["libav", "ffmpeg"])
def engine(request, settings) -> str:
    settings.MEDIA_ENGINE = request.param
    return request.param


@pytest.fixture
def ready(legacy_video):
    def make(path: Path | None = None) -> Attachment:
        attachment = legacy_video(path)
        prepared = VideoProcessingService().process_video_attachment(attachment)
        assert prepared.ok, prepared.error
        return Attachment.objects.get(pk=attachment.pk)

    return make


def make(attachment: Attachment, *works, **options) -> dict[str, Rendition]:
    if works:
        options["works"] = works
    for done in VideoProcessingService().make_renditions(attachment, **options):
        if done.error:
            raise done.error
    attachment.refresh_from_db()
    return {row.kind: row for row in attachment.renditions.all()}


def refused(attachment: Attachment, *works, **options) -> VideoError:
    with pytest.raises(VideoError) as caught:
        make(attachment, *works, **options)
    return caught.value


def stored() -> set[str]:
    folder = Path(default_storage.path("renditions"))
    return {
        str(path.relative_to(default_storage.path("")))
        for path in folder.rglob("*")
        if path.is_file()
    }


def named() -> set[str]:
    return set(Rendition.objects.stored().values_list("file", flat=True))


def cues(rows: dict[str, Rendition]) -> list[tuple]:
    """(start, end, x, y, width, height), in seconds and pixels."""
    text = Path(rows[Kind.STORYBOARD_MAP].file.path).read_text()
    assert text.startswith("WEBVTT\n\n")
    return [
        (seconds(start), seconds(end), *map(int, corner))
        for start, end, *corner in CUE.findall(text)
    ]


def seconds(stamp: str) -> float:
    hours, minutes, rest = stamp.split(":")
    return int(hours) * 3600 + int(minutes) * 60 + float(rest)


def sheet(rows: dict[str, Rendition]) -> Image.Image:
    row = rows[Kind.STORYBOARD]
    with Image.open(row.file.path, formats=["JPEG"]) as image:
        image.load()
        assert image.size == (row.width, row.height)
        assert not image.info.get("exif")
    return image


def probed(row: Rendition):
    return VideoProcessingService().examine(Path(row.file.path)).metadata


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


# --- Storyboards --------------------------------------------------------------------------------


def test_a_storyboard_shows_what_is_there_at_its_time(ready, engine):
    graph = (
        "color=red:size=320x180:rate=10:duration=4[a];color=lime:size=320x180:rate=10:duration=4[b];"
        "color=blue:size=320x180:rate=10:duration=4[c];[a][b][c]concat=n=3:v=1"
    )
    keys = ("-c:v", "libx264", "-pix_fmt", "yuv420p", "-g", "10", "-sc_threshold", "0", "-bf", "2")
    rows = make(ready(clip("rgb.mp4", *keys, source=graph, audio=False)), STORYBOARD)
    found = cues(rows)
    picture = sheet(rows)
    assert 3 <= len(found) <= 12
    assert found[0][0] == 0
    assert found[-1][1] == pytest.approx(12, abs=0.2)
    for (_, end, *_), (start, *_) in itertools.pairwise(found):
        assert end == start
    for second, channel in ((0.5, 0), (2.5, 0), (5.5, 1), (7.5, 1), (9.5, 2), (11.5, 2)):
        cue = next(c for c in found if c[0] <= second < c[1])
        assert cue[4:] == (160, 90)
        x, y, width, height = cue[2:]
        mean = ImageStat.Stat(picture.crop((x, y, x + width, y + height))).mean
        assert mean.index(max(mean)) == channel, (second, mean)


def test_a_storyboard_is_upright_and_bounded(ready, engine, tmp_path):
    wide = clip("up.mp4", source="testsrc=size=320x180:rate=25:duration=3", audio=False)
    rows = make(ready(rotated(wide, tmp_path / "turned.mp4")), STORYBOARD)
    assert {cue[4:] for cue in cues(rows)} == {(90, 160)}
    anamorphic = clip("ana.mp4", "-c:v", "libx264", "-vf", "setsar=2/1", audio=False)
    assert cues(make(ready(anamorphic), STORYBOARD))[0][4:] == (160, 60)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("b.ts", ("-c:v", "mpeg2video", "-g", "10", "-c:a", "mp2")),
        ("b.flv", ("-c:v", "flv1", "-g", "10", "-ar", "44100")),
        ("b.ogv", ("-c:v", "libtheora", "-g", "10", "-c:a", "libvorbis")),
        ("b.mkv", ("-c:v", "libx265", "-x265-params", "keyint=10:log-level=error")),
    ],
)
def test_storyboards_of_containers_without_an_index(ready, engine, name, options):
    source = "testsrc=size=320x240:rate=10:duration=6"
    rows = make(ready(clip(name, *options, source=source, audio=False)), STORYBOARD)
    assert len(cues(rows)) >= 4
    assert ImageStat.Stat(sheet(rows).convert("L")).stddev[0] > 20


@pytest.mark.parametrize(
    "source",
    [
        "testsrc=size=64x64:rate=25:duration=0.04",
        "color=black:size=320x240:rate=25:duration=2",
        "testsrc=size=16x2000:rate=5:duration=1",
    ],
)
def test_storyboards_of_the_smallest_and_darkest(ready, engine, source):
    rows = make(ready(clip("edge.mp4", source=source, audio=False)), STORYBOARD)
    assert cues(rows)[0][0] == 0
    assert sheet(rows).size[1] <= 1600


def test_half_an_hour_in_few_pictures_has_at_most_a_hundred_tiles(ready, engine):
    sparse = ("-c:v", "libx264", "-preset", "ultrafast", "-g", "1", "-pix_fmt", "yuv420p")
    source = "testsrc=size=64x64:rate=1/5:duration=1800"
    attachment = ready(clip("sparse.mp4", *sparse, source=source, audio=False))
    rows = make(attachment, STORYBOARD)
    assert attachment.duration == pytest.approx(1800, abs=10)
    found = cues(rows)
    assert 90 <= len(found) <= 100
    assert found[-1][1] == pytest.approx(attachment.duration, abs=0.01)


# --- Previews -----------------------------------------------------------------------------------


def test_no_preview_of_what_browsers_play(ready):
    attachment = ready(clip("plain.mp4"))
    row = make(attachment, PREVIEW)[Kind.PREVIEW]
    assert (row.file.name, row.failure_code) == ("", "")
    assert not missing(attachment, [PREVIEW])


def test_a_preview_of_what_is_too_heavy(ready, settings):
    settings.PREVIEW_HEAVY_KBPS = 1
    assert make(ready(), PREVIEW)[Kind.PREVIEW].file


def test_a_preview_of_what_browsers_do_not_decode(ready):
    high = clip("high.mp4", "-c:v", "libx264", "-pix_fmt", "yuv444p")
    assert make(ready(high), PREVIEW)[Kind.PREVIEW].file


@pytest.mark.parametrize(
    ("source", "audio", "size"),
    [
        ("testsrc=size=1280x720:rate=60:duration=1", True, (854, 480)),
        ("testsrc=size=720x1280:rate=25:duration=1", False, (480, 854)),
        ("testsrc=size=321x241:rate=25:duration=1", True, (322, 242)),
        ("testsrc=size=64x64:rate=25:duration=0.04", False, (64, 64)),
    ],
)
def test_previews_are_small_even_and_not_too_fast(ready, source, audio, size):
    options = ("-c:v", "ffv1", "-c:a", "flac")
    attachment = ready(clip("p.mkv", *options, source=source, audio=audio))
    found = probed(make(attachment, PREVIEW)[Kind.PREVIEW])
    assert (found.width, found.height) == size
    assert found.frame_rate is None or found.frame_rate <= 31
    assert found.audio_codec == ("aac" if audio else "")


def test_a_preview_is_upright_deinterlaced_and_starts_with_its_index(ready, tmp_path):
    wide = clip("p.mov", "-c:v", "mpeg4", source="testsrc=size=320x180:rate=25:duration=1")
    row = make(ready(rotated(wide, tmp_path / "r.mov")), PREVIEW)[Kind.PREVIEW]
    found = probed(row)
    assert (found.width, found.height, found.rotation) == (180, 320, 0)
    content = Path(row.file.path).read_bytes()
    assert content.index(b"moov") < content.index(b"mdat")
    interlaced = ("-c:v", "mpeg2video", "-flags", "+ildct+ilme", "-top", "1", "-c:a", "mp2")
    assert make(ready(clip("i.mpg", *interlaced)), PREVIEW)[Kind.PREVIEW].file


def test_a_preview_of_hdr_is_tone_mapped(ready):
    hdr = (
        "-c:v", "libx265", "-pix_fmt", "yuv420p10le", "-color_trc", "smpte2084",
        "-color_primaries", "bt2020", "-colorspace", "bt2020nc", "-x265-params", "log-level=error",
    )  # fmt: skip
    attachment = ready(clip("hdr.mp4", *hdr, audio=False))
    row = make(attachment, PREVIEW)[Kind.PREVIEW]
    poster = VideoProcessingService().generate_thumbnail(Path(row.file.path))
    with Image.open(attachment.thumbnail.path) as image:
        before = ImageStat.Stat(image.convert("L")).mean[0]
    with Image.open(io.BytesIO(poster.jpeg)) as image:
        assert ImageStat.Stat(image.convert("L")).mean[0] == pytest.approx(before, abs=25)


def test_a_preview_shows_no_more_than_its_limit(ready, settings):
    settings.PREVIEW_MAX_SECONDS = 2
    source = "testsrc=size=320x240:rate=25:duration=5"
    attachment = ready(clip("long.avi", *MPEG4, source=source, audio=False))
    assert probed(make(attachment, PREVIEW)[Kind.PREVIEW]).duration == pytest.approx(2, abs=0.1)


def test_half_an_hour_of_few_pictures_has_a_preview(ready):
    source = "testsrc=size=64x64:rate=1/5:duration=1800"
    attachment = ready(clip("sparse.mkv", "-c:v", "mpeg4", source=source, audio=False))
    found = probed(make(attachment, PREVIEW)[Kind.PREVIEW])
    assert found.duration == pytest.approx(1800, abs=20)


def test_ten_hours_between_two_pictures_cost_little(ready, engine, settings):
    settings.VIDEO_MAX_DURATION_SECONDS = 11 * 3600
    gap = ("-c:v", "libx264", "-vf", "settb=1/1000,setpts=N*36000000", "-vsync", "0")
    source = "testsrc=size=64x64:rate=1:duration=2"
    attachment = ready(clip("gap.mkv", *gap, source=source, audio=False))
    settings.STORYBOARD_WALL_SECONDS = settings.PREVIEW_WALL_SECONDS = 5
    assert len(cues(make(attachment, STORYBOARD))) <= 100
    for done in VideoProcessingService().make_renditions(attachment, works=[PREVIEW]):
        assert done.error is None or done.error.code == "corrupt"


def test_sound_that_cannot_be_decoded_is_left_out(ready, tmp_path):
    whole = clip("s.mkv", "-c:v", "mpeg4", "-c:a", "flac").read_bytes()
    broken = tmp_path / "s.mkv"
    assert b"fLaC" in whole
    broken.write_bytes(whole.replace(b"fLaC", b"xxxx"))
    found = probed(make(ready(broken), PREVIEW)[Kind.PREVIEW])
    assert found.codec == "h264"


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
