"""Short clips for the demo, made with ffmpeg's own generators: many codecs and containers, and
the odd ones that people send."""

import os
import struct
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from django.conf import settings

from chat.errors import VideoError
from chat.services.media_runner import ProcessLimits, run

# The input is ours: only what keeps an odd ffmpeg from hanging the first start, on a machine that
# may be busy with much else.
LIMITS = ProcessLimits(
    wall_seconds=120, cpu_seconds=60, memory_bytes=8 * 1024**3, output_bytes=32 * 1024**2
)
FONTS = (
    "/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf",
    "/usr/share/fonts/dejavu-sans-fonts/DejaVuSans.ttf",
    "/usr/share/fonts/TTF/DejaVuSans.ttf",
    "/System/Library/Fonts/Supplemental/Arial.ttf",
)

# Codec → ways to encode it, the first that this ffmpeg has is taken: encoder, options.
ENCODERS: dict[str, tuple[tuple[str, str], ...]] = {
    "h264": (("libx264", "-preset veryfast -crf 27 -pix_fmt yuv420p"),),
    "hevc": (
        ("libx265", "-preset ultrafast -crf 30 -pix_fmt yuv420p -x265-params log-level=none"),
    ),
    "vp8": (("libvpx", "-deadline realtime -cpu-used 8 -b:v 700k"),),
    "vp9": (("libvpx-vp9", "-deadline realtime -cpu-used 8 -row-mt 1 -b:v 600k"),),
    "av1": (
        ("libsvtav1", "-preset 12 -crf 40 -pix_fmt yuv420p"),
        ("libaom-av1", "-usage realtime -cpu-used 8 -crf 40 -b:v 0 -pix_fmt yuv420p"),
    ),
    "mpeg4": (("mpeg4", "-q:v 6"),),
    "mpeg2": (("mpeg2video", "-q:v 6"),),
    "theora": (("libtheora", "-q:v 6"),),
    "mjpeg": (("mjpeg", "-q:v 6 -pix_fmt yuvj420p"),),
    "wmv2": (("wmv2", "-q:v 6"),),
    "prores": (("prores_ks", "-profile:v 0"),),
}
SOUND = {
    ".webm": ("libopus", "libvorbis"),
    ".ogv": ("libvorbis", "libopus"),
    ".mkv": ("libopus", "aac"),
    ".avi": ("libmp3lame", "mp2"),
    ".ts": ("mp2", "aac"),
    ".wmv": ("wmav2",),
}


def enlarged(source: str, size: str, factor: int, options: str, flags: str) -> str:
    """A generator's picture of ``size`` (``1280x720``), calculated at a fraction of it."""
    width, height = (int(side) // factor for side in size.split("x"))
    return f"{source}=s={width}x{height}:{options},scale={size}:flags={flags}"


def mandelbrot(size: str, x: float, y: float, hue: int) -> str:
    """A flight into the edge of the set, in calmer colours than its own; ``hue`` in degrees."""
    flight = f"start_x={x}:start_y={y}:start_scale=0.05:end_scale=0.002:end_pts=250"
    picture = enlarged("mandelbrot", size, 2, f"r=25:maxiter=220:{flight}", "lanczos")
    return f"{picture},hue=h={hue}:s=0.55"


def life(size: str, colour: str, seed: int) -> str:
    options = f"r=12:ratio=0.12:mold=18:mold_color=#1d2b4f:life_color={colour}:seed={seed}"
    return enlarged("life", size, 8, f"{options}:death_color=#0b1020", "neighbor")


def gradients(size: str, *colours: str, seed: int) -> str:
    listed = ":".join(f"c{number}={colour}" for number, colour in enumerate(colours))
    options = f"r=25:n={len(colours)}:{listed}:speed=0.03:seed={seed}"
    return enlarged("gradients", size, 4, options, "bicubic")


@dataclass(frozen=True, slots=True)
class Recipe:
    """One clip: what is seen (an lavfi graph), for how many seconds, how it is encoded.

    ``finish`` changes the bytes of what ffmpeg made.
    """

    name: str
    source: str
    codec: str
    seconds: float
    silent: bool = False
    clock: bool = False
    options: str = ""
    finish: Callable[[bytes], bytes] | None = None
    cover: bool = False


def turned_clockwise(mp4: bytes) -> bytes:
    """With a display matrix of 90° in the first track (ISO 14496-12, 8.3.2), whatever options
    the installed ffmpeg has for that."""
    matrix = mp4.index(b"tkhd") + 4 + 40
    turned = struct.pack(">9i", 0, 0x10000, 0, -0x10000, 0, 0, 0, 0, 0x40000000)
    return mp4[:matrix] + turned + mp4[matrix + 36 :]


def without_pictures(mp4: bytes) -> bytes:
    """The header is whole, the media data is zeros: as an interrupted transfer leaves it."""
    start = mp4.index(b"mdat") + 4
    size = int.from_bytes(mp4[start - 8 : start - 4], "big") - 8
    return mp4[:start] + bytes(size) + mp4[start + size :]


BLACK_FIRST = (
    "color=c=black:s=960x540:r=25:d=2[black];testsrc2=s=960x540:r=25:d=4[picture];"
    "[black][picture]concat"
)
PLAYLIST = """#EXTM3U
#EXT-X-VERSION:3
#EXT-X-TARGETDURATION:6
#EXTINF:6.0,
segment-000.ts
#EXT-X-ENDLIST
"""

RECIPES = (
    Recipe("Harbour at dusk.mp4", gradients("1280x720", "#12305e", "#e8854a", "#f6d7a7", seed=3),
           "h264", 6),
    Recipe("IMG_2041.MOV", mandelbrot("1280x720", -0.743643, 0.131825, 200), "h264", 4),
    Recipe("VID_20261108_183355.mp4", mandelbrot("540x960", -0.1015, 0.9563, 20), "h264", 4),
    Recipe("IMG_2057.MOV", gradients("720x1280", "#0c3b2e", "#6d9773", "#ffba00", seed=11),
           "hevc", 4, clock=True, options="-vf transpose=cclock",
           finish=turned_clockwise),
    Recipe("drone pass 2.mkv", life("1280x720", "#8fe388", 42), "hevc", 5, silent=True),
    Recipe("screen-recording.webm", "testsrc2=s=960x540:r=25", "vp9", 5, clock=True),
    Recipe("whiteboard.webm", life("848x480", "#7cc4ff", 7), "vp8", 4, silent=True),
    Recipe("Aurora loop.mp4", gradients("1280x720", "#04101f", "#0fb58f", "#7b4bd6", seed=5),
           "av1", 5, silent=True),
    Recipe("Aurora loop.webm", gradients("848x480", "#04101f", "#7b4bd6", "#d64b8a", seed=6),
           "av1", 3),
    Recipe("test pattern.mkv", "smptehdbars=s=1280x720:r=25", "h264", 3, clock=True),
    Recipe("slow start.mp4", BLACK_FIRST, "h264", 6),
    Recipe("Track 03 (with cover).mp4", mandelbrot("640x640", -1.25066, 0.02012, 120), "h264", 3,
           cover=True),
    Recipe("microscope_08.avi", "cellauto=s=640x360:r=25:rule=110", "mpeg4", 4),
    Recipe("dashcam 0412.avi", "testsrc2=s=640x480:r=15", "mjpeg", 3, silent=True, clock=True),
    Recipe("broadcast capture.ts", "smptehdbars=s=1280x720:r=25", "mpeg2", 4, clock=True),
    Recipe("satellite.ts", gradients("1280x720", "#101b3b", "#3267d6", "#9fd3ff", seed=9),
           "h264", 4),
    Recipe("nature_loop.ogv", life("848x480", "#ffd166", 23), "theora", 4),
    Recipe("edit-master.mov", "testsrc2=s=640x360:r=24", "prores", 2, clock=True),
    Recipe("presentation-1.wmv", "testsrc2=s=800x600:r=15", "wmv2", 3),
    Recipe("kiosk portrait.mov", gradients("720x1280", "#3b0d2e", "#d6336c", "#ffc9de", seed=2),
           "h264", 4, silent=True),
    Recipe("wide anamorphic.mp4", mandelbrot("720x576", -0.7746, 0.1102, 300), "h264", 3,
           options="-aspect 16:9"),
    Recipe("blink.webm", "color=c=#e8854a:s=320x180:r=25,hue=H=2*PI*t", "vp9", 1, silent=True),
    Recipe("half transferred.mp4", "testsrc2=s=640x360:r=25", "h264", 3, finish=without_pictures),
)  # fmt: skip
PLAYLIST_NAME = "Trailer (final).mp4"


@dataclass(frozen=True, slots=True)
class Made:
    """Clips by name, and a sentence for each that this ffmpeg cannot make."""

    clips: dict[str, Path]
    skipped: list[str]


def make_clips(folder: Path) -> Made:
    """All clips of ``RECIPES`` and the playlist, as files in ``folder``.

    Raises:
        VideoError: ``media_tools_missing``.
    """
    encoders = known_encoders(folder)
    made = Made({}, [])
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for recipe, outcome in zip(
            RECIPES, pool.map(partial(make, folder, encoders), RECIPES), strict=True
        ):
            if isinstance(outcome, Path):
                made.clips[recipe.name] = outcome
            else:
                made.skipped.append(f"{recipe.name}: {outcome}")
    made.clips[PLAYLIST_NAME] = folder / PLAYLIST_NAME
    made.clips[PLAYLIST_NAME].write_text(PLAYLIST)
    return made


def known_encoders(folder: Path) -> set[str]:
    listing = run([settings.FFMPEG_BINARY, "-hide_banner", "-encoders"], LIMITS, folder)
    lines = (line.split() for line in listing.stdout.decode("utf-8", "replace").splitlines())
    return {words[1] for words in lines if len(words) > 1}


def make(folder: Path, encoders: set[str], recipe: Recipe) -> Path | str:
    """The clip, or why there is none."""
    arguments = command(recipe, encoders)
    if arguments is None:
        return f"this ffmpeg has no {recipe.codec} encoder"
    path = folder / recipe.name
    try:
        finished = run([*arguments, f"file:{path}"], LIMITS, folder)
    except VideoError as error:
        if error.code == "media_tools_missing":
            raise
        return f"ffmpeg did not finish ({error.code})"
    if finished.returncode or not path.is_file() or not path.stat().st_size:
        said = finished.stderr.strip().splitlines()
        return said[-1] if said else f"ffmpeg ended with {finished.returncode}"
    if recipe.finish:
        path.write_bytes(recipe.finish(path.read_bytes()))
    return path


def command(recipe: Recipe, encoders: set[str]) -> list[str] | None:
    """ffmpeg's arguments but for the output; None when the encoder is missing."""
    ways = (way for way in ENCODERS[recipe.codec] if way[0] in encoders)
    encoder, options = next(ways, (None, ""))
    if encoder is None:
        return None
    seconds = str(recipe.seconds)
    arguments = [settings.FFMPEG_BINARY, "-nostdin", "-v", "error", "-y"]
    arguments += ["-f", "lavfi", "-i", with_clock(recipe)]
    maps, output = ["-map", "0:v"], ["-c:v:0", encoder, *options.split()]
    if not recipe.silent:
        names = SOUND.get(Path(recipe.name).suffix, ("aac",))
        sound = next((name for name in names if name in encoders), None)
        if sound:
            arguments += ["-f", "lavfi", "-i", chord(recipe.name)]
            maps += ["-map", "1:a"]
            output += ["-c:a", sound, "-b:a", "96k"]
    if recipe.cover:
        arguments += ["-f", "lavfi", "-i", "testsrc=s=300x300:r=1:d=1"]
        maps += ["-map", "2:v" if "1:a" in maps else "1:v"]
        output += [
            "-c:v:1",
            "mjpeg",
            "-pix_fmt:v:1",
            "yuvj420p",
            "-disposition:v:1",
            "attached_pic",
        ]
    if Path(recipe.name).suffix in (".mp4", ".MOV", ".mov"):
        output += ["-movflags", "+faststart"]
    if recipe.codec == "hevc" and Path(recipe.name).suffix != ".mkv":
        output += ["-tag:v", "hvc1"]
    return [*arguments, *maps, *output, *recipe.options.split(), "-t", seconds]


def with_clock(recipe: Recipe) -> str:
    """The recipe's picture, with a running time code where a font is installed."""
    font = next((font for font in FONTS if Path(font).is_file()), None)
    if not recipe.clock or font is None:
        return recipe.source
    return (
        f"{recipe.source},drawtext=fontfile={font}:text='%{{pts\\:hms}}':fontsize='min(w,h)/9'"
        ":fontcolor=white:box=1:boxcolor=black@0.55:boxborderw=12:x=(w-tw)/2:y=h*0.8"
    )


def chord(name: str) -> str:
    """A quiet fifth whose pitch depends on the name."""
    pitch = 110 + 11 * (sum(name.encode()) % 20)
    wave = f"0.09*sin(2*PI*{pitch}*t)+0.06*sin(3*PI*{pitch}*t)"
    return f"aevalsrc='{wave}|{wave}':s=48000"
