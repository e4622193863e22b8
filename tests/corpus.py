"""Media made by others, with a manifest of what is true of each file: ``make corpus`` prints what
both engines find, the tests ask it file by file."""

import json
from pathlib import Path
from typing import Any

from django.test import override_settings

from chat.errors import VideoError
from chat.services.examination import ExaminedVideo
from chat.services.video_service import VideoProcessingService

CORPUS = Path(__file__).parents[2] / "shared" / "corpus"
MANIFEST = "MANIFEST.json"
ENGINES = ("libav", "ffmpeg")
DURATION_TOLERANCE_SECONDS = 0.5


def entries(corpus: Path = CORPUS) -> list[dict[str, Any]]:
    """Of the manifest; none where the corpus does not lie beside the project."""
    manifest = corpus / MANIFEST
    return json.loads(manifest.read_text()) if manifest.exists() else []


def examined(path: Path, engine: str) -> ExaminedVideo | VideoError:
    with override_settings(MEDIA_ENGINE=engine):
        try:
            return VideoProcessingService().examine(path)
        except VideoError as error:
            return error


def complaints(expected: dict[str, Any], found: ExaminedVideo | VideoError) -> list[str]:
    """How a finding contradicts the manifest: its verdict, or size, codec, duration, poster."""
    verdict = expected["verdict"]
    if isinstance(found, VideoError):
        wrong = [f"{verdict}, but {found.code}"] if verdict == "accept" else []
        return wrong + ([] if found.permanent else [f"{found.code} is not permanent"])
    if verdict == "reject":
        return ["reject, but ready"]
    metadata, poster = found.metadata, found.poster
    wrong = []
    size = [metadata.width, metadata.height]
    if (sizes := expected.get("display_any_of")) and size not in sizes:
        wrong.append(f"size {size}, not {sizes}")
    if (codec := expected.get("codec")) and metadata.codec != codec:
        wrong.append(f"codec {metadata.codec}, not {codec}")
    durations = expected.get("duration_any_of") or [expected.get("duration")]
    tolerance = expected.get("duration_tol", DURATION_TOLERANCE_SECONDS)
    if durations[0] is not None and (
        metadata.duration is None
        or min(abs(metadata.duration - duration) for duration in durations) > tolerance
    ):
        wrong.append(f"duration {metadata.duration}, not {durations} ± {tolerance}")
    shape = metadata.width / metadata.height
    if abs(poster.width / poster.height - shape) > 2 / min(poster.width, poster.height) * shape:
        wrong.append(f"poster {poster.width} × {poster.height} of {size}")
    return wrong
