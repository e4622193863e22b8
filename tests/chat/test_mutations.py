"""Three hundred damaged files through both engines; ``make fuzz`` runs ten thousand."""

import sys

import pytest

from bench.mutate import lines, run, sources
from bench.mutations import STEPS, mutation

SEED, COUNT = 20261123, 300
SLICES = 10


def test_a_mutation_is_the_same_each_time():
    originals = [("x", bytes(range(256)) * 40), ("y", b"moov" * 2000)]
    made = [mutation(1, index, originals) for index in range(200)]
    assert made == [mutation(1, index, originals) for index in range(200)]
    assert made[:50] != [mutation(2, index, originals) for index in range(50)]
    assert {step for found in made for step in found.steps} == {step.__name__ for step in STEPS}


def test_there_are_several_containers_to_damage():
    assert len({name.rpartition(".")[2] for name, _content in sources()}) >= 9


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc for what is left")
@pytest.mark.parametrize("part", range(SLICES))
def test_damaged_files_are_contained(part):
    size = COUNT // SLICES
    report = run(SEED, range(part * size, (part + 1) * size))
    print("\n".join(lines(report, SEED)))
    assert report.failures == []
    assert sum(report.outcomes["libav"].values()) == size
