"""Cutting, turning round, surrounding and picking along an axis, in ONNX."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import onnx_ir as ir

from netspec.graph import ops
from netspec.graph.types import DType
from netspec_onnx.tape import RuntimeSize, Tape

# Below every position: Slice counts negative ends from the end, and -1 would be the last element.
_BEFORE_THE_FIRST = -(2**63)


def _slice(
    tape: Tape, x: ir.Value, *, axis: int, begin: int | RuntimeSize, end: int | RuntimeSize, step: int
) -> ir.Value:
    ends = (tape.vector([begin]), tape.vector([end]))
    return tape.op("Slice", x, *ends, tape.integers([axis]), tape.integers([step]))


def _flip(tape: Tape, x: ir.Value, *, axes: tuple[int, ...]) -> ir.Value:
    """A slice that runs downwards."""
    count = len(axes)
    given = ([-1] * count, [_BEFORE_THE_FIRST] * count, axes, [-1] * count)
    return tape.op("Slice", x, *map(tape.integers, given))


def _pad(tape: Tape, x: ir.Value, *, padding: Sequence[tuple[int, int]], value: float | int | bool) -> ir.Value:
    """All beginnings, then all ends."""
    pads = [begin for begin, _ in padding] + [end for _, end in padding]
    dtype: DType = "float" if isinstance(value, float) else "int64"
    number = tape.op("CastLike", tape.constant(value, dtype), x, saturate=1)
    return tape.op("Pad", x, tape.integers(pads), number, tape.integers(range(len(padding))), mode="constant")


def _gather(tape: Tape, table: ir.Value, indices: ir.Value, *, axis: int) -> ir.Value:
    return tape.op("Gather", table, indices, axis=axis)


def _gather_along(tape: Tape, x: ir.Value, indices: ir.Value, *, axis: int) -> ir.Value:
    """GatherElements repeats no index: where one holds for a whole axis they are expanded."""
    ones = tape.integers([1])
    shape = tape.op("Shape", x, start=0)
    before, behind = (
        tape.op("Slice", shape, tape.integers([start]), tape.integers([end]), tape.integers([0]), ones)
        for start, end in ((0, axis), (axis + 1, 2**31))
    )
    wanted = tape.op("Concat", before, ones, behind, axis=0)
    return tape.op("GatherElements", x, tape.op("Expand", indices, wanted), axis=axis)


MOVEMENT: Mapping[type[ops.Op], Callable[..., ir.Value]] = {
    ops.Slice: _slice,
    ops.Flip: _flip,
    ops.Pad: _pad,
    ops.Gather: _gather,
    ops.GatherAlong: _gather_along,
}
