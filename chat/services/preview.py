"""The preview: a small H.264 and AAC copy in MP4 of a video that browsers do not play, or that is
too heavy for them.  Made by ffmpeg in the sandboxed child, whatever the engine."""

from dataclasses import dataclass
from math import ceil
from pathlib import Path
from typing import Any

import ffmpeg

from chat.errors import VideoError
from chat.services import libav_words
from chat.services.browser_support import browser_plays
from chat.services.examination import refuse_excess
from chat.services.ffmpeg_build import known_filters, variable_rate
from chat.services.ffmpeg_engine import FfmpegMedia
from chat.services.media_limits import MediaLimits, PreviewBounds
from chat.services.sandbox.tone_mapping import HLG, PQ, REFERENCE_WHITE
from chat.services.video_metadata import Probe, ProbedStream, VideoMetadata

PREVIEW = "preview.mp4"
SHORT_SIDE_PIXELS, LONG_SIDE_PIXELS = 480, 1280
MAX_FRAME_RATE = 30
CRF = 26
VIDEO_KBPS, AUDIO_KBPS = 1200, 96
AUDIO_RATE_HZ = 48_000
HD_PIXELS = 720  # from this height on colours of an unnamed matrix are taken for BT.709
TONE_MAPPING_FILTERS = {"zscale", "tonemap"}
# How far a preview's duration may be from the video's: seconds, and a share.
TOLERANCE_SECONDS, TOLERANCE_SHARE = 1.0, 0.05


@dataclass(frozen=True, slots=True)
class PreviewPlan:
    """Size in pixels; ``seconds`` of the video, from its start; None: to its end, unknown."""

    probe: Probe
    metadata: VideoMetadata
    width: int
    height: int
    max_seconds: float
    with_sound: bool

    @property
    def expected_seconds(self) -> float | None:
        duration = self.metadata.duration
        return None if duration is None else min(duration, self.max_seconds)


def write_preview(source: Path, directory: Path, limits: MediaLimits) -> PreviewPlan | None:
    """The preview as PREVIEW in ``directory``; None when browsers do well with the video itself.

    Raises:
        VideoError: why there is none.
    """
    media = FfmpegMedia(source, directory, limits)
    probe = media.probe()
    metadata = VideoMetadata.from_probe(probe)
    refuse_excess(probe, metadata, limits.bounds)
    bounds = limits.preview_bounds
    if plays_well(probe, metadata, bounds):
        return None
    target = directory / PREVIEW
    # Sound that cannot be decoded ends ffmpeg without an output: then without it.
    for with_sound in (True, False) if probe.audio_stream else (False,):
        size = preview_size(metadata.width, metadata.height)
        plan = PreviewPlan(probe, metadata, *size, bounds.max_seconds, with_sound)
        target.unlink(missing_ok=True)
        media.run(preview_arguments(media, plan, target), slow=True)
        if target.exists() and target.stat().st_size:
            return plan
        if limit := libav_words.limit_named(media.said):
            raise limit
    raise VideoError("no_decodable_frame", media.said[-500:])


def plays_well(probe: Probe, metadata: VideoMetadata, bounds: PreviewBounds) -> bool:
    """Whether browsers play the video as it is, and it is not too heavy for them."""
    stream = probe.video_stream
    return browser_plays(
        metadata.container, metadata.codec, stream.pixel_format, metadata.audio_codec
    ) and not (
        (metadata.bitrate or 0) > bounds.heavy_kbps
        or probe.size > bounds.heavy_bytes
        or min(metadata.width, metadata.height) > bounds.heavy_pixels
    )


def preview_size(width: int, height: int) -> tuple[int, int]:
    """Display size with a short side of at most 480, in even numbers, never enlarged but for
    evenness."""
    scale = min(1.0, SHORT_SIDE_PIXELS / min(width, height), LONG_SIDE_PIXELS / max(width, height))
    return ceil(round(width * scale, 3) / 2) * 2, ceil(round(height * scale, 3) / 2) * 2


def preview_arguments(media: FfmpegMedia, plan: PreviewPlan, target: Path) -> list[str]:
    """ffmpeg's argument list: first picture and sound only, no metadata, index in front."""
    source = media.opened()
    stream, audio = plan.probe.video_stream, plan.probe.audio_stream
    options: dict[str, Any] = dict(variable_rate())
    tracks = [picture(source[str(stream.index)], stream, plan)]
    if plan.with_sound and audio:
        tracks.append(source[str(audio.index)])
        options |= {"acodec": "aac", "b:a": f"{AUDIO_KBPS}k", "ac": 2, "ar": AUDIO_RATE_HZ}
    output = ffmpeg.output(
        *tracks,
        f"file:{target}",
        f="mp4",
        vcodec="libx264",
        preset="veryfast",
        crf=CRF,
        maxrate=f"{VIDEO_KBPS}k",
        bufsize=f"{VIDEO_KBPS * 2}k",
        colorspace="bt709",
        color_primaries="bt709",
        color_trc="bt709",
        threads=2,
        movflags="+faststart",
        map_metadata=-1,
        map_chapters=-1,
        t=plan.max_seconds,
        **options,
    )
    return media.compiled(output)


def picture(node: Any, stream: ProbedStream, plan: PreviewPlan) -> Any:
    """The graph from the decoded picture (turned upright by ffmpeg itself) to the encoder."""
    if stream.interlaced:
        node = node.filter("yadif", deint="interlaced")
    # Drop what exceeds the rate; repeat nothing: two pictures ten hours apart stay two.
    distance = 1 / MAX_FRAME_RATE - 0.002
    chosen = f"isnan(prev_selected_t)+gte(t-prev_selected_t,{distance:.4f})"
    node = node.filter("select", chosen)
    colours = {"out_color_matrix": "bt709", "out_range": "tv"}
    if not stream.matrix and stream.height >= HD_PIXELS:
        colours["in_color_matrix"] = "bt709"
    if stream.transfer in (PQ, HLG) and known_filters() >= TONE_MAPPING_FILTERS:
        node = tone_mapped(node.filter("scale", plan.width, plan.height), stream)
        colours = {}
    return (
        node.filter("scale", plan.width, plan.height, **colours)
        .filter("setsar", 1)
        .filter("format", "yuv420p")
    )


def tone_mapped(node: Any, stream: ProbedStream) -> Any:
    """From PQ or HLG in BT.2020 to BT.709, by linear light."""
    return (
        node.filter(
            "zscale",
            transferin=stream.transfer,
            primariesin="bt2020",
            matrixin="bt2020nc",
            rangein="tv",
            transfer="linear",
            npl=int(REFERENCE_WHITE),
        )
        .filter("format", "gbrpf32le")
        .filter("zscale", primaries="bt709")
        .filter("tonemap", "mobius", desat=0)
        .filter("zscale", transfer="bt709", matrix="bt709", range="tv")
    )


def refuse_false_preview(made: VideoMetadata, plan: PreviewPlan) -> None:
    """Whether what was stored is the preview that was planned.

    Raises:
        VideoError: ``corrupt``, saying how it differs.
    """
    wanted = (plan.width, plan.height, "h264", "mp4", "aac" if plan.with_sound else "")
    found = (made.width, made.height, made.codec, made.container, made.audio_codec)
    if found != wanted:
        raise VideoError("corrupt", f"the preview is {found}, not {wanted}")
    expected = plan.expected_seconds
    if expected is None:
        return
    tolerance = max(TOLERANCE_SECONDS, TOLERANCE_SHARE * expected)
    if plan.metadata.frame_rate:
        tolerance += 1 / plan.metadata.frame_rate  # how long the last picture lasts is a guess
    if made.duration is None or abs(made.duration - expected) > tolerance:
        raise VideoError("corrupt", f"the preview lasts {made.duration} s, not {expected:g} s")
