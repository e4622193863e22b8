"""The storyboard of the ``ffmpeg`` engine: ffmpeg writes small pictures of key frames at even
times, Pillow puts them on one sheet; both in sandboxed children."""

from dataclasses import asdict
from typing import TYPE_CHECKING

from chat.errors import VideoError
from chat.services import libav_words, media_runner
from chat.services.examination import refuse_excess
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
    tiles: list[str] = []
    # Some streams mark no picture as a key frame, and some decoders fail between them.
    for key_frames_only in (True, False) if stream.codec not in NO_SKIPPING else (False,):
        media.run(tile_arguments(media, plan, stream, key_frames_only), slow=True)
        tiles = sorted(str(path) for path in media.directory.glob("tile-*.jpg"))
        if tiles:
            break
    if not tiles:
        raise libav_words.limit_named(media.said) or VideoError(
            "no_decodable_frame", media.said[-500:]
        )
    answer = media_runner.run_task(
        "pictures.sheet",
        {
            "plan": asdict(plan),
            "tiles": list(zip(plan.times, tiles, strict=False)),
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


def tile_arguments(
    media: "FfmpegMedia", plan: StoryboardPlan, stream: ProbedStream, key_frames_only: bool
) -> list[str]:
    """ffmpeg's argument list that writes ``tile-000.jpg`` and so on, one for each time of the
    plan: the last key frame before it.  Fewer when the pictures end earlier."""
    options = {"skip_frame": "nokey"} if key_frames_only else {}
    picture = media.opened(**options)[str(stream.index)]
    if stream.interlaced:
        picture = picture.filter("yadif", deint="interlaced")
    output = (
        picture.filter(
            "scale", plan.tile_width, plan.tile_height, out_color_matrix="bt601", out_range="pc"
        )
        .filter("setsar", 1)
        .filter("format", "yuvj420p")
        # Pictures are repeated over gaps, but never more of them written than the plan has.
        .filter("fps", fps=1 / plan.interval, start_time=0, round="up")
        .output(
            # `%03d` is ffmpeg's pattern, the directory a temporary one of ours.
            f"file:{str(media.directory).replace('%', '%%')}/tile-%03d.jpg",
            f="image2",
            vcodec="mjpeg",
            vframes=len(plan.times),
            map_metadata=-1,
            **{"q:v": 3},
        )
    )
    return media.compiled(output)
