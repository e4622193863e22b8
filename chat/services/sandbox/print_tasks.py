"""Hashes pictures for the perceptual fingerprint, inside the sandboxed child.  Needs pdqhash,
which a machine may lack; runs in the media helper and knows no Django."""

from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy
import pdqhash

from chat.services.fingerprints import PICTURE_SIDE_PIXELS as SIDE


def hashed(grey: Any) -> tuple[str, int]:
    """(PDQ as 64 hex digits, quality 0 to 100) of a grey picture, ``SIDE`` × ``SIDE`` bytes."""
    picture = numpy.repeat(grey[:, :, numpy.newaxis], 3, axis=2)
    bits, quality = pdqhash.compute(picture)
    return numpy.packbits(bits.astype(numpy.uint8)).tobytes().hex(), int(quality)


def pictures_task(parameters: dict[str, Any]) -> dict[str, Any]:
    """``{"path", "first_seconds", "step_seconds"}`` → ``{"frames": [[hex, quality, seconds]]}``
    of raw grey pictures, one behind the other in the file ``path``."""
    frames: list[list[Any]] = []
    with Path(parameters["path"]).open("rb") as file:
        while len(raw := file.read(SIDE * SIDE)) == SIDE * SIDE:
            grey = numpy.frombuffer(raw, numpy.uint8).reshape(SIDE, SIDE)
            seconds = parameters["first_seconds"] + len(frames) * parameters["step_seconds"]
            frames.append([*hashed(grey), seconds])
    return {"frames": frames}


# Under Landlock a late import fails: do everything once.
hashed(numpy.zeros((SIDE, SIDE), numpy.uint8))

TASKS = {"prints.pictures": pictures_task}
VERSIONS = {"pdqhash": version("pdqhash"), "numpy": numpy.__version__}
