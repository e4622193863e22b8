"""A file opened with PyAV: its header and tracks, its packets, its pictures.  Runs in the media
helper; knows no Django."""

import contextlib
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import av.error
from av.container import InputContainer
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from chat.services import libav_words
from chat.services.examination import FrameRequest
from chat.services.poster import Poster, seek_points
from chat.services.sandbox.child import STDERR
from chat.services.sandbox.libav_pictures import jpeg_of, short_of_memory
from chat.services.sandbox.tone_mapping import TRANSFER_NAMES
from chat.services.video_metadata import Probe, ProbedStream, true_duration

# What PyAV may raise at the end of a file in which tracks appeared after its start (FLV, MPEG): it
# looks past the end of its list of them.
LATE_TRACKS = (IndexError,)
# Finding the tracks out, libav decodes pictures that nobody sees: up to 20 of an H.264 track that
# does not say how many it holds back.  Key frames tell all that is asked for here.
UNSEEN = {"skip_frame": "nokey", "skip_loop_filter": "all", "skip_idct": "all"}
MICROSECONDS = 1_000_000
# Decoded at most of one file to reach times between key frames: about 100 pictures in 720p.
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
        self.affordable_pixels = MAX_DECODED_PIXELS
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
        for frame in self.frames(fruitless):
            last = frame
            self.affordable_pixels -= frame.width * frame.height
            if frame.pts is None or frame.pts >= target or self.affordable_pixels <= 0:
                break
        return last


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
    # As float(value * base), without a fraction made and reduced for each packet.
    return None if value is None or not base else value * base.numerator / base.denominator


def fraction(value: Any) -> Fraction | None:
    return Fraction(value) if value else None


def codec_tag(context: Any) -> str:
    try:
        return str(context.codec_tag) if context is not None else ""
    except UnicodeDecodeError:  # four bytes that are no letters
        return ""
