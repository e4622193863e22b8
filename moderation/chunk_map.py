"""The chunks of a job as a map of cells: where it is done, at work, open, and where it failed."""

import string
from collections import Counter
from dataclasses import dataclass
from math import ceil

from django.utils import timezone

from moderation.models import Job

MAX_CELLS = 400
STEPS = 10  # in which a cell fills
# State of a cell → words, in the order of the legend.
CELL_STATES = {
    "done": "done",
    "failures": "done, with failures",
    "working": "at work",
    "begun": "begun",
    "open": "not begun",
}
STATES = tuple(CELL_STATES)


@dataclass(frozen=True, slots=True)
class Cell:
    """One chunk, or several neighbours; numbers are attachments, ``first`` counts from 1."""

    place: int  # in the map, from 0 on
    first: int
    size: int
    done: int
    failed: int
    working: bool

    @property
    def state(self) -> str:
        if self.working:
            return "working"
        if self.done < self.size:
            return "begun" if self.done else "open"
        return "failures" if self.failed else "done"

    @property
    def is_on_its_way(self) -> bool:
        return self.state in ("working", "begun")

    @property
    def steps(self) -> int:
        """Of ``STEPS``, rounded down, that are done."""
        return STEPS * self.done // self.size if self.size else STEPS

    @property
    def percent(self) -> int:
        return 100 * self.steps // STEPS

    @property
    def words(self) -> str:
        """``Videos 501 to 1,000: at work, 30 % done, some failed``: nothing that changes while
        ``mark`` stays."""
        last = self.first + self.size - 1
        parts = [CELL_STATES[self.state]]
        if self.is_on_its_way:
            parts.append(f"{self.percent} % done")
        if self.failed:
            parts.append("some failed" if self.is_on_its_way else f"{self.failed:,} failed")
        return f"Videos {self.first:,} to {last:,}: {', '.join(parts)}"

    @property
    def mark(self) -> str:
        """A character for how the cell looks: any other look has another one."""
        if not self.is_on_its_way:
            return str(STATES.index(self.state))
        looks = string.ascii_lowercase if self.working else string.ascii_uppercase
        return looks[self.steps + (STEPS + 1) * bool(self.failed)]


@dataclass(frozen=True, slots=True)
class ChunkMap:
    """``chunks`` of first tries, shown in ``cells`` of ``per_cell`` each."""

    chunks: int
    per_cell: int
    cells: list[Cell]

    @property
    def legend(self) -> list[tuple[str, str, int]]:
        """(state, words, number of cells) of the states that occur."""
        numbers = Counter(cell.state for cell in self.cells)
        return [(key, words, numbers[key]) for key, words in CELL_STATES.items() if numbers[key]]

    @property
    def words(self) -> str:
        """What the picture says, for who does not see it."""
        parts = [f"{number:,} {words}" for _state, words, number in self.legend]
        what = "parts" if self.per_cell == 1 else f"groups of {self.per_cell} parts"
        return f"{len(self.cells):,} {what}: {', '.join(parts)}"

    @property
    def marks(self) -> str:
        """How the map looks, in a few hundred characters: with the next question a page says so
        what it shows."""
        return f"{self.chunks}-{''.join(cell.mark for cell in self.cells)}"

    def changed_since(self, marks: str) -> list[Cell] | None:
        """The cells that look different now; None when the whole map is to be drawn, for it was
        not shown, or its chunks were others."""
        chunks, _, shown = marks.partition("-")
        if chunks != str(self.chunks) or len(shown) != len(self.cells):
            return None
        pairs = zip(self.cells, shown, strict=True)
        return [cell for cell, mark in pairs if cell.mark != mark]


def chunk_map(job: Job, max_cells: int = MAX_CELLS) -> ChunkMap:
    """In the order of the ids; one query."""
    now = timezone.now()
    rows = list(
        job.chunks.filter(is_retry=False)
        .order_by("pk")
        .values_list("size", "cursor", "failed", "dead", "owner", "lease_until")
    )
    per_cell = max(1, ceil(len(rows) / max_cells))
    cells: list[Cell] = []
    first = 1
    for start in range(0, len(rows), per_cell):
        part = rows[start : start + per_cell]
        size = sum(row[0] for row in part)
        cells.append(
            Cell(
                len(cells),
                first,
                size,
                done=sum(row[1] for row in part),
                failed=sum(row[2] + row[3] for row in part),
                working=any(
                    owner and lease and lease > now and cursor < size
                    for size, cursor, _failed, _dead, owner, lease in part
                ),
            )
        )
        first += size
    return ChunkMap(len(rows), per_cell, cells)
