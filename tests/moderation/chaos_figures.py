"""What ``chaos`` is to do, and what came of it."""

from dataclasses import asdict, dataclass, field

from tests.moderation.chaos_items import DEAD, EXPECTED_FAILURES, POISONOUS


@dataclass(frozen=True, slots=True)
class Plan:
    items: int = 5000
    kind: str = "verify"
    kills: int = 5
    workers: int = 2  # of the job, at most
    consumers: int = 1  # of two processes each
    seed: int = 1
    lease_seconds: int = 4
    seconds: float = 400  # in which all must be over: about 60 on two idle cores


@dataclass(slots=True)
class Figures:
    """What came of it; what must be 0 is marked so."""

    database: str
    items: int
    seconds: float = 0
    kills: int = 0
    frozen: int = 0
    pauses: int = 0
    storm: int = 0
    outages: int = 0
    status: str = ""
    total: int = 0
    ready: int = 0
    skipped: int = 0
    failed: int = 0
    dead: int = 0
    failures: dict[str, int] = field(default_factory=dict)  # rows by code
    outcomes: dict[str, int] = field(default_factory=dict)
    named: tuple[int, int] = (0, 0)  # items in the list of outcomes, different ones
    workers_lost: int = 0  # as the job's log of interruptions has it
    applied: int = 0
    applied_twice: int = 0  # must be 0
    worked_while_paused: int = 0  # must be 0
    most_live_leases: int = 0  # must not exceed the job's workers
    left_processes: int = 0  # must be 0
    left_files: int = 0  # must be 0
    lost_files: int = 0  # must be 0


def table(figures: list[Figures]) -> str:
    columns = [asdict(each) for each in figures]
    lines = []
    for name in columns[0]:
        cells = [column[name] for column in columns]
        words = [f"{cell:.1f}" if isinstance(cell, float) else str(cell) for cell in cells]
        if isinstance(cells[0], dict):
            words = [", ".join(f"{key} {n:,}" for key, n in sorted(c.items())) for c in cells]
        lines.append("  ".join([f"{name.replace('_', ' '):<20}", *(f"{w:>10}" for w in words)]))
    return "\n".join(lines)


def check(found: Figures, plan: Plan) -> None:
    """Each item came to an end, once, and nothing is left behind.

    Raises:
        AssertionError: it is not so.
    """
    assert found.status == "done"
    assert found.total == plan.items
    assert found.ready + found.skipped + found.failed + found.dead == plan.items
    assert found.failures == EXPECTED_FAILURES
    assert found.dead == DEAD + POISONOUS
    assert found.failed + found.dead == sum(found.failures.values())
    assert found.named == (plan.items, plan.items)
    assert found.outcomes == {
        "ready": found.ready, "gone": found.skipped, **EXPECTED_FAILURES
    }  # fmt: skip
    assert found.applied == found.ready + found.failed + found.dead
    assert found.applied_twice == 0
    assert found.worked_while_paused == 0
    assert 0 < found.most_live_leases <= plan.workers
    assert (found.left_processes, found.left_files, found.lost_files) == (0, 0, 0)
    assert (found.kills, found.frozen, found.pauses, found.outages) == (plan.kills, 1, 1, 1)
