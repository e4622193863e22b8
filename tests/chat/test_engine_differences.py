"""Both engines say the same of the same file, but for what is known and explained."""

import re
import subprocess
from pathlib import Path

import pytest

from tests import engine_differences
from tests.engine_differences import (
    KNOWN,
    KNOWN_OF_FFMPEG,
    corpus_files,
    differences,
    examined,
    poster_distance,
)

OWN = [*engine_differences.CLIPS, engine_differences.ROTATED]
CORPUS = list(corpus_files())


def is_of_the_measured_ffmpeg() -> bool:
    said = subprocess.run(["ffmpeg", "-version"], capture_output=True, text=True, check=True)
    found = re.search(r"ffmpeg version n?(\d+\.\d+)", said.stdout)
    return bool(found) and found.group(1) == KNOWN_OF_FFMPEG


def judge(name: str, path: Path) -> None:
    found = {(d.file, d.what): d for d in differences(name, path)}
    assert [d for key, d in found.items() if key not in KNOWN] == []
    if is_of_the_measured_ffmpeg():
        assert {key for key in KNOWN if key[0] == name} == found.keys()


@pytest.mark.parametrize("name", OWN)
def test_over_a_clip_of_our_own(name):
    path = engine_differences.own_clip(name)
    assert not isinstance(examined(path, "libav"), str)
    judge(name, path)
    # The same moment of a moving picture (measured: at most 5.8), upright and in its colours.
    assert poster_distance(path) < 8


@pytest.mark.parametrize(("name", "path"), CORPUS, ids=lambda value: Path(value).name)
def test_over_the_corpus(name, path):
    judge(name, path)


def test_every_known_difference_names_a_file_that_is_compared():
    if not CORPUS:
        pytest.skip("no corpus beside the project")
    assert {file for file, _what in KNOWN} <= {name for name, _path in CORPUS} | set(OWN)
