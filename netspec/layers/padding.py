"""The layer pad: more elements around a tensor, a number or its own."""

from __future__ import annotations

from typing import Literal

from netspec.errors import ShapeError
from netspec.graph.builder import Builder
from netspec.graph.dims import Size, bounds, format_shape
from netspec.graph.graph import Value
from netspec.layers.base import Layer
from netspec.layers.fields import PadPairs, Real

Mode = Literal["constant", "reflect", "edge", "wrap", "symmetric"]


class Pad(Layer):
    """More elements before and behind those of x, by `mode` (F.pad).

    `pad` is begin and end of the last dimension, then of the one before, and so on.
    Of the row a b c d, with 2 at both ends: `constant` gives v v a b c d v v with v = `value`, `reflect` c b a b c d c
    b, `edge` a a a b c d d d (torch's replicate), `wrap` c d a b c d a b (torch's circular), `symmetric` b a a b c d d
    c.
    Unlike torch's, all of them pad any dimensions. In `reflect` a pad is below the size, in `wrap` and `symmetric` at
    most the size, or the call is refused. In `constant` a negative pad cuts off.
    """

    type: Literal["pad"] = "pad"
    pad: PadPairs
    mode: Mode = "constant"
    value: Real = 0.0

    def expand(self, b: Builder, x: Value) -> Value:
        pairs = self.pairs(x.type.rank)
        if self.mode != "constant":
            if self.value != 0:
                raise ShapeError(f"value goes with mode constant, not with {self.mode}")
            for axis, (begin, end) in enumerate(pairs):
                if min(begin, end) < 0:
                    raise ShapeError(f"a negative pad cuts off, in mode constant alone, got {begin} and {end}")
                x = padded(b, x, axis, begin, end, self.mode)
            return x
        for axis, (begin, end) in enumerate(pairs):
            x = _cut(b, x, axis, max(-begin, 0), max(-end, 0))
        return b.pad(x, [(max(begin, 0), max(end, 0)) for begin, end in pairs], self._value_for(x))

    def pairs(self, rank: int) -> list[tuple[int, int]]:
        """(begin, end) of each dimension, the first dimension first."""
        if len(self.pad) % 2:
            raise ShapeError(f"pad must have two numbers for each dimension, got {len(self.pad)}")
        count = len(self.pad) // 2
        if count > rank:
            raise ShapeError(f"pad is for {count} dimensions, and its input has {rank}")
        given = [(self.pad[2 * k], self.pad[2 * k + 1]) for k in reversed(range(count))]
        return [(0, 0)] * (rank - count) + given

    def _value_for(self, x: Value) -> float | int | bool:
        if x.type.dtype == "float":
            return self.value
        if not self.value.is_integer() or (x.type.dtype == "bool" and self.value not in (0, 1)):
            raise ShapeError(f"value {self.value} does not fit {x.type}")
        return bool(self.value) if x.type.dtype == "bool" else int(self.value)


def padded(b: Builder, x: Value, axis: int, begin: int, end: int, mode: Mode) -> Value:
    """x with elements of its own before and behind it along one axis."""
    if begin == end == 0:
        return x
    size: Size = x.shape[axis]
    least = {"reflect": max(begin, end) + 1, "wrap": max(begin, end), "symmetric": max(begin, end)}.get(mode, 1)
    message = f"a pad of {max(begin, end)} in mode {mode} needs a size of {least} or more"
    if bounds(size)[1] < least:
        raise ShapeError(f"{message}, got {size} in {format_shape(x.shape)}")
    b.require(size, least, message + ", got {size}")
    skipped = 1 if mode == "reflect" else 0
    parts = []
    if begin:
        if mode == "edge":
            parts.append(_repeated(b, b.slice(x, axis, 0, 1), axis, begin))
        elif mode == "wrap":
            parts.append(b.slice(x, axis, size - begin))
        else:
            parts.append(b.flip(b.slice(x, axis, skipped, skipped + begin), axis))
    parts.append(x)
    if end:
        if mode == "edge":
            parts.append(_repeated(b, b.slice(x, axis, size - 1), axis, end))
        elif mode == "wrap":
            parts.append(b.slice(x, axis, 0, end))
        else:
            parts.append(b.flip(b.slice(x, axis, size - skipped - end, size - skipped), axis))
    return b.concat(parts, axis)


def _repeated(b: Builder, edge: Value, axis: int, count: int) -> Value:
    return b.expand(edge, (*edge.shape[:axis], count, *edge.shape[axis + 1 :]))


def _cut(b: Builder, x: Value, axis: int, begin: int, end: int) -> Value:
    size: Size = x.shape[axis]
    if bounds(size - begin - end)[1] < 1:
        raise ShapeError(
            f"nothing is left of dimension {axis} of {format_shape(x.shape)}: pad cuts off {begin} and {end}"
        )
    return b.slice(x, axis, begin, size - end)
