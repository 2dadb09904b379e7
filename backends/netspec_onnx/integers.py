"""Sums and products of integers, which wrap around: onnxruntime's ReduceSum and ReduceProd take them as doubles."""

from __future__ import annotations

from itertools import pairwise

import onnx_ir as ir

from netspec.graph.types import TensorType
from netspec_onnx.tape import Tape


def integer_sum(tape: Tape, x: ir.Value, *, axes: tuple[int, ...], keepdims: bool) -> ir.Value:
    """The last of the cumulative sums, one axis after the other."""
    last = tape.constant([-1] if keepdims else -1, "int64")
    for axis in reversed(axes):
        sums = tape.op("CumSum", x, tape.constant(axis, "int64"), exclusive=0, reverse=0)
        x = tape.op("Gather", sums, last, axis=axis)
    return x


def integer_product(tape: Tape, x: ir.Value, *, axes: tuple[int, ...], keepdims: bool) -> ir.Value:
    """The halves of an axis are multiplied with each other until one number is left."""
    for axis in axes:
        x = _multiplied(tape, x, axis)
    return x if keepdims or not axes else tape.op("Squeeze", x, tape.integers(axes))


def _multiplied(tape: Tape, x: ir.Value, axis: int) -> ir.Value:
    flag, index, type = TensorType((), "bool"), TensorType((), "int64"), tape.type_of(x)
    turn, goes_on, numbers = tape.value("turn", index), tape.value("goes_on", flag), tape.value("numbers", type)

    def step() -> tuple[ir.Value, ir.Value]:
        size = tape.size_of(numbers, axis)
        half = size // 2
        bounds = [tape.integers([0]), half.value, (half * 2).value, size.value]
        along, by_one = tape.integers([axis]), tape.integers([1])
        low, high, rest = (tape.op("Slice", numbers, begin, end, along, by_one) for begin, end in pairwise(bounds))
        left = tape.op("Concat", tape.op("Mul", low, high), rest, axis=axis)
        return tape.op("Greater", (size - half).scalar, tape.constant(1, "int64")), left

    body = tape.graph("step", (turn, goes_on, numbers), step, (flag, type), tape.origin)
    return tape.op("Loop", None, tape.constant(True, "bool"), x, body=body)
