"""Which row each cell of a drawing stands in, and in which order: longest paths, then few crossings."""

from __future__ import annotations

from bisect import bisect_right, insort
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from netspec.errors import NetspecError

Key = Hashable
# The cell that makes a tensor, the tensor, the cell that reads it.
Edge = tuple[Key, Key, Key]

# Barycentre sweeps, down and up in turn; later ones rarely find better orders.
SWEEPS = 12
# Beyond this many cells and bends nobody could read the picture, and it would take minutes.
MAX_CELLS = 20_000


@dataclass(frozen=True)
class Bend:
    """Where the edges of one tensor pass a row: all that lead further down share it."""

    tensor: Key
    row: int


@dataclass(eq=False)
class Rows:
    """Cells and bends by row from top to bottom, each row from left to right.

    `segments` are the edges from each row to the next.
    """

    rows: list[list[Key]]
    segments: list[Edge]
    above: Mapping[Key, list[Key]] = field(init=False)
    below: Mapping[Key, list[Key]] = field(init=False)

    def __post_init__(self) -> None:
        self.above = {key: [] for row in self.rows for key in row}
        self.below = {key: [] for row in self.rows for key in row}
        for upper, _, lower in self.segments:
            self.above[lower].append(upper)
            self.below[upper].append(lower)


def arrange(cells: Sequence[Key], edges: Sequence[Edge], top: Iterable[Key], bottom: Iterable[Key]) -> Rows:
    """Rows for `cells`, which are given in an order in which every edge leads forward.

    Those in `top` stand in the first row with no others, those in `bottom` in the last. A NetspecError where there
    are too many.
    """
    rows = _with_bends(cells, edges, _ranks(cells, edges, set(top), set(bottom)))
    _sort(rows)
    return rows


def _ranks(cells: Sequence[Key], edges: Sequence[Edge], top: set[Key], bottom: set[Key]) -> dict[Key, int]:
    """The longest path to each cell; a cell that reads nothing then goes down to just above its first reader."""
    first = 1 if top else 0
    rank = {key: 0 if key in top else first for key in cells}
    into: dict[Key, list[Key]] = {key: [] for key in cells}
    out_of: dict[Key, list[Key]] = {key: [] for key in cells}
    for upper, _, lower in edges:
        into[lower].append(upper)
        out_of[upper].append(lower)
    for key in cells:
        rank[key] = max((rank[upper] + 1 for upper in into[key]), default=rank[key])
    for key in reversed(cells):
        if key not in top and not into[key] and out_of[key]:
            rank[key] = max(min(rank[lower] for lower in out_of[key]) - 1, first)
    if bottom:
        last = max((rank[key] + 1 for key in cells if key not in bottom), default=0)
        rank.update({key: max(last, rank[key]) for key in bottom})
    return rank


def _with_bends(cells: Sequence[Key], edges: Sequence[Edge], rank: Mapping[Key, int]) -> Rows:
    rows: list[list[Key]] = [[] for _ in range(max(rank.values(), default=-1) + 1)]
    for key in cells:
        rows[rank[key]].append(key)
    segments: dict[Edge, None] = {}
    bends: set[Bend] = set()
    for source, tensor, target in edges:
        upper = source
        for row in range(rank[source] + 1, rank[target]):
            bend = Bend(tensor, row)
            if bend not in bends:
                bends.add(bend)
                rows[row].append(bend)
            segments[upper, tensor, bend] = None
            upper = bend
        segments[upper, tensor, target] = None
        if len(cells) + len(bends) > MAX_CELLS:
            raise NetspecError(f"a picture with more than {MAX_CELLS:,} boxes and bends: give a smaller depth")
    return Rows(rows, list(segments))


def _sort(rows: Rows) -> None:
    """Order each row by the mean place of what its cells are joined to in the row before; keep the best order."""
    best, fewest = [list(row) for row in rows.rows], _crossings(rows)
    for sweep in range(SWEEPS):
        if fewest == 0:
            break
        down = sweep % 2 == 0
        order = range(1, len(rows.rows)) if down else range(len(rows.rows) - 2, -1, -1)
        for row in order:
            beside = rows.rows[row - 1 if down else row + 1]
            _sort_row(rows.rows[row], beside, rows.above if down else rows.below)
        found = _crossings(rows)
        if found < fewest:
            best, fewest = [list(row) for row in rows.rows], found
    rows.rows = best


def _sort_row(row: list[Key], beside: list[Key], joined: Mapping[Key, list[Key]]) -> None:
    place = {key: position for position, key in enumerate(beside)}
    # What is joined to nothing keeps its place among the others.
    centre = {
        key: sum(place[other] for other in joined[key]) / len(joined[key])
        if joined[key]
        else position * len(beside) / len(row)
        for position, key in enumerate(row)
    }
    row.sort(key=lambda key: centre[key])


def _crossings(rows: Rows) -> int:
    """How many pairs of segments cross: inversions among their lower ends, taken in the order of the upper ones."""
    total = 0
    for upper, lower in zip(rows.rows, rows.rows[1:], strict=False):
        place = {key: position for position, key in enumerate(lower)}
        seen: list[int] = []
        for key in upper:
            ends = sorted(place[other] for other in rows.below[key])
            total += sum(len(seen) - bisect_right(seen, end) for end in ends)
            for end in ends:
                insort(seen, end)
    return total
