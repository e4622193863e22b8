"""The ``ffmpeg`` engine, reference and fallback: ffprobe and ffmpeg in sandboxed children, their
argument lists compiled by ffmpeg-python.  Knows options and output of the tools; what is true of
a video is decided in ``video_metadata``, what is a good poster in ``examination``."""

import json
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import ffmpeg
from django.conf import settings

from chat.errors import VideoError
from chat.services import libav_words, media_runner
from chat.services.examination import (
    ExaminedVideo,
    FrameRequest,
    VideoBounds,
    describe,
    examine,
    frame_at,
)
from chat.services.ffmpeg_storyboard import write_storyboard
from chat.services.media_limits import MediaLimits
from chat.services.media_runner import Finished, ProcessLimits, remaining
from chat.services.poster import Poster, poster_of_child
from chat.services.scratch import scratch_folder
from chat.services.storyboard import Storyboard
from chat.services.video_metadata import (
    Probe,
    ProbedStream,
    VideoMetadata,
    as_float,
    as_fraction,
    as_int,
)

HEADER_ENTRIES = ":".join(
    (
        "format=format_name,start_time,duration,bit_rate",
        "format_tags=major_brand",
        "stream=index,codec_type,codec_name,codec_tag_string,width,height,sample_aspect_ratio,"
        "avg_frame_rate,r_frame_rate,duration,bit_rate,field_order,pix_fmt,color_space,"
        "color_transfer",
        "stream_disposition=default,attached_pic,still_image",
        "stream_side_data=side_data_type,rotation",
    )
)
MAX_DECODING_SECONDS = 5  # of processor time, to reach one frame between key frames
PACKET_ENTRIES = "packet=stream_index,pts_time,duration_time"


class FfmpegEngine:
    """Stateless; safe to share between threads."""

    def __init__(self, limits: MediaLimits) -> None:
        self.limits = limits

    def examine(self, source: Path) -> ExaminedVideo:
        """Raises VideoError: why the file is refused."""
        with scratch_folder() as scratch:
            media = FfmpegMedia(source, scratch, self.limits)
            return examine(media, self.limits.bounds)

    def frame_at(self, source: Path, seconds: float) -> Poster:
        """Raises VideoError: why there is no picture of that time."""
        with scratch_folder() as scratch:
            media = FfmpegMedia(source, scratch, self.limits)
            return frame_at(media, self.limits.bounds, seconds)

    def raw_probe(self, source: Path) -> dict[str, Any]:
        """All that ffprobe tells of container, streams and chapters, as it tells it.

        Raises VideoError: why it tells nothing.
        """
        with scratch_folder() as scratch:
            finished = FfmpegMedia(source, scratch, self.limits).ffprobe_all()
            told = parsed(finished)
            if not told.get("streams"):
                raise libav_words.refusal(finished.stderr, opened=not finished.returncode)
            told.get("format", {}).pop("filename", None)  # a name of ours
            return told

    def read_metadata(self, source: Path) -> VideoMetadata:
        """Raises VideoError: why the file is refused.  Decodes nothing."""
        with scratch_folder() as scratch:
            return describe(FfmpegMedia(source, scratch, self.limits))[1]

    def write_storyboard(self, source: Path, directory: Path) -> Storyboard | None:
        """The sheet as ``SHEET`` in ``directory``; None for a video of unknown length.

        Raises VideoError: why there is none.
        """
        return write_storyboard(FfmpegMedia(source, directory, self.limits))


class FfmpegMedia:
    """One file, with a scratch directory and a deadline for all that is asked of it."""

    def __init__(self, source: Path, directory: Path, limits: MediaLimits) -> None:
        self.source, self.directory, self.limits = source.resolve(), directory, limits
        self.bounds: VideoBounds = limits.bounds
        self.deadline = time.monotonic() + limits.wall_seconds
        self.said = ""
        self.lacks_index = False  # MPEG-TS, MPEG-PS and bare MPEG streams; known once probed
        # The tools see a name of ours only: no extension to guess a format from, no `%d`.
        self.path = directory / "input"
        self.path.symlink_to(self.source)

    def probe(self) -> Probe:
        """Header, streams and the last packets' times."""
        interval = f"0%+#1,{libav_words.FAR_END_SECONDS}%+#{libav_words.TAIL_PACKETS}"
        packets = [f"{HEADER_ENTRIES}:{PACKET_ENTRIES}", "-read_intervals", interval]
        answer = parsed(self._ffprobe(*packets))
        if not answer.get("streams"):
            # Seeking fails on some readable files: ask for the header alone.
            finished = self._ffprobe(HEADER_ENTRIES)
            answer = parsed(finished)
            if not answer.get("streams"):
                raise libav_words.refusal(finished.stderr, opened=not finished.returncode)
        found = probe_from_ffprobe(answer, self.source.stat().st_size)
        self.lacks_index = found.format_name.startswith("mpeg")
        return found

    def _ffprobe(self, entries: str, *extra: str) -> Finished:
        arguments = [settings.FFPROBE_BINARY, "-v", "error", "-of", "json"]
        options = libav_words.input_options(self.bounds.max_pixels, self.bounds.max_streams)
        options["max_alloc"] = str(libav_words.MAX_ALLOC_BYTES)
        for name, value in options.items():
            arguments += [f"-{name}", value]
        return self.run([*arguments, "-show_entries", entries, *extra, "-i", f"file:{self.path}"])

    def ffprobe_all(self) -> Finished:
        return self._ffprobe("format:stream:chapter")

    def frame(self, request: FrameRequest) -> Poster | None:
        target = self.directory / "frame.jpg"
        target.unlink(missing_ok=True)
        # Without an index seeking leads nowhere in a short file, or among pictures that refer to
        # others: between key frames all before them is decoded.
        from_start = self.lacks_index and not request.key_frames_only
        self.run(self.frame_arguments(request, target, from_start=from_start))
        if not media_runner.output(target):
            if limit := libav_words.limit_named(self.said):
                raise limit
            return None
        size = request.width, request.height
        parameters = {
            "path": str(target),
            "width": request.width,
            "height": request.height,
            "transfer": request.stream.transfer,
        }
        answer = media_runner.run_task(
            "pictures.frame", parameters, self.left(), self.directory, target
        )
        if "error" in answer:
            raise VideoError(answer["error"], answer["detail"])
        return poster_of_child(media_runner.output(target), *size, blank=answer["blank"])

    def opened(self, **more: Any) -> Any:
        """The input node of a graph, with the options that an untrusted file needs."""
        options = libav_words.input_options(self.bounds.max_pixels, self.bounds.max_streams)
        return ffmpeg.input(f"file:{self.path}", threads=2, **options, **more)

    def frame_arguments(
        self, request: FrameRequest, target: Path, *, from_start: bool = False
    ) -> list[str]:
        """ffmpeg's argument list that writes one frame as JPEG to ``target``; ``from_start``: not
        seeking, but decoding all before it."""
        options: dict[str, Any] = {}
        if request.key_frames_only:
            options["skip_frame"] = "nokey"
        if request.seek_seconds and not from_start:
            options["ss"] = f"{request.seek_seconds:.3f}"
            if request.key_frames_only:
                options["noaccurate_seek"] = None
        stream = self.opened(**options)[str(request.stream.index)]
        if from_start and request.seek_seconds:
            stream = stream.filter("trim", start=request.seek_seconds)
        if request.stream.interlaced:
            stream = stream.filter("yadif", deint="interlaced")
        # JPEG viewers take the colours for BT.601 in full range.
        colours = {"out_color_matrix": "bt601", "out_range": "pc"}
        picture = (
            stream.filter("scale", request.width, request.height, **colours)
            .filter("setsar", 1)
            .filter("format", "yuvj420p")
        )
        output = picture.output(
            f"file:{target}",
            f="image2",
            vcodec="mjpeg",
            vframes=1,
            update=1,
            fs=self.limits.output_bytes,
            map_metadata=-1,
            **{"q:v": 3},
            **({} if request.key_frames_only else {"timelimit": MAX_DECODING_SECONDS}),
        )
        return self.compiled(output)

    def left(self) -> ProcessLimits:
        """The limits of the next process: what is left of the time for all of them."""
        return replace(self.limits.of_a_process, wall_seconds=remaining(self.deadline))

    def run(self, arguments: list[str], *, slow: bool = False) -> Finished:
        finished = media_runner.run(arguments, self.left(), self.directory, self.source, slow=slow)
        self.said = finished.stderr
        return finished

    def compiled(self, output: Any) -> list[str]:
        """ffmpeg's argument list for the graph that ends in ``output``."""
        node = output.global_args(
            "-nostdin", "-v", "error", "-max_alloc", str(libav_words.MAX_ALLOC_BYTES)
        )
        arguments: list[str] = ffmpeg.compile(
            node, cmd=settings.FFMPEG_BINARY, overwrite_output=True
        )
        return arguments


def parsed(finished: Finished) -> dict[str, Any]:
    """ffprobe's JSON; empty when it broke off in the middle."""
    try:
        answer = json.loads(finished.stdout or b"{}")
    except ValueError:
        return {}
    return answer if isinstance(answer, dict) else {}


def probe_from_ffprobe(answer: dict[str, Any], size: int) -> Probe:
    """ffprobe's JSON (``of HEADER_ENTRIES``) as a ``Probe``; ``size`` in bytes."""
    header = answer.get("format", {})
    streams = tuple(stream_from_ffprobe(stream) for stream in answer.get("streams", []))
    starts, ends = libav_words.starts_and_ends(
        [
            (
                int(packet.get("stream_index", 0)),
                as_float(packet.get("pts_time")),
                as_float(packet.get("duration_time")),
            )
            for packet in answer.get("packets", [])
        ],
        as_float(header.get("start_time")),
    )
    return Probe(
        format_name=header.get("format_name", ""),
        major_brand=header.get("tags", {}).get("major_brand", "").strip(),
        duration=as_float(header.get("duration")),
        bit_rate=as_int(header.get("bit_rate")),
        size=size,
        streams=streams,
        starts=starts,
        track_ends=ends,
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
        interlaced=stream.get("field_order", "") in ("tt", "bb", "tb", "bt"),
        transfer=stream.get("color_transfer", ""),
        pixel_format=stream.get("pix_fmt", ""),
        matrix=stream.get("color_space", ""),
    )
