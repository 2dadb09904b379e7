"""Where the cells of each row stand from left to right: near what they are joined to, in order, without overlap."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from math import inf

from netspec.draw.layers import Bend, Key, Rows

SWEEPS = 24
# How strongly a segment pulls its ends together: long edges should be straight, then chains of boxes, and it is the
# long edge that goes round a chain, not the chain that leans towards it.
BETWEEN_BENDS, AT_A_BEND, BETWEEN_CELLS = 8.0, 0.5, 3.0


# Of a cell and a tensor: how far from the cell's centre the tensor comes in at its top, goes out at its bottom.
Ports = Mapping[tuple[Key, Key], float]


def place(rows: Rows, width: Mapping[Key, float], tops: Ports, bottoms: Ports, gap: float) -> dict[Key, float]:
    """The centre of each cell and bend, `gap` apart at least; a tensor without a port passes the centre."""
    return _Columns(rows, width, tops, bottoms, gap).place()


class _Columns:
    def __init__(self, rows: Rows, width: Mapping[Key, float], tops: Ports, bottoms: Ports, gap: float) -> None:
        self.rows = rows
        self.apart = [[(width[left] + width[right]) / 2 + gap for left, right in pairwise(row)] for row in rows.rows]
        # For each cell: (what it is joined to, how far its own place is from that one's, weight).
        self.up: dict[Key, list[tuple[Key, float, float]]] = {key: [] for row in rows.rows for key in row}
        self.down: dict[Key, list[tuple[Key, float, float]]] = {key: [] for row in rows.rows for key in row}
        for upper, tensor, lower in rows.segments:
            bends = isinstance(upper, Bend) + isinstance(lower, Bend)
            weight = (BETWEEN_CELLS, AT_A_BEND, BETWEEN_BENDS)[bends]
            shift = bottoms.get((upper, tensor), 0.0) - tops.get((lower, tensor), 0.0)
            self.up[lower].append((upper, shift, weight))
            self.down[upper].append((lower, -shift, weight))

    def place(self) -> dict[Key, float]:
        x: dict[Key, float] = {}
        for keys, apart in zip(self.rows.rows, self.apart, strict=True):
            at = -sum(apart) / 2
            for key, step in zip(keys, [*apart, 0.0], strict=True):
                x[key] = at
                at += step
        count = len(self.rows.rows)
        for sweep in range(SWEEPS):
            down = sweep % 2 == 0
            for row in range(count) if down else range(count - 1, -1, -1):
                both = sweep >= SWEEPS - 4
                self._settle(row, x, (self.up, self.down) if both else (self.up,) if down else (self.down,))
        self._straighten(x)  # out of the way of boxes
        self._align(x)
        self._straighten(x)  # below where the boxes stand now
        return x

    def _settle(
        self, row: int, x: dict[Key, float], sides: Sequence[Mapping[Key, list[tuple[Key, float, float]]]]
    ) -> None:
        """Put each cell of a row as near to its wish as the order and the distances allow."""
        keys = self.rows.rows[row]
        wishes, weights = [], []
        for key in keys:
            joined = [each for side in sides for each in side[key]]
            weight = sum(w for _, _, w in joined)
            wishes.append(sum((x[other] + shift) * w for other, shift, w in joined) / weight if joined else x[key])
            weights.append(weight or 0.01)
        x.update(zip(keys, ordered_least_squares(wishes, weights, self.apart[row]), strict=True))

    def _straighten(self, x: dict[Key, float]) -> None:
        """Make the bends of one edge stand under one another where there is room."""
        chains: dict[Key, list[tuple[int, int, Key]]] = {}
        for row, keys in enumerate(self.rows.rows):
            for position, key in enumerate(keys):
                if isinstance(key, Bend):
                    chains.setdefault(key.tensor, []).append((row, position, key))
        for chain in chains.values():
            room = [self._room(x, row, position) for row, position, _ in chain]
            low, high = max(least for least, _ in room), min(most for _, most in room)
            if low <= high:
                upper, shift, _ = self.up[chain[0][2]][0]
                begin = x[upper] + shift  # straight down from where it comes, if that is free
                mean = sum(x[key] for _, _, key in chain) / len(chain)
                at = begin if low <= begin <= high else min(max(mean, low), high)
                x.update({key: at for _, _, key in chain})

    def _align(self, x: dict[Key, float]) -> None:
        """Put cells that read one another alone, and are read alone, right below one another where there is room."""
        chains: dict[Key, list[tuple[Key, float, tuple[float, float]]]] = {}  # by the last cell so far
        for row, keys in enumerate(self.rows.rows):
            for position, key in enumerate(keys):
                if isinstance(key, Bend):
                    continue
                chain: list[tuple[Key, float, tuple[float, float]]] = []
                shift = 0.0
                if len(self.up[key]) == 1:
                    ((upper, step, _),) = self.up[key]
                    if upper in chains and len(self.down[upper]) == 1:
                        chain = chains.pop(upper)
                        shift = chain[-1][1] + step
                low, high = self._room(x, row, position)
                chains[key] = [*chain, (key, shift, (low - shift, high - shift))]
        for chain in chains.values():
            low, high = max(least for _, _, (least, _) in chain), min(most for _, _, (_, most) in chain)
            begin = chain[0][0]
            if low <= high:
                at = min(max(x[begin], low), high)
                x.update({key: at + shift for key, shift, _ in chain})

    def _room(self, x: Mapping[Key, float], row: int, position: int) -> tuple[float, float]:
        """Between which places a cell may stand while its neighbours stay."""
        keys, apart = self.rows.rows[row], self.apart[row]
        low = x[keys[position - 1]] + apart[position - 1] if position > 0 else -inf
        high = x[keys[position + 1]] - apart[position] if position + 1 < len(keys) else inf
        return low, high


def ordered_least_squares(wishes: Sequence[float], weights: Sequence[float], apart: Sequence[float]) -> list[float]:
    """The places nearest to `wishes` (weighted squares) of which neighbours are at least `apart`.

    By pooling adjacent violators (Ayer et al. 1955): places less the distances so far may not decrease.
    """
    offsets = [0.0]
    for distance in apart:
        offsets.append(offsets[-1] + distance)
    pools: list[tuple[float, float, int]] = []  # mean, weight, how many
    for wish, weight, offset in zip(wishes, weights, offsets, strict=False):
        mean, total, count = wish - offset, weight, 1
        while pools and pools[-1][0] >= mean:
            before, heavy, many = pools.pop()
            mean = (mean * total + before * heavy) / (total + heavy)
            total, count = total + heavy, count + many
        pools.append((mean, total, count))
    flat = [mean for mean, _, count in pools for _ in range(count)]
    return [mean + offset for mean, offset in zip(flat, offsets, strict=False)]
