"""Sets of ids as short text: what a job of a million attachments keeps of its frozen set."""

from collections.abc import Iterable


def pack_ids(ids: Iterable[int]) -> str:
    """``"7x3,5,2x2"`` for 7 8 9, 14, 16 17: gaps to the id before, runs as gap ``x`` length.

    Raises:
        ValueError: the ids do not ascend.
    """
    parts: list[list[int]] = []  # [gap, length]
    last = 0
    for number in ids:
        gap = number - last
        if gap < 1:
            raise ValueError(f"{number} does not come after {last}.")
        if gap == 1 and parts:
            parts[-1][1] += 1
        else:
            parts.append([gap, 1])
        last = number
    return ",".join(f"{gap}x{length}" if length > 1 else f"{gap}" for gap, length in parts)


def unpack_ids(packed: str) -> list[int]:
    """The ids, ascending."""
    ids: list[int] = []
    last = 0
    for part in packed.split(",") if packed else ():
        gap, _, length = part.partition("x")
        first = last + int(gap)
        last = first + int(length or 1) - 1
        ids.extend(range(first, last + 1))
    return ids
