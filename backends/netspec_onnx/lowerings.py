"""What each primitive is in ONNX (opset 21). Every attribute is written: nothing relies on a default."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx_ir as ir

from netspec.graph import ops
from netspec.graph.ops.base import Op
from netspec.graph.types import DType
from netspec_onnx.arithmetic import ARITHMETIC, reduction
from netspec_onnx.control import CONTROL
from netspec_onnx.movement import MOVEMENT
from netspec_onnx.tape import Lowering, RuntimeSize, Tape
from netspec_onnx.waves import sin_cos
from netspec_onnx.windows import WINDOWS


def _native(op_type: str) -> Lowering:
    """An ONNX operator that has no attributes."""
    return lambda tape, *inputs: tape.op(op_type, *inputs)


def _constant(tape: Tape, *, value: float | int | bool, dtype: DType) -> ir.Value:
    return tape.constant(value, dtype)


def _rsqrt(tape: Tape, x: ir.Value) -> ir.Value:
    return tape.op("Reciprocal", tape.op("Sqrt", x))


def _expm1(tape: Tape, x: ir.Value) -> ir.Value:
    """e^x - 1 = tanh(x / 2) (e^x + 1): nothing cancels where x is small."""
    half = tape.op("Tanh", tape.op("Mul", x, tape.constant(0.5, "float")))
    return tape.op("Mul", half, tape.op("Add", tape.op("Exp", x), tape.constant(1, "float")))


def _log1p(tape: Tape, x: ir.Value) -> ir.Value:
    """ln(1 + x) = 2 artanh(x / (2 + x)) below 1, where 1 + x would lose what is small."""
    near = tape.op("Atanh", tape.op("Div", x, tape.op("Add", x, tape.constant(2, "float"))))
    far = tape.op("Log", tape.op("Add", x, tape.constant(1, "float")))
    is_near = tape.op("Less", x, tape.constant(1, "float"))
    return tape.op("Where", is_near, tape.op("Add", near, near), far)


def _element_count(tape: Tape, x: ir.Value, *, axes: tuple[int, ...]) -> ir.Value:
    count = tape.constant(1, "int64")
    for axis in axes:
        count = tape.op("Mul", count, tape.size_of(x, axis).value)
    scalar = tape.op("Reshape", count, tape.constant([], "int64"), allowzero=0)
    return tape.op("Cast", scalar, to=int(tape.element_type("float")), saturate=1)


def _number_like(tape: Tape, x: ir.Value, *, value: float) -> ir.Value:
    number = tape.constant(value, "int64" if isinstance(value, int) else "float")
    return tape.op("CastLike", number, x, saturate=1)


def _positions(tape: Tape, x: ir.Value, *, axis: int) -> ir.Value:
    size = tape.op("Reshape", tape.size_of(x, axis).value, tape.constant([], "int64"), allowzero=0)
    return tape.op("Range", tape.constant(0, "int64"), size, tape.constant(1, "int64"))


def _reshape(tape: Tape, x: ir.Value, *, shape: tuple[int | RuntimeSize, ...]) -> ir.Value:
    return tape.op("Reshape", x, tape.vector(shape), allowzero=0)


def _permute(tape: Tape, x: ir.Value, *, axes: tuple[int, ...]) -> ir.Value:
    return tape.op("Transpose", x, perm=axes)


def _concat(tape: Tape, *xs: ir.Value, axis: int) -> ir.Value:
    return tape.op("Concat", *xs, axis=axis)


def _array(tape: Tape, *, values: tuple[Any, ...], shape: tuple[int, ...], dtype: DType) -> ir.Value:
    return tape.constant(np.reshape(values, shape), dtype)


def _arange(tape: Tape, *, start: int | RuntimeSize, end: int | RuntimeSize, step: int, dtype: DType) -> ir.Value:
    """Range takes scalars."""
    ends = (tape.constant(each, "int64") if isinstance(each, int) else each.scalar for each in (start, end))
    numbers = tape.op("Range", *ends, tape.constant(step, "int64"))
    return numbers if dtype == "int64" else tape.op("Cast", numbers, to=int(tape.element_type(dtype)), saturate=1)


def _expand(tape: Tape, x: ir.Value, *, shape: tuple[int | RuntimeSize, ...]) -> ir.Value:
    return tape.op("Expand", x, tape.vector(shape))


def _einsum(tape: Tape, *xs: ir.Value, equation: str) -> ir.Value:
    return tape.op("Einsum", *xs, equation=equation)


def _select(tape: Tape, x: ir.Value, *, axis: int, index: int) -> ir.Value:
    return tape.op("Gather", x, tape.constant(index, "int64"), axis=axis)


def _top_k(tape: Tape, x: ir.Value, *, k: int, axis: int) -> tuple[ir.Value, ...]:
    return tape.ops("TopK", 2, x, tape.integers([k]), axis=axis, largest=1, sorted=1)


def _one_hot(tape: Tape, x: ir.Value, *, size: int | RuntimeSize) -> ir.Value:
    """OneHot of onnxruntime gives no flags: each index is compared with all classes."""
    classes = _arange(tape, start=0, end=size, step=1, dtype="int64")
    indices = tape.op("Cast", x, to=int(tape.element_type("int64")), saturate=1)
    return tape.op("Equal", tape.op("Unsqueeze", indices, tape.integers([-1])), classes)


def _sequence_mask(tape: Tape, x: ir.Value, *, size: int | RuntimeSize) -> ir.Value:
    lengths = tape.op("Cast", x, to=int(tape.element_type("int64")), saturate=1)
    places = _arange(tape, start=0, end=size, step=1, dtype="int64")
    return tape.op("Greater", tape.op("Unsqueeze", lengths, tape.integers([-1])), places)


LOWERINGS: Mapping[type[Op], Lowering] = {
    **ARITHMETIC,
    ops.Constant: _constant,
    ops.Exp: _native("Exp"),
    ops.Log: _native("Log"),
    ops.Expm1: _expm1,
    ops.Log1p: _log1p,
    ops.Sin: _native("Sin"),
    ops.Cos: _native("Cos"),
    ops.Sqrt: _native("Sqrt"),
    ops.Rsqrt: _rsqrt,
    ops.Tanh: _native("Tanh"),
    ops.Sigmoid: _native("Sigmoid"),
    ops.Erf: _native("Erf"),
    ops.Relu: _native("Relu"),
    ops.Abs: _native("Abs"),
    ops.StopGradient: lambda tape, x: x,
    ops.Widen: lambda tape, x: x,  # the model's type is float32
    ops.Narrow: lambda tape, x, like: x,
    ops.Add: _native("Add"),
    ops.Sub: _native("Sub"),
    ops.Mul: _native("Mul"),
    ops.Div: _native("Div"),
    ops.Maximum: _native("Max"),
    ops.Minimum: _native("Min"),
    ops.Greater: _native("Greater"),
    ops.Equal: _native("Equal"),
    ops.And: _native("And"),
    ops.Or: _native("Or"),
    ops.Not: _native("Not"),
    ops.Where: _native("Where"),
    ops.Array: _array,
    ops.Arange: _arange,
    ops.Expand: _expand,
    ops.Matmul: _native("MatMul"),
    ops.Einsum: _einsum,
    **WINDOWS,
    ops.Mean: reduction("ReduceMean"),
    ops.Max: reduction("ReduceMax"),
    ops.ElementCount: _element_count,
    ops.NumberLike: _number_like,
    ops.Positions: _positions,
    ops.SinCos: sin_cos,
    ops.Reshape: _reshape,
    ops.Permute: _permute,
    ops.Concat: _concat,
    **MOVEMENT,
    ops.Select: _select,
    ops.TopK: _top_k,
    ops.OneHot: _one_hot,
    ops.SequenceMask: _sequence_mask,
    **CONTROL,
}

GAPS: Mapping[type[Op], str] = {
    ops.Bernoulli: "the file is the inference graph, where nothing is drawn",
}
