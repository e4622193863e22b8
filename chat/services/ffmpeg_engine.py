"""Reading a video with ffprobe and ffmpeg: argument lists compiled by ffmpeg-python, run by the
media runner.  Knows options and output of the tools; what is true of a video is decided in
``video_metadata``, what is a good poster in ``poster``.
"""

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ffmpeg
from django.conf import settings

from chat.errors import VideoError
from chat.services import media_runner
from chat.services.media_runner import Finished, ProcessLimits
from chat.services.video_metadata import (
    Probe,
    ProbedStream,
    as_float,
    as_fraction,
    as_int,
)

# Demuxers that are tried; none of them opens a second file.  Playlists (hls, dash, concat, imf),
# still images and text are not among them.
FORMATS = "mov,matroska,webm,avi,flv,asf,mpeg,mpegts,mpegvideo,ogg"
MAX_ALLOC_BYTES = 64 * 1024**2  # of a single allocation inside libav
PROBE_BYTES = 5_000_000
ANALYZE_MICROSECONDS = 5_000_000
# One packet from the start, then up to this many from the last key frame on: enough for a group
# of pictures of half a minute with sound.
TAIL_PACKETS = 3000
MIN_PACKETS = 3
FAR_END_SECONDS = 360_000
MAX_PACKET_SECONDS = 10.0

HEADER_ENTRIES = ":".join(
    (
        "format=format_name,duration,bit_rate",
        "format_tags=major_brand",
        "stream=index,codec_type,codec_name,codec_tag_string,width,height,sample_aspect_ratio,"
        "avg_frame_rate,r_frame_rate,duration,bit_rate",
        "stream_disposition=default,attached_pic,still_image",
        "stream_side_data=side_data_type,rotation",
    )
)
PACKET_ENTRIES = "packet=stream_index,pts_time,duration_time"


def input_options(max_pixels: int, max_streams: int) -> dict[str, Any]:
    """Options before ``-i`` that keep a hostile file from opening others or eating memory."""
    return {
        "protocol_whitelist": "file",
        "format_whitelist": FORMATS,
        "max_streams": max_streams,
        "max_pixels": max_pixels,
        "probesize": PROBE_BYTES,
        "analyzeduration": ANALYZE_MICROSECONDS,
    }


@dataclass(frozen=True, slots=True)
class FrameRequest:
    """Which frame to take and how large to make it (pixels; rotation is applied before)."""

    stream_index: int
    width: int
    height: int
    seek_seconds: float = 0.0
    key_frames_only: bool = True


@dataclass(frozen=True, slots=True)
class FfmpegEngine:
    """The engine on the installed ffmpeg (4.0 or newer); stateless, safe to share."""

    max_pixels: int
    max_streams: int

    def probe(self, path: Path, limits: ProcessLimits, directory: Path) -> Probe:
        """Read header, streams and the last packets' times.

        Raises:
            VideoError: why the file is no readable video.
        """
        interval = f"0%+#1,{FAR_END_SECONDS}%+#{TAIL_PACKETS}"
        packets = [f"{HEADER_ENTRIES}:{PACKET_ENTRIES}", "-read_intervals", interval]
        answer = parsed(self._ffprobe(path, limits, directory, *packets))
        if not answer.get("streams"):
            # Seeking fails on some readable files: ask for the header alone.
            finished = self._ffprobe(path, limits, directory, HEADER_ENTRIES)
            answer = parsed(finished)
            if not answer.get("streams"):
                raise refusal(finished)
        return probe_from_ffprobe(answer, path.stat().st_size)

    def _ffprobe(
        self, path: Path, limits: ProcessLimits, directory: Path, entries: str, *extra: str
    ) -> Finished:
        arguments = [settings.FFPROBE_BINARY, "-v", "error", "-of", "json"]
        options = input_options(self.max_pixels, self.max_streams)
        options["max_alloc"] = MAX_ALLOC_BYTES
        for name, value in options.items():
            arguments += [f"-{name}", str(value)]
        arguments += ["-show_entries", entries, *extra, "-i", f"file:{path}"]
        return media_runner.run(arguments, limits, directory)

    def save_frame(
        self, path: Path, request: FrameRequest, limits: ProcessLimits, directory: Path
    ) -> tuple[Path, str]:
        """Write one frame as JPEG into ``directory``.

        Returns the file's path (it does not exist when no frame was found) and what ffmpeg said.

        Raises:
            VideoError: a limit was reached or the tool crashed.
        """
        target = directory / "frame.jpg"
        target.unlink(missing_ok=True)
        options = input_options(self.max_pixels, self.max_streams)
        options["threads"] = 2
        if request.key_frames_only:
            options["skip_frame"] = "nokey"
        if request.seek_seconds:
            options["ss"] = f"{request.seek_seconds:.3f}"
            if request.key_frames_only:
                options["noaccurate_seek"] = None
        stream = ffmpeg.input(f"file:{path}", **options)[str(request.stream_index)]
        picture = (
            stream.filter("scale", request.width, request.height)
            .filter("setsar", 1)
            .filter("format", "yuvj420p")
        )
        output = picture.output(
            f"file:{target}",
            f="image2",
            vcodec="mjpeg",
            vframes=1,
            update=1,
            fs=limits.output_bytes,
            map_metadata=-1,
            **{"q:v": 3},
        ).global_args("-nostdin", "-v", "error", "-max_alloc", str(MAX_ALLOC_BYTES))
        arguments = ffmpeg.compile(output, cmd=settings.FFMPEG_BINARY, overwrite_output=True)
        finished = media_runner.run(arguments, limits, directory)
        return target, finished.stderr


def parsed(finished: Finished) -> dict[str, Any]:
    """ffprobe's JSON; empty when it broke off in the middle."""
    try:
        answer = json.loads(finished.stdout or b"{}")
    except ValueError:
        return {}
    return answer if isinstance(answer, dict) else {}


def refusal(finished: Finished) -> VideoError:
    """The outcome for a file of which ffprobe named no stream, from what it said."""
    said = finished.stderr
    if (limit := limit_named(said)) is not None:
        return limit
    if "not on whitelist" in said:
        return VideoError("unsupported_container", said[-500:])
    # A line of a demuxer ("[mov,mp4,… @ 0x…]") tells that the format was recognised.
    if any(f"[{name}" in said for name in FORMATS.split(",")) or not finished.returncode:
        return VideoError("corrupt", said[-500:])
    return VideoError("not_a_video", said[-500:])


def limit_named(said: str) -> VideoError | None:
    """The limit that stopped the tool by its own word, if one did."""
    for sentence, code in (
        ("max pixel count", "too_many_pixels"),
        ("max_streams", "too_many_streams"),
        ("Cannot allocate memory", "memory_limit"),
        ("failed to map segment", "memory_limit"),  # the dynamic linker, under a small limit
    ):
        if sentence in said:
            return VideoError(code, said[-500:])
    return None


def probe_from_ffprobe(answer: dict[str, Any], size: int) -> Probe:
    """ffprobe's JSON (``of those entries``) as a ``Probe``; ``size`` in bytes."""
    header = answer.get("format", {})
    streams = tuple(stream_from_ffprobe(stream) for stream in answer.get("streams", []))
    start, ends = packet_span(answer.get("packets", []))
    return Probe(
        format_name=header.get("format_name", ""),
        major_brand=header.get("tags", {}).get("major_brand", "").strip(),
        duration=as_float(header.get("duration")),
        bit_rate=as_int(header.get("bit_rate")),
        size=size,
        streams=streams,
        packet_start=start,
        packet_ends=ends,
    )


def stream_from_ffprobe(stream: dict[str, Any]) -> ProbedStream:
    side_data = stream.get("side_data_list", [])
    disposition = stream.get("disposition", {})
    rotations = [as_float(item["rotation"]) for item in side_data if "rotation" in item]
    tag = stream.get("codec_tag_string", "")
    codec = stream.get("codec_name", "")
    return ProbedStream(
        index=int(stream["index"]),
        kind=stream.get("codec_type", ""),
        codec="" if codec == "unknown" else codec,
        codec_tag=tag,
        width=as_int(stream.get("width")) or 0,
        height=as_int(stream.get("height")) or 0,
        sample_aspect=as_fraction(stream.get("sample_aspect_ratio"), ":"),
        display_rotation=next((r for r in rotations if r is not None), 0.0),
        average_rate=as_fraction(stream.get("avg_frame_rate")),
        base_rate=as_fraction(stream.get("r_frame_rate")),
        duration=as_float(stream.get("duration")),
        bit_rate=as_int(stream.get("bit_rate")),
        attached_picture=bool(disposition.get("attached_pic")),
        still_image=bool(disposition.get("still_image")),
        default=bool(disposition.get("default")),
        encrypted=tag == "encv",
    )


def packet_span(packets: list[dict[str, Any]]) -> tuple[float, tuple[float, ...]]:
    """First time stamp, and the end of each track's last packet, in seconds.

    No ends when they were not reached: too many packets after the last key frame, or (a
    container without an index, such as FLV) none but the first.
    """
    if not MIN_PACKETS <= len(packets) < TAIL_PACKETS:
        return 0.0, ()
    start = math.inf
    ends: dict[int, float] = {}
    for packet in packets:
        time = as_float(packet.get("pts_time"))
        if time is None or not math.isfinite(time):
            continue
        lasts = as_float(packet.get("duration_time")) or 0.0
        end = time + (lasts if 0 < lasts <= MAX_PACKET_SECONDS else 0.0)
        track = packet.get("stream_index", 0)
        ends[track] = max(end, ends.get(track, end))
        start = min(start, time)
    return (start, tuple(ends.values())) if ends else (0.0, ())
