"""Sets of ids as text."""

import random

import pytest

from moderation.id_sets import pack_ids, unpack_ids


@pytest.mark.parametrize(
    ("ids", "packed"),
    [
        ([], ""),
        ([1], "1"),
        ([1, 2, 3], "1x3"),
        ([7, 8, 9, 14, 16, 17], "7x3,5,2x2"),
        ([10**15], "1000000000000000"),
    ],
)
def test_there_and_back(ids: list[int], packed: str) -> None:
    assert pack_ids(ids) == packed
    assert unpack_ids(packed) == ids


def test_any_set_comes_back() -> None:
    chance = random.Random(4)
    for _ in range(200):
        ids = sorted(chance.sample(range(1, 3000), chance.randrange(500)))
        assert unpack_ids(pack_ids(ids)) == ids


@pytest.mark.parametrize("ids", [[2, 1], [1, 1], [0]])
def test_what_does_not_ascend_is_refused(ids: list[int]) -> None:
    with pytest.raises(ValueError, match="after"):
        pack_ids(ids)
