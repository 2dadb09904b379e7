"""What a buffer of a spec starts from where constants give it: the primitives that may stand there, in NumPy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from netspec.graph import ops
from netspec.graph.folding import Computed
from netspec.graph.ops import Op
from netspec.graph.types import TensorType


def evaluate(initializer: Computed, held: TensorType) -> NDArray[Any]:
    """The array; floats are computed in float64 and rounded to float32 once, as all weights are."""
    results: list[Any] = []
    with np.errstate(all="ignore"):
        for op, places in initializer.steps:
            results.append(COMPUTATIONS[type(op)](op, *(results[place] for place in places)))
    return np.array(results[-1], "float32" if held.dtype == "float" else held.dtype)


def _array(op: Any) -> Any:
    return np.reshape(np.array(op.values, "float64" if op.dtype == "float" else op.dtype), op.shape)


COMPUTATIONS: dict[type[Op], Callable[..., Any]] = {
    ops.Constant: lambda op: np.float64(op.value) if op.dtype == "float" else op.value,
    ops.Array: _array,
    ops.Arange: lambda op: (np.arange(op.size) * op.step + op.start).astype(op.dtype),
    ops.NumberLike: lambda op, x: np.asarray(op.value, np.asarray(x).dtype),
    ops.Positions: lambda op, x: np.arange(x.shape[op.axis]),
    ops.Expand: lambda op, x: np.broadcast_to(x, op.shape),
    ops.Reshape: lambda op, x: np.reshape(x, op.shape),
    ops.Permute: lambda op, x: np.transpose(x, op.axes),
    ops.Concat: lambda op, *xs: np.concatenate(xs, op.axis),
    ops.Slice: lambda op, x: x[(*[slice(None)] * op.axis, slice(op.begin, op.end, op.step))],
    ops.Flip: lambda op, x: np.flip(x, op.axes),
    ops.Pad: lambda op, x: np.pad(x, op.padding, constant_values=op.value),
    ops.Gather: lambda op, x, indices: np.take(x, indices, op.axis),
    ops.GatherAlong: lambda op, x, indices: np.take_along_axis(x, indices, op.axis),
    ops.Select: lambda op, x: np.take(x, op.index, op.axis),
    ops.OneHot: lambda op, x: x[..., None] == np.arange(op.size),
    ops.Add: lambda op, a, b: a + b,
    ops.Sub: lambda op, a, b: a - b,
    ops.Mul: lambda op, a, b: a * b,
    ops.Div: lambda op, a, b: a / b,
    ops.Pow: lambda op, a, b: np.power(a, b),
    ops.Cast: lambda op, x, *like: np.asarray(x).astype("float64" if op.dtype == "float" else op.dtype),
    ops.Cumsum: lambda op, x: np.cumsum(x, op.axis),
    ops.Maximum: lambda op, a, b: np.maximum(a, b),
    ops.Minimum: lambda op, a, b: np.minimum(a, b),
    ops.Exp: lambda op, x: np.exp(x),
    ops.Log: lambda op, x: np.log(x),
    ops.Expm1: lambda op, x: np.expm1(x),
    ops.Log1p: lambda op, x: np.log1p(x),
    ops.Sin: lambda op, x: np.sin(x),
    ops.Cos: lambda op, x: np.cos(x),
    ops.Sqrt: lambda op, x: np.sqrt(x),
    ops.Rsqrt: lambda op, x: 1 / np.sqrt(x),
    ops.Tanh: lambda op, x: np.tanh(x),
    ops.Abs: lambda op, x: np.abs(x),
    ops.Greater: lambda op, a, b: a > b,
    ops.Equal: lambda op, a, b: a == b,
    ops.And: lambda op, a, b: np.logical_and(a, b),
    ops.Or: lambda op, a, b: np.logical_or(a, b),
    ops.Not: lambda op, x: np.logical_not(x),
    ops.Where: lambda op, condition, a, b: np.where(condition, a, b),
}
