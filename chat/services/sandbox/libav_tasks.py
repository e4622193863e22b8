"""The ``libav`` engine: PyAV and Pillow inside the sandboxed child, metadata and poster in one
opening of the file.  Runs in the media helper; knows no Django."""

import contextlib
import ctypes
import importlib
import pkgutil
import struct
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import av.error
import av.filter
import av.logging
import PIL
from av.container import InputContainer
from av.sidedata.sidedata import Type as SideDataType
from av.video.frame import VideoFrame
from av.video.reformatter import Colorspace
from av.video.stream import VideoStream
from PIL import Image

from chat.errors import VideoError
from chat.services import libav_words
from chat.services.examination import FrameRequest, VideoBounds, describe, examine
from chat.services.poster import Poster, seek_points
from chat.services.sandbox.child import STDERR
from chat.services.sandbox.layers import memory_ran_short
from chat.services.sandbox.stills import as_jpeg, is_blank
from chat.services.sandbox.tone_mapping import HLG, PQ, TRANSFER_NAMES, colour_table, tone_mapped
from chat.services.video_metadata import (
    Probe,
    ProbedStream,
    clockwise_rotation,
    true_duration,
)

POSTER = "poster.jpg"
# What PyAV may raise at the end of a file in which tracks appeared after its start (FLV, MPEG): it
# looks past the end of its list of them.
LATE_TRACKS = (IndexError,)
# Opened once in the helper: a decoder's tables are computed then, and every child has them.
DECODERS = (
    "h264", "hevc", "vp8", "vp9", "mpeg4", "mpeg2video", "mpeg1video", "h263", "flv", "mjpeg",
    "aac", "mp3", "opus", "ac3",
)  # fmt: skip
# Finding the tracks out, libav decodes pictures that nobody sees: up to 20 of an H.264 track that
# does not say how many it holds back.  Key frames tell all that is asked for here.
UNSEEN = {"skip_frame": "nokey", "skip_loop_filter": "all", "skip_idct": "all"}
RGB, UNSPECIFIED = 0, 2  # matrices of ISO/IEC 23091-2
MICROSECONDS = 1_000_000
# Decoded at most to reach a time between key frames: about 100 pictures in 720p.
MAX_DECODED_PIXELS = 100_000_000
# Packets in a row without one picture after which a track counts as not decodable.
MAX_FRUITLESS_PACKETS = 2000
# Seeking to the very start may lead past it: times of packets and of pictures differ.
BEFORE_START_SECONDS = 10.0
# The same where a key frame, of which the demuxer says that it is one, should have come first; no
# codec holds back more pictures.
MAX_HELD_BACK_PACKETS = 32


class LibavMedia:
    """One file opened with PyAV."""

    def __init__(self, path: str, options: dict[str, str]) -> None:
        self.path, self.options = path, options
        # By time and whether of key frames alone; None where there is none.
        self.pictures: dict[tuple[float, bool], VideoFrame | None] = {}
        # By time stamp: several points of a video may lie behind one key frame.
        self.key_frames: dict[int, VideoFrame] = {}
        self.posters: dict[tuple[int, int, int], Poster] = {}  # by picture and size

    @property
    def said(self) -> str:
        """What libav logged so far: its log goes to the child's standard error."""
        log = Path(STDERR)
        return log.read_text("utf-8", "replace")[-4096:] if log.exists() else ""

    def __enter__(self) -> "LibavMedia":
        self._open(UNSEEN)
        return self

    def _open(self, more: dict[str, str]) -> None:
        try:
            self.container: InputContainer = av.open(
                f"file:{self.path}", options=self.options | more, metadata_errors="replace"
            )
        except (av.error.FFmpegError, ValueError, UnicodeError) as error:
            raise libav_words.refusal(f"{self.said}\n{error}", opened=False) from error

    def __exit__(self, *_exc: object) -> None:
        self.container.close()

    def probe(self) -> Probe:
        """Header, tracks, the last packets' times, and a picture's own word on its size and
        rotation."""
        container = self.container
        streams = tuple(self._stream(stream) for stream in container.streams)
        if not streams:
            raise libav_words.refusal(self.said, opened=True)
        probe = Probe(
            format_name=container.format.name,
            major_brand=container.metadata.get("major_brand", "").strip(),
            duration=seconds(container.duration, Fraction(1, MICROSECONDS)),
            bit_rate=container.bit_rate or None,
            size=container.size,
            streams=streams,
        )
        chosen = probe.video_stream  # refuses what has none
        self.stream: VideoStream = container.streams[chosen.index]  # type: ignore[assignment]
        self.stream.thread_count = 1
        starts, ends = libav_words.starts_and_ends(
            self._packets(), seconds(container.start_time, Fraction(1, MICROSECONDS))
        )
        probe = replace(probe, starts=starts, track_ends=ends)
        picture = self._any_picture(seek_points(true_duration(probe, chosen)))
        if picture is not None:
            chosen = seen_in(chosen, picture)
        streams = tuple(chosen if s.index == chosen.index else s for s in streams)
        return replace(probe, streams=streams)

    def _stream(self, stream: Any) -> ProbedStream:
        """PyAV's stream as a ``ProbedStream``."""
        context = stream.codec_context
        video = stream.type == "video" and context is not None
        disposition = type(stream.disposition)
        tag = codec_tag(context)
        return ProbedStream(
            index=stream.index,
            kind=stream.type or "",
            codec=context.codec.canonical_name if context is not None else "",
            codec_tag=tag,
            width=(context.width or 0) if video else 0,
            height=(context.height or 0) if video else 0,
            sample_aspect=fraction(stream.sample_aspect_ratio) if video else None,
            average_rate=fraction(stream.average_rate) if video else None,
            base_rate=fraction(stream.base_rate) if video else None,
            duration=seconds(stream.duration, stream.time_base),
            bit_rate=(context.bit_rate or None) if context is not None else None,
            attached_picture=bool(stream.disposition & disposition.attached_pic),
            still_image=bool(stream.disposition & disposition.still_image),
            default=bool(stream.disposition & disposition.default),
            encrypted=tag == "encv",
            transfer=TRANSFER_NAMES.get(int(context.color_trc), "") if video else "",
        )

    def _packets(self) -> list[tuple[int, float | None, float | None]]:
        """(track, time, duration) of the first packet and of those after the last key frame."""
        found: list[tuple[int, float | None, float | None]] = []
        with contextlib.suppress(av.error.FFmpegError, ValueError, *LATE_TRACKS):
            found += [described(packet) for packet in limited(self.container.demux(), 1)]
        with contextlib.suppress(av.error.FFmpegError, ValueError, OverflowError, *LATE_TRACKS):
            self.container.seek(libav_words.FAR_END_SECONDS * MICROSECONDS)
            for packet in limited(self.container.demux(), libav_words.TAIL_PACKETS):
                found.append(described(packet))
        return found

    def _any_picture(self, seek_points: list[float]) -> VideoFrame | None:
        """The picture that is likely to become the poster, else the first one."""
        for seek in seek_points[:1]:
            if (picture := self._picture(seek, key_frames_only=True)) is not None:
                return picture
        return self.first_picture()

    def first_picture(self) -> VideoFrame | None:
        """The first one of the chosen track that decodes."""
        return self._picture(0.0, key_frames_only=False)

    def _picture(self, seek: float, *, key_frames_only: bool) -> VideoFrame | None:
        """The decoded picture at this time (seconds), kept: it may be asked for again."""
        key = (seek, key_frames_only)
        if key not in self.pictures:
            found = self._sought(seek, key_frames_only) if seek else self._first()
            self.pictures[key] = found
        return self.pictures[key]

    def _first(self) -> VideoFrame | None:
        """The first picture of the chosen track; if need be from a fresh opening, where it decodes
        wherever anything does, seekable or not."""
        if self.seek(-BEFORE_START_SECONDS) is not None:
            self.stream.codec_context.skip_frame = "DEFAULT"
            picture = next(self.frames(MAX_HELD_BACK_PACKETS, at_once=True), None)
            if picture is not None:
                return picture
        self.reopen()
        return next(self.frames(MAX_FRUITLESS_PACKETS), None)

    def reopen(self, threads: int = 1) -> None:
        """Back to the start of the chosen track, whether the file can be sought or not, with all
        that libav finds out for decoding the whole of it in order."""
        index = self.stream.index
        self.container.close()
        self._open({})
        self.stream = self.container.streams[index]  # type: ignore[assignment]
        self.stream.thread_count = threads
        if threads > 1:
            self.stream.thread_type = "AUTO"

    def seek(self, seconds: float) -> int | None:
        """Go to the key frame nearest before ``seconds`` from the track's start; that time as a
        time stamp of the track, None where seeking fails."""
        target = self.time_stamp(seconds)
        try:
            self.container.seek(target, stream=self.stream)
        except (av.error.FFmpegError, ValueError, OverflowError):
            return None
        return target

    def time_stamp(self, seconds: float) -> int:
        """Of the chosen track, so long after its start."""
        start = self.stream.start_time or 0
        return start + int(seconds / (self.stream.time_base or Fraction(1)))

    def frames(self, fruitless: int, *, at_once: bool = False) -> Iterator[VideoFrame]:
        """Pictures from here on; damaged packets are passed over, as players do.

        ``fruitless`` packets in a row end it.  With ``at_once`` a key frame does not wait in the
        decoder for the pictures after it, other than for the packet that may hold its second
        field; what comes later may then miss what it refers to.
        """
        packets = self.container.demux(self.stream)
        left, key = fruitless, None
        while left:
            try:
                packet = next(packets, None)
                if packet is None:
                    return
                if at_once and packet.pts in self.key_frames:
                    yield self.key_frames[packet.pts]
                    return
                frames = packet.decode()
                if at_once and key and not frames:
                    frames = self._held_back()
                if at_once:
                    key = packet.is_keyframe and packet
            except MemoryError as error:
                raise short_of_memory(error) from error
            except (av.error.FFmpegError, ValueError, *LATE_TRACKS):
                frames = []
            else:
                if at_once and frames and packet.pts is not None:
                    self.key_frames[packet.pts] = frames[0]
            left = fruitless if frames else left - 1
            yield from frames

    def _held_back(self) -> list[VideoFrame]:
        """What the decoder keeps until it has seen more; it starts anew after that."""
        context = self.stream.codec_context
        frames = context.decode(None)
        context.flush_buffers()
        return frames

    def frame(self, request: FrameRequest) -> Poster | None:
        key_frames_only = request.key_frames_only and bool(request.seek_seconds)
        picture = self._picture(request.seek_seconds, key_frames_only=key_frames_only)
        if picture is None:
            return None
        key = id(picture), request.width, request.height
        if key not in self.posters:
            self.posters[key] = jpeg_of(picture, request)
        return self.posters[key]

    def _sought(self, seek: float, key_frames_only: bool) -> VideoFrame | None:
        target = self.seek(seek)
        if key_frames_only:
            if target is None:
                return None
            self.stream.codec_context.skip_frame = "NONKEY"
            return next(self.frames(MAX_FRUITLESS_PACKETS, at_once=True), None)
        found: VideoFrame | None = None
        if target is not None:
            # What no other picture refers to need not be decoded on the way.
            self.stream.codec_context.skip_frame = "NONREF"
            found = self._until(target, MAX_HELD_BACK_PACKETS)
        if found is None:  # seeking leads nowhere in a short MPEG-TS
            self.reopen()
            found = self._until(self.time_stamp(seek), MAX_FRUITLESS_PACKETS)
        return found

    def _until(self, target: int, fruitless: int) -> VideoFrame | None:
        """The picture at this time stamp, or as far as decoding is affordable."""
        last: VideoFrame | None = None
        pixels = 0
        for frame in self.frames(fruitless):
            last = frame
            pixels += frame.width * frame.height
            if frame.pts is None or frame.pts >= target or pixels >= MAX_DECODED_PIXELS:
                break
        return last


def examine_task(parameters: dict[str, Any]) -> dict[str, Any]:
    """``{"path", "options", "bounds"}`` → ``{"metadata", "width", "height", "blank"}`` with the
    poster in the file POSTER, or ``{"error", "detail"}``."""
    bounds = VideoBounds(**parameters["bounds"])
    try:
        with LibavMedia(parameters["path"], parameters["options"]) as media:
            examined = examine(media, bounds)
    except VideoError as error:
        return refused(error)
    Path(POSTER).write_bytes(examined.poster.jpeg)
    return {
        "metadata": asdict(examined.metadata),
        "width": examined.poster.width,
        "height": examined.poster.height,
        "blank": examined.poster.blank,
    }


def probe_task(parameters: dict[str, Any]) -> dict[str, Any]:
    """As ``examine_task``, without a poster."""
    try:
        with LibavMedia(parameters["path"], parameters["options"]) as media:
            return {"metadata": asdict(describe(media)[1])}
    except VideoError as error:
        return refused(error)


def short_of_memory(error: MemoryError) -> VideoError:
    """PyAV's own MemoryError is one of Python's too."""
    return VideoError("memory_limit", f"decoding: {error!r}")


def refused(error: VideoError) -> dict[str, str]:
    """What a task answers.  Some decoders (H.264) keep it to themselves that they found no
    memory; the process can tell."""
    code = error.code
    if code != "memory_limit" and error.permanent and memory_ran_short():
        code = "memory_limit"
    return {"error": code, "detail": error.detail}


def jpeg_of(frame: VideoFrame, request: FrameRequest) -> Poster:
    """As ``picture_of``, as JPEG."""
    image = picture_of(frame, request)
    jpeg = as_jpeg(image)
    return Poster(jpeg, *image.size, blank=is_blank(jpeg))


def picture_of(frame: VideoFrame, request: FrameRequest) -> Image.Image:
    """The picture turned upright, in the size asked for.

    Raises:
        VideoError: ``no_decodable_frame`` when it cannot be converted, or ``memory_limit``.
    """
    turned = clockwise(frame)
    width, height = request.width, request.height
    if turned in (90, 270):
        width, height = height, width
    try:
        if frame.interlaced_frame:
            frame = deinterlaced(frame)
        # One thread: for a picture this small, threads cost more than they do.
        upright: Any = frame.reformat(
            width,
            height,
            "rgb24",
            src_colorspace=colour_matrix(frame),
            interpolation="AREA",
            threads=1,
        )
        image: Image.Image = upright.to_image()
    except MemoryError as error:
        raise short_of_memory(error) from error
    except (av.error.FFmpegError, ValueError) as error:
        raise VideoError("no_decodable_frame", f"the frame does not convert: {error}") from error
    if turn := upright_turn(turned, display_matrix(frame)):
        image = image.transpose(turn)
    return tone_mapped(image, request.stream.transfer)


def deinterlaced(frame: VideoFrame) -> VideoFrame:
    """The picture rebuilt from one of its two fields, by libavfilter's yadif."""
    graph = av.filter.Graph()
    source = graph.add_buffer(
        template=None,
        width=frame.width,
        height=frame.height,
        format=frame.format,
        time_base=Fraction(1, 25),
    )
    yadif = graph.add("yadif", "deint=interlaced")
    sink = graph.add("buffersink")
    source.link_to(yadif)
    yadif.link_to(sink)
    graph.configure()
    frame.time_base, frame.pts = Fraction(1, 25), 0
    graph.vpush(frame)
    graph.vpush(None)
    return graph.vpull()


def colour_matrix(frame: VideoFrame) -> Colorspace | None:
    """What to assume of a picture that does not say its matrix: by its size, as players do."""
    if frame.colorspace not in (UNSPECIFIED, RGB):
        return None
    return Colorspace.ITU709 if frame.height >= 720 else Colorspace.ITU601


def display_matrix(frame: VideoFrame) -> tuple[int, ...]:
    """The 3 × 3 matrix of ISO/IEC 14496-12 section 6.2.2, row by row; empty without one."""
    side_data: Any = frame.side_data  # keyed by type, whatever its annotation says
    item = side_data.get(SideDataType.DISPLAYMATRIX)
    return struct.unpack("<9i", bytes(item)[:36]) if item else ()


def upright_turn(clockwise: int, matrix: tuple[int, ...]) -> Image.Transpose | None:
    """How to turn (and mirror) the stored picture, as ffmpeg's own tools do."""
    turn = Image.Transpose
    if clockwise == 90:
        return turn.TRANSPOSE if matrix[3] > 0 else turn.ROTATE_270
    if clockwise == 270:
        return turn.TRANSVERSE if matrix[3] < 0 else turn.ROTATE_90
    if clockwise == 180:
        mirrored = matrix[0] > 0 or matrix[4] > 0
        return turn.ROTATE_180 if not mirrored else turn.FLIP_TOP_BOTTOM
    return turn.FLIP_TOP_BOTTOM if matrix and matrix[4] < 0 else None


def clockwise(frame: VideoFrame) -> int:
    return clockwise_rotation(float(frame.rotation))


def seen_in(stream: ProbedStream, frame: VideoFrame) -> ProbedStream:
    """The track with the size and rotation of its decoded picture: containers lie about them."""
    return replace(
        stream,
        width=frame.width,
        height=frame.height,
        display_rotation=float(frame.rotation),
        interlaced=frame.interlaced_frame,
        transfer=TRANSFER_NAMES.get(int(frame.color_trc), stream.transfer),
    )


def described(packet: Any) -> tuple[int, float | None, float | None]:
    base = packet.time_base
    return packet.stream_index, seconds(packet.pts, base), seconds(packet.duration, base)


def limited(packets: Any, count: int) -> Iterator[Any]:
    """At most ``count`` packets, without the empty one that ends each track."""
    for packet in packets:
        if packet.size or packet.pts is not None:
            count -= 1
            yield packet
        if count <= 0:
            return


def seconds(value: int | None, base: Fraction | None) -> float | None:
    return None if value is None or not base else float(value * base)


def fraction(value: Any) -> Fraction | None:
    return Fraction(value) if value else None


def codec_tag(context: Any) -> str:
    try:
        return str(context.codec_tag) if context is not None else ""
    except UnicodeDecodeError:  # four bytes that are no letters
        return ""


def bound_allocations() -> None:
    """libav's own cap on one allocation; PyAV has no call for it."""
    loaded = Path("/proc/self/maps")
    if not loaded.exists():
        return
    for line in loaded.read_text().splitlines():
        if "libavutil" in line:
            library = ctypes.CDLL(line.split(maxsplit=5)[5])
            library.av_max_alloc(ctypes.c_size_t(libav_words.MAX_ALLOC_BYTES))
            return


def warm_up() -> None:
    """Import all of PyAV, and read a clip of our own once: under Landlock a late import fails."""
    for module in pkgutil.walk_packages(av.__path__, "av."):
        if not module.name.endswith(("__main__", "datasets", "device")):
            importlib.import_module(module.name)
    with tempfile.TemporaryDirectory() as directory:
        clip = Path(directory) / "clip"
        with av.open(str(clip), "w", format="mov") as container:
            stream = container.add_stream("mpeg4", rate=25)
            stream.width, stream.height, stream.pix_fmt = 64, 64, "yuv420p"
            for _ in range(30):
                container.mux(stream.encode(VideoFrame(64, 64, "yuv420p")))
            container.mux(stream.encode(None))
        bounds = VideoBounds(60, 10_000, 4, 64, 64)
        with LibavMedia(str(clip), {}) as media:
            examine(media, bounds)
    deinterlaced(VideoFrame(64, 64, "yuv420p"))
    for name in DECODERS:
        av.CodecContext.create(name, "r").open()
    for transfer in (PQ, HLG):
        colour_table(transfer)


av.logging.restore_default_callback()
av.logging.set_libav_level(av.logging.ERROR)
bound_allocations()
warm_up()

TASKS = {"libav.examine": examine_task, "libav.probe": probe_task}
VERSIONS = {
    "PyAV": av.__version__,
    "Pillow": PIL.__version__,
    **{name: ".".join(map(str, number)) for name, number in av.library_versions.items()},
}
