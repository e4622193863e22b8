"""Both engines say the same of the same file, but for what is known and explained; over the corpus
see test_corpus."""

import pytest

from chat.errors import VideoError
from tests import engine_differences
from tests.engine_differences import (
    KNOWN,
    assert_only_known_differences,
    corpus_files,
    examined,
    poster_distance,
)

OWN = [*engine_differences.CLIPS, engine_differences.ROTATED]


@pytest.mark.parametrize("name", OWN)
def test_over_a_clip_of_our_own(name):
    path = engine_differences.own_clip(name)
    assert not isinstance(examined(path, "libav"), VideoError)
    assert_only_known_differences(name, path)
    # The same moment of a moving picture (measured: at most 5.8), upright and in its colours.
    assert poster_distance(path) < 8


def test_every_known_difference_names_a_file_that_is_compared():
    corpus = list(corpus_files())
    if not corpus:
        pytest.skip("no corpus beside the project")
    assert {file for file, _what in KNOWN} <= {name for name, _path in corpus} | set(OWN)
