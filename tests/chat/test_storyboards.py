"""Storyboards of real clips, by both engines."""

import itertools

import pytest
from PIL import ImageStat

from chat.services.renditions import STORYBOARD
from tests.chat.renditions import cues, make, sheet
from tests.clips import clip, rotated

pytestmark = [pytest.mark.django_db(transaction=True)]


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


ONE_KEY_FRAME = ("-c:v", "libx264", "-pix_fmt", "yuv420p", "-g", "999", "-sc_threshold", "0")


def test_a_short_video_of_one_key_frame_is_shown_second_by_second(ready, engine):
    moving = "testsrc=size=320x180:rate=10:duration=6"
    rows = make(ready(clip("one.mp4", *ONE_KEY_FRAME, source=moving, audio=False)), STORYBOARD)
    assert [start for start, *_ in cues(rows)] == [0, 1, 2, 3, 4, 5]
    red, green = (f"color={name}:size=320x180:rate=10:duration=3" for name in ("red", "lime"))
    graph = f"{red}[a];{green}[b];[a][b]concat=n=2:v=1"
    rows = make(ready(clip("two.mp4", *ONE_KEY_FRAME, source=graph, audio=False)), STORYBOARD)
    picture = sheet(rows)
    for second, channel in ((0.5, 0), (1.5, 0), (4.5, 1), (5.5, 1)):
        x, y, width, height = next(c for c in cues(rows) if c[0] <= second < c[1])[2:]
        mean = ImageStat.Stat(picture.crop((x, y, x + width, y + height))).mean
        assert mean.index(max(mean)) == channel, (second, mean)


def test_a_large_video_of_one_key_frame_is_not_decoded_whole(ready, engine):
    source = "testsrc=size=1920x1080:rate=30:duration=10"
    large = ready(clip("large.mp4", *ONE_KEY_FRAME, source=source, audio=False))
    assert len(cues(make(large, STORYBOARD))) == 1


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
