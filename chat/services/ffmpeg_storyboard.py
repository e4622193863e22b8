"""The storyboard of the ``ffmpeg`` engine: ffmpeg writes small pictures of key frames, Pillow puts
them on one sheet; both in sandboxed children."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from chat.errors import VideoError
from chat.services import libav_words, media_runner
from chat.services.examination import refuse_excess
from chat.services.ffmpeg_build import variable_rate
from chat.services.storyboard import Storyboard, StoryboardPlan, plan_storyboard
from chat.services.video_metadata import ProbedStream, VideoMetadata

if TYPE_CHECKING:
    from chat.services.ffmpeg_engine import FfmpegMedia

NO_SKIPPING = {"theora", "vp3"}


def write_storyboard(media: "FfmpegMedia") -> Storyboard | None:
    """Sheet into the file SHEET of the media's directory; None for a video of unknown length.

    Raises:
        VideoError: why there is none.
    """
    probe = media.probe()
    metadata = VideoMetadata.from_probe(probe)
    refuse_excess(probe, metadata, media.bounds)
    plan = plan_storyboard(metadata)
    if plan is None:
        return None
    stream = probe.video_stream
    tiles: list[tuple[float, str]] = []
    # Some streams mark no picture as a key frame, short ones have few of them, and some decoders
    # fail between them.
    for key_frames_only in (True, False) if stream.codec not in NO_SKIPPING else (False,):
        media.run(tile_arguments(media, plan, stream, key_frames_only), slow=True)
        tiles = written_tiles(media.directory, plan)
        if tiles and not plan.wants_more_than(len(tiles)):
            break
    if not tiles:
        raise libav_words.limit_named(media.said) or VideoError(
            "no_decodable_frame", media.said[-500:]
        )
    answer = media_runner.run_task(
        "pictures.sheet",
        {
            "plan": asdict(plan),
            "tiles": tiles,
            "transfer": stream.transfer,
        },
        media.left(),
        media.directory,
        media.path,
        slow=True,
    )
    if "error" in answer:
        raise VideoError(answer["error"], answer["detail"])
    return Storyboard.from_json(answer)


def written_tiles(directory: Path, plan: StoryboardPlan) -> list[tuple[float, str]]:
    """(time of the plan from which it is shown, path), ascending."""
    found = {int(path.stem.partition("-")[2]): path for path in directory.glob("tile-*.bmp")}
    shown: dict[int, Path] = {}
    for milliseconds in sorted(found):
        number = plan.first_time_after(milliseconds / 1000) if shown else 0
        if number < len(plan.times):
            shown[number] = found[milliseconds]
    return [(plan.times[number], str(path)) for number, path in shown.items()]


def tile_arguments(
    media: "FfmpegMedia", plan: StoryboardPlan, stream: ProbedStream, key_frames_only: bool
) -> list[str]:
    """ffmpeg's argument list that writes key frames as ``tile-<time in ms>.bmp``."""
    options = {"skip_frame": "nokey"} if key_frames_only else {}
    picture = media.opened(**options)[str(stream.index)]
    if stream.interlaced:
        picture = picture.filter("yadif", deint="interlaced")
    # Never repeated over gaps, and never more of them than the plan has times.
    chosen = f"isnan(prev_selected_t)+gte(t-prev_selected_t,{plan.interval * 0.999:.6f})"
    output = (
        picture.filter("select", chosen)
        .filter("settb", "1/1000")
        .filter("scale", plan.tile_width, plan.tile_height)
        .filter("setsar", 1)
        .filter("format", "bgr24")
        .output(
            # `%d` is ffmpeg's pattern, the directory a temporary one of ours.
            f"file:{str(media.directory).replace('%', '%%')}/tile-%d.bmp",
            f="image2",
            frame_pts=1,
            enc_time_base="1:1000",
            vcodec="bmp",
            vframes=len(plan.times),
            map_metadata=-1,
            **variable_rate(),
        )
    )
    return media.compiled(output)
