"""Powers, products, cumulative sums, types and random numbers in ONNX; and the norms that it has whole."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import onnx_ir as ir

from netspec.backend import Fused
from netspec.graph import ops
from netspec.graph.ops.base import Op
from netspec.graph.types import DType
from netspec.layers.reductions import Norm, axes_of
from netspec_onnx.integers import integer_product, integer_sum
from netspec_onnx.tape import Lowering, Tape


def reduction(op_type: str, of_integers: Callable[..., ir.Value] | None = None) -> Lowering:
    """An ONNX reduction, of integers another way where one is given."""

    def lower(tape: Tape, x: ir.Value, *, axes: tuple[int, ...], keepdims: bool) -> ir.Value:
        if of_integers and tape.type_of(x) in (ir.DataType.INT64, ir.DataType.INT32):
            return of_integers(tape, x, axes=axes, keepdims=keepdims)
        return tape.op(op_type, x, tape.integers(axes), keepdims=int(keepdims), noop_with_empty_axes=1)

    return lower


def _cast(tape: Tape, x: ir.Value, *like: ir.Value, dtype: DType) -> ir.Value:
    """The float type of the model is known: nothing reads `like`, which then is left out of the file."""
    return tape.op("Cast", x, to=int(tape.element_type(dtype)), saturate=1)


def _argmax(tape: Tape, x: ir.Value, *, axes: tuple[int, ...], keepdims: bool) -> ir.Value:
    return tape.op("ArgMax", x, axis=axes[0], keepdims=int(keepdims), select_last_index=0)


def _cumsum(tape: Tape, x: ir.Value, *, axis: int) -> ir.Value:
    return tape.op("CumSum", x, tape.constant(axis, "int64"), exclusive=0, reverse=0)


def _normal(tape: Tape, x: ir.Value) -> ir.Value:
    """Without a seed the runtime takes one of its own."""
    return tape.op("RandomNormalLike", x, dtype=int(tape.element_type("float")), mean=0.0, scale=1.0)


def _uniform(tape: Tape, x: ir.Value) -> ir.Value:
    return tape.op("RandomUniformLike", x, dtype=int(tape.element_type("float")), low=0.0, high=1.0)


ARITHMETIC: Mapping[type[Op], Lowering] = {
    ops.Pow: lambda tape, a, b: tape.op("Pow", a, b),
    ops.Cast: _cast,
    ops.Sum: reduction("ReduceSum", integer_sum),
    ops.Prod: reduction("ReduceProd", integer_product),
    ops.Min: reduction("ReduceMin"),
    ops.ArgMax: _argmax,
    ops.Cumsum: _cumsum,
    ops.Normal: _normal,
    ops.Uniform: _uniform,
}


def _norm(tape: Tape, call: Any, x: ir.Value) -> Any:
    layer = call.layer
    assert isinstance(layer, Norm)
    if layer.p == "inf":
        return NotImplemented
    lower = reduction("ReduceL1" if layer.p == 1 else "ReduceL2")
    return lower(tape, x, axes=axes_of(layer.dim, call.inputs[0]), keepdims=layer.keepdim)


ARITHMETIC_FUSED: Fused = {Norm: _norm}
