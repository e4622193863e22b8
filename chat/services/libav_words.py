"""What both engines say to libav and what it says back: options that bound an untrusted file, and
the sentences that tell why one was refused.  No Django here: the sandboxed child uses it too."""

from math import isfinite

from chat.errors import VideoError

# Demuxers that are tried; none of them opens a second file.  Playlists (hls, dash, concat, imf),
# still images and text are not among them.
FORMATS = "mov,matroska,webm,avi,flv,asf,mpeg,mpegts,mpegvideo,ogg"
MAX_ALLOC_BYTES = 64 * 1024**2  # of a single allocation inside libav
PROBE_BYTES = 5_000_000
ANALYZE_MICROSECONDS = 5_000_000
# Packets read after the last key frame to find the end: enough for half a minute with sound.
TAIL_PACKETS = 3000
# Fewer than these tell that seeking found nothing but the start (FLV has no index).
MIN_PACKETS = 3
FAR_END_SECONDS = 360_000
MAX_PACKET_SECONDS = 10.0


def input_options(max_pixels: int, max_streams: int) -> dict[str, str]:
    """Input options that keep a hostile file from opening others or eating memory."""
    return {
        "protocol_whitelist": "file",
        "format_whitelist": FORMATS,
        "max_streams": str(max_streams),
        "max_pixels": str(max_pixels),
        "probesize": str(PROBE_BYTES),
        "analyzeduration": str(ANALYZE_MICROSECONDS),
    }


def refusal(said: str, *, opened: bool) -> VideoError:
    """The outcome for a file of which no stream could be named.

    ``said`` is libav's log; ``opened`` tells that the container was opened without an error.
    """
    if (limit := limit_named(said)) is not None:
        return limit
    if "not on whitelist" in said:
        return VideoError("unsupported_container", said[-500:])
    # A line of a demuxer ("[mov,mp4,… @ 0x…]") tells that the format was recognised.
    if opened or any(f"[{name}" in said for name in FORMATS.split(",")):
        return VideoError("corrupt", said[-500:])
    return VideoError("not_a_video", said[-500:])


def limit_named(said: str) -> VideoError | None:
    """The limit that stopped libav by its own word, if one did."""
    for sentence, code in (
        ("max pixel count", "too_many_pixels"),
        ("max_streams", "too_many_streams"),
        ("Cannot allocate memory", "memory_limit"),
        ("failed to map segment", "memory_limit"),  # the dynamic linker, under a small limit
    ):
        if sentence in said:
            return VideoError(code, said[-500:])
    return None


def starts_and_ends(
    packets: list[tuple[int, float | None, float | None]], start_time: float | None
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Where the file may start, and the end of each track's last packet, in seconds.

    ``packets`` are (track, time stamp, duration) of the first packet and of those after the last
    key frame; ``start_time`` is the header's.  No ends when they were not reached.
    """
    if not MIN_PACKETS <= len(packets) < TAIL_PACKETS:
        return (0.0,), ()
    ends: dict[int, float] = {}
    first: float | None = None
    for track, time, lasts in packets:
        if time is None or not isfinite(time):
            continue
        end = time + (lasts if lasts and 0 < lasts <= MAX_PACKET_SECONDS else 0.0)
        ends[track] = max(end, ends.get(track, end))
        first = time if first is None else min(first, time)
    if first is None:
        return (0.0,), ()
    starts = [first]
    if start_time is not None and isfinite(start_time) and start_time < max(ends.values()):
        starts.append(start_time)
    return tuple(starts), tuple(ends.values())
