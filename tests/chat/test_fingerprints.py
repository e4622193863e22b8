"""Perceptual fingerprints: the rules on made-up hashes, then real clips through both engines."""

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from chat.errors import VideoError
from chat.models import FINGERPRINT_VERSION, ActivityLog, Attachment, VideoFingerprint
from chat.services import fingerprinting, media_helper
from chat.services.activity import Actor
from chat.services.fingerprinting import FingerprintService
from chat.services.fingerprints import (
    MAX_DISTANCE_BITS,
    FrameHash,
    Sampling,
    match,
    pack,
    sampling_for,
    telling,
    unpack,
)
from chat.services.media_helper import MediaHelper
from chat.services.video_service import VideoProcessingService
from tests.clips import clip, rotated
from tests.machine import need_fingerprints

MakeVideo = Callable[..., Attachment]
PICTURES = (
    "mandelbrot=size=320x240:rate=10:start_scale=2:end_scale=0.001:end_pts=60,trim=duration=12"
)


def frame(seed: int, flipped: int = 0, quality: int = 100) -> FrameHash:
    """A hash made from ``seed``, with ``flipped`` of its bits turned."""
    bits = random.Random(seed).getrandbits(256)
    for bit in range(flipped):
        bits ^= 1 << bit
    return FrameHash(bits.to_bytes(32), quality, seed * 1000)


# --- Rules --------------------------------------------------------------------------------------


def test_packing_keeps_every_frame() -> None:
    frames = [frame(1), frame(2, quality=0), FrameHash(bytes(32), 100, 2**32 - 1)]
    assert unpack(pack(frames)) == frames
    assert len(pack(frames)) == 3 * 37
    assert unpack(b"") == []


def test_pictures_match_up_to_the_threshold() -> None:
    ours = [frame(seed) for seed in range(10)]
    at_most = [frame(seed, flipped=MAX_DISTANCE_BITS) for seed in range(10)]
    too_far = [frame(seed, flipped=MAX_DISTANCE_BITS + 1) for seed in range(10)]
    assert match(ours, at_most).of_first == match(ours, at_most).of_second == 1
    assert match(ours, too_far).of_first == 0


def test_a_part_is_found_in_the_whole() -> None:
    found = match([frame(seed) for seed in range(20)], [frame(seed) for seed in range(15, 20)])
    assert (found.of_first, found.of_second) == (0.25, 1)


def test_what_shows_nothing_matches_nothing() -> None:
    black = [frame(1, quality=10)]
    assert telling(black) == []
    assert match(black, black).of_first == 0
    assert match([], [frame(1)]).of_second == 0


@pytest.mark.parametrize(
    ("duration", "step", "count"),
    [
        (0.04, 1, 1),
        (1.0, 1, 1),
        (30.2, 1, 31),
        (300.0, 1, 300),
        (300.5, 2, 151),
        (3600.0, 16, 225),
        (21_600.0, 128, 169),
        (None, 1, 300),
    ],
)
def test_one_picture_a_second_fewer_of_long_videos(
    duration: float | None, step: int, count: int
) -> None:
    sampling = sampling_for(duration, 160 * 120, 10, 300)
    assert (sampling.step_seconds, sampling.count) == (step, count)


@pytest.mark.parametrize(
    ("duration", "pixels", "rate", "expected"),
    [
        (20, 3840 * 2160, 60, Sampling(4, 5, True)),
        (110, 1920 * 1080, 25, Sampling(1, 110)),
        (3600, 1920 * 1080, 25, Sampling(64, 57, True)),
        (3600, 640 * 360, 25, Sampling(16, 225, True)),
        (900, 320 * 240, 25, Sampling(4, 225)),
    ],
)
def test_seeking_where_decoding_all_would_take_long(
    duration: float, pixels: int, rate: float, expected: Sampling
) -> None:
    assert sampling_for(duration, pixels, rate, 300) == expected


# --- Real clips ---------------------------------------------------------------------------------


@pytest.fixture(params=["libav", "ffmpeg"])
def engine(request: Any, settings: Any) -> str:
    settings.MEDIA_ENGINE = request.param
    return str(request.param)


def hashes(path: Path, duration: float = 12, **changes: Any) -> list[FrameHash]:
    need_fingerprints()
    sampling = sampling_for(duration, 320 * 240, 10, 300)
    if changes:
        sampling = Sampling(**{**sampling.to_json(), **changes})
    return FingerprintService().hash_frames(path, sampling)


def original() -> Path:
    return clip(source=PICTURES, audio=False)


def copy(name: str, *options: str) -> Path:
    return clip(name, *options, source=f"movie={original()}", audio=False)


def test_one_hash_a_second(engine: str) -> None:
    frames = hashes(original())
    assert [each.milliseconds for each in frames] == [second * 1000 for second in range(12)]
    assert {len(each.pdq) for each in frames} == {32}


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("small.mp4", ("-vf", "scale=160:120", "-c:v", "libx264", "-crf", "35")),
        (
            "other.webm",
            (
                "-vf",
                "scale=400:300",
                "-deadline",
                "realtime",
                "-c:v",
                "libvpx",
                "-cpu-used",
                "8",
                "-b:v",
                "300k",
            ),
        ),
        ("faster.mkv", ("-r", "25", "-c:v", "mpeg4", "-q:v", "12")),
    ],
)
def test_a_copy_encoded_anew_matches(engine: str, name: str, options: tuple[str, ...]) -> None:
    found = match(hashes(original()), hashes(copy(name, *options)))
    assert found.of_first >= 0.8
    assert found.of_second >= 0.8


def test_another_clip_does_not_match(engine: str) -> None:
    other = clip(source="testsrc2=size=320x240:rate=10:duration=12", audio=False)
    found = match(hashes(original()), hashes(other))
    assert found.of_first < 0.05
    assert found.of_second < 0.05


def test_a_turned_copy_is_hashed_as_displayed(engine: str, tmp_path: Path) -> None:
    turned = rotated(original(), tmp_path / "turned.mp4")
    upright = copy("upright.mp4", "-vf", "transpose=1", "-c:v", "libx264", "-pix_fmt", "yuv420p")
    assert match(hashes(turned), hashes(upright)).of_first >= 0.8
    assert match(hashes(turned), hashes(original())).of_first < 0.2


def test_seeking_looks_in_the_same_places(engine: str) -> None:
    options = ("-c:v", "libx264", "-g", "17", "-sc_threshold", "0", "-crf", "30")
    often = copy("often.mp4", *options, "-pix_fmt", "yuv420p")
    sparse = hashes(often, seeks=True, step_seconds=4, count=3)
    assert [each.milliseconds for each in sparse] == [0, 4000, 8000]
    assert match(sparse, hashes(original())).of_first == 1
    assert hashes(often, step_seconds=4, count=3) == sparse or engine == "ffmpeg"


def test_a_still_black_video_has_no_telling_picture(engine: str) -> None:
    black = clip(source="color=black:size=320x240:rate=10:duration=3", audio=False)
    assert hashes(black, 3) == []


def test_the_number_of_pictures_is_bounded(engine: str) -> None:
    assert len(hashes(original(), count=4)) == 4


def test_what_is_no_video_is_refused(engine: str, tmp_path: Path) -> None:
    text = tmp_path / "text.mp4"
    text.write_text("not a video")
    with pytest.raises(VideoError) as caught:
        hashes(text)
    assert caught.value.code == "not_a_video"


def test_both_engines_make_the_same_fingerprint(settings: Any) -> None:
    made = []
    for settings.MEDIA_ENGINE in ("libav", "ffmpeg"):
        made.append(hashes(original()))
    assert match(*made).of_first == match(*made).of_second == 1


# --- Stored -------------------------------------------------------------------------------------


@pytest.fixture
def ready_video(legacy_video: MakeVideo) -> Attachment:
    attachment = legacy_video(original())
    VideoProcessingService().process_video_attachment(attachment)
    return attachment


def test_a_fingerprint_is_stored_once(ready_video: Attachment) -> None:
    need_fingerprints()
    assert list(Attachment.objects.needing_fingerprint()) == [ready_video]
    service = FingerprintService()
    for _ in range(2):
        prepared = service.prepare(ready_video)
        assert prepared.error is None
        assert service.record(prepared, Actor(job_id=7))
    stored = VideoFingerprint.objects.get()
    assert (stored.attachment, stored.algorithm) == (ready_video, "vpdq")
    assert stored.frames == list(prepared.frames)
    assert len(stored.frames) == 12
    assert not Attachment.objects.needing_fingerprint().exists()
    entries = ActivityLog.objects.filter(action="attachment_fingerprinted", job_id=7)
    assert [entry.details for entry in entries] == [{"frames": 12}] * 2


def test_an_older_way_of_hashing_is_done_again(ready_video: Attachment) -> None:
    VideoFingerprint.objects.create(
        attachment=ready_video, algorithm="vpdq", pipeline_version=FINGERPRINT_VERSION - 1
    )
    assert list(Attachment.objects.needing_fingerprint()) == [ready_video]


def test_a_video_that_is_not_ready_needs_none(legacy_video: MakeVideo) -> None:
    legacy_video()
    assert not Attachment.objects.needing_fingerprint().exists()


def test_without_the_library_it_says_so(
    ready_video: Attachment, monkeypatch: pytest.MonkeyPatch
) -> None:
    without = MediaHelper(1)
    monkeypatch.setattr(media_helper, "TASK_MODULES", ("chat.services.sandbox.libav_tasks",))
    monkeypatch.setattr(media_helper, "_print_helper", without)
    monkeypatch.setattr(fingerprinting.importlib.util, "find_spec", lambda _name: None)
    try:
        prepared = FingerprintService().prepare(ready_video)
    finally:
        without.stop()
    assert prepared.error is not None
    assert prepared.error.code == "fingerprints_missing"
    assert "pdqhash" in fingerprinting.missing_because()
    FingerprintService().record(prepared)
    ready_video.refresh_from_db()
    assert ready_video.is_ready
    assert not VideoFingerprint.objects.exists()
