"""Where the two media engines disagree, and why: ``make compare-engines`` prints them.

Both read the corpus (when it lies beside the project) and clips of our own in every codec and
container.  A disagreement that is not in KNOWN is a defect, and so is an entry of KNOWN that is no
longer one.
"""

import io
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from PIL import Image, ImageChops, ImageStat

from chat.errors import VideoError
from tests import corpus
from tests.clips import clip, ffmpeg_version, rotated
from tests.corpus import CORPUS, ENGINES, entries

DURATION_TOLERANCE_SECONDS = 0.1
BITRATE_TOLERANCE_SHARE = 0.05

H264 = ("-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p")
H265 = ("-c:v", "libx265", "-preset", "ultrafast", "-x265-params", "log-level=none")
VP9 = ("-c:v", "libvpx-vp9", "-deadline", "realtime", "-cpu-used", "8")
AV1 = ("-c:v", "libsvtav1", "-preset", "12", "-svtav1-params", "logscale=0")
AAC, OPUS, VORBIS = ("-c:a", "aac"), ("-c:a", "libopus"), ("-c:a", "libvorbis")
MP2, MP3, PCM = ("-c:a", "mp2"), ("-c:a", "libmp3lame"), ("-c:a", "pcm_s16le")
CLIPS: dict[str, tuple[str, ...]] = {
    "h264.mp4": (*H264, *AAC),
    "h264.mov": (*H264, *AAC),
    "h264.mkv": (*H264, *AAC),
    "h264.avi": (*H264, *MP3),
    "h264.flv": (*H264, *AAC),
    "h264.ts": (*H264, *AAC),
    "h264.3gp": (*H264, *AAC),
    "h264-ac3.mkv": (*H264, "-c:a", "ac3"),
    "h264-flac.mkv": (*H264, "-c:a", "flac"),
    "h264-silent.mp4": (*H264, "-an"),
    "h264-faststart.mp4": (*H264, *AAC, "-movflags", "+faststart"),
    "h264-fragmented.mp4": (*H264, *AAC, "-movflags", "frag_keyframe+empty_moov"),
    "h264-reordered.mp4": (*H264, "-bf", "3", "-x264-params", "bframes=3", *AAC),
    "h264-ntsc.mp4": (*H264, "-r", "30000/1001", *AAC),
    "h264-anamorphic.mp4": (*H264, "-vf", "setsar=4/3", *AAC),
    "h264-interlaced.ts": (*H264, "-flags", "+ildct+ilme", *AAC),
    "h264-10bit.mkv": ("-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p10le"),
    "h264-444.mkv": ("-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv444p"),
    "h264-pq.mp4": (*H264, "-color_trc", "smpte2084", "-color_primaries", "bt2020"),
    "h265.mp4": (*H265, *AAC),
    "h265.mkv": (*H265, *OPUS),
    "h265.ts": (*H265, *AAC),
    "vp8.webm": ("-c:v", "libvpx", *VORBIS),
    "vp8.mkv": ("-c:v", "libvpx", *VORBIS),
    "vp9.webm": (*VP9, *OPUS),
    "vp9.mp4": (*VP9, *OPUS),
    "vp9-live.webm": (*VP9, *OPUS, "-f", "webm", "-live", "1"),
    "av1.mp4": (*AV1, *AAC),
    "av1.webm": (*AV1, *OPUS),
    "av1.mkv": (*AV1, *OPUS),
    "theora.ogv": ("-c:v", "libtheora", *VORBIS),
    "theora.mkv": ("-c:v", "libtheora", *VORBIS),
    "mpeg1.mpg": ("-c:v", "mpeg1video", *MP2),
    "mpeg2.mpg": ("-c:v", "mpeg2video", *MP2),
    "mpeg2.vob": ("-c:v", "mpeg2video", *MP2, "-f", "vob"),
    "mpeg2.ts": ("-c:v", "mpeg2video", *MP2),
    "mpeg2.mkv": ("-c:v", "mpeg2video", *MP2),
    "mpeg2-interlaced.ts": ("-c:v", "mpeg2video", "-flags", "+ildct+ilme", *MP2),
    "mpeg2-raw.m2v": ("-c:v", "mpeg2video", "-an", "-f", "mpeg2video"),
    "mpeg4.avi": ("-c:v", "mpeg4", *MP3),
    "mpeg4.mp4": ("-c:v", "mpeg4", *AAC),
    "mpeg4.3gp": ("-c:v", "mpeg4", *AAC),
    "msmpeg4.avi": ("-c:v", "msmpeg4", *MP3),
    "h263.3gp": ("-c:v", "h263", "-s", "352x288", *AAC),
    "flv1.flv": ("-c:v", "flv1", *MP3, "-ar", "44100"),
    "wmv1.wmv": ("-c:v", "wmv1", "-c:a", "wmav1"),
    "wmv2.wmv": ("-c:v", "wmv2", "-c:a", "wmav2"),
    "mjpeg.mov": ("-c:v", "mjpeg", *PCM),
    "mjpeg.avi": ("-c:v", "mjpeg", *PCM),
    "prores.mov": ("-c:v", "prores_ks", *PCM),
    "dnxhr.mov": ("-c:v", "dnxhd", "-profile:v", "dnxhr_lb", "-pix_fmt", "yuv422p", *PCM),
    "ffv1.mkv": ("-c:v", "ffv1", "-c:a", "flac"),
    "huffyuv.avi": ("-c:v", "huffyuv", *PCM),
    "raw.avi": ("-c:v", "rawvideo", "-pix_fmt", "yuv420p", *PCM),
    "raw.mov": ("-c:v", "rawvideo", "-pix_fmt", "yuyv422", *PCM),
    "png.mov": ("-c:v", "png", *PCM),
    "qtrle.mov": ("-c:v", "qtrle", *PCM),
    "cinepak.avi": ("-c:v", "cinepak", "-pix_fmt", "rgb24", *PCM),
    "dv.avi": ("-c:v", "dvvideo", "-s", "720x576", "-pix_fmt", "yuv420p", *PCM, "-ar", "48000"),
    "odd.mkv": ("-c:v", "ffv1", "-vf", "scale=161:121,setsar=1"),
}
ROTATED = "rotated.mp4"


@dataclass(frozen=True)
class Difference:
    """One thing in which the engines differ over one file."""

    file: str
    what: str
    libav: object
    ffmpeg: object


BITS_OVER_SAMPLES = (
    "Fragmented MP4. PyAV's libavformat 62 divides the bits by what the samples last, which is "
    "right; libavformat 59 divides them by where the track ends, gaps included."
)
# (file, what) → why the engines differ there, with the libav 62 of our PyAV and ffmpeg 5.1.
KNOWN: dict[tuple[str, str], str] = {
    ("sample_fragmented_seekable.mp4", "bit rate"): BITS_OVER_SAMPLES,
    ("prog_8s_enc_dashinit.mp4", "bit rate"): BITS_OVER_SAMPLES,
    ("no_timescale.mp4", "bit rate"): BITS_OVER_SAMPLES,
    ("fixture2.mpg", "frame rate"): (
        "A bare MPEG-1 stream, in which pictures carry no time stamps: libavformat 59 takes the "
        "header's 29.97, which is right; 62 leaves its demuxer's default of 25."
    ),
    ("sample_vvc.mp4", "verdict"): (
        "H.266: PyAV's libavcodec has a decoder for it, ffmpeg 5.1 has none."
    ),
}
KNOWN_OF_FFMPEG = "5.1"


examined = cache(corpus.examined)


def poster_distance(path: Path) -> float:
    """How far the engines' posters are from each other: mean of all channels, 0 to 255, in a
    thirty-second of a side, where codecs and scalers agree and colours and turns must."""
    small = []
    for engine in ENGINES:
        found = examined(path, engine)
        assert not isinstance(found, VideoError)
        with Image.open(io.BytesIO(found.poster.jpeg), formats=["JPEG"]) as image:
            small.append(image.convert("RGB").resize((32, 32), Image.Resampling.BOX))
    return sum(ImageStat.Stat(ImageChops.difference(*small)).mean) / 3


def differences(file: str, path: Path) -> Iterator[Difference]:
    answers = examined(path, "libav"), examined(path, "ffmpeg")
    if isinstance(answers[0], VideoError) or isinstance(answers[1], VideoError):
        verdicts = [each.code if isinstance(each, VideoError) else "ready" for each in answers]
        if verdicts[0] != verdicts[1]:
            yield Difference(file, "verdict", *verdicts)
        return
    libav, ffmpeg = answers[0].metadata, answers[1].metadata
    for what, ours, theirs, tolerance in (
        ("size", (libav.width, libav.height), (ffmpeg.width, ffmpeg.height), 0.0),
        ("duration", libav.duration, ffmpeg.duration, DURATION_TOLERANCE_SECONDS),
        ("bit rate", libav.bitrate, ffmpeg.bitrate,
         BITRATE_TOLERANCE_SHARE * max(libav.bitrate or 0, ffmpeg.bitrate or 0)),
        ("frame rate", libav.frame_rate, ffmpeg.frame_rate, 0.001),
        ("codec", libav.codec, ffmpeg.codec, 0.0),
        ("audio codec", libav.audio_codec, ffmpeg.audio_codec, 0.0),
        ("container", libav.container, ffmpeg.container, 0.0),
        ("rotation", libav.rotation, ffmpeg.rotation, 0.0),
    ):  # fmt: skip
        if ours != theirs and not is_close(ours, theirs, tolerance):
            yield Difference(file, what, ours, theirs)


def is_of_the_measured_ffmpeg() -> bool:
    found = re.search(r"ffmpeg version n?(\d+\.\d+)", ffmpeg_version())
    return bool(found) and found.group(1) == KNOWN_OF_FFMPEG


def assert_only_known_differences(name: str, path: Path) -> None:
    """And, with the ffmpeg that they were found with, all of them."""
    found = {(d.file, d.what): d for d in differences(name, path)}
    assert [d for key, d in found.items() if key not in KNOWN] == []
    if is_of_the_measured_ffmpeg():
        assert {key for key in KNOWN if key[0] == name} == found.keys()


def is_close(one: object, other: object, tolerance: float) -> bool:
    numbers = isinstance(one, int | float) and isinstance(other, int | float)
    return bool(tolerance) and numbers and abs(one - other) <= tolerance


def own_clip(name: str) -> Path:
    if name == ROTATED:
        upright = clip("upright.mp4", source="testsrc=size=320x180:rate=25:duration=1")
        return rotated(upright, upright.with_name(ROTATED))
    return clip(name, *CLIPS[name])


def corpus_files() -> Iterator[tuple[str, Path]]:
    for entry in entries():
        yield Path(entry["file"]).name, CORPUS / entry["file"]
