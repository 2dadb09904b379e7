"""What each primitive is in ONNX (opset 21). Every attribute is written: nothing relies on a default."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx_ir as ir

from netspec.graph import ops
from netspec.graph.ops.base import Op
from netspec.graph.ops.pooling import bins
from netspec.graph.ops.products import Pairs, SamePadding
from netspec.graph.types import DType
from netspec_onnx.arithmetic import ARITHMETIC, Lowering, reduction
from netspec_onnx.control import CONTROL
from netspec_onnx.movement import MOVEMENT
from netspec_onnx.tape import RuntimeSize, Tape
from netspec_onnx.waves import sin_cos


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


def _reduction(op_type: str) -> Lowering:
    def lower(tape: Tape, x: ir.Value, *, axes: tuple[int, ...], keepdims: bool) -> ir.Value:
        return tape.op(op_type, x, tape.integers(axes), keepdims=int(keepdims), noop_with_empty_axes=1)

    return lower


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


def convolution(
    tape: Tape,
    x: ir.Value,
    weight: ir.Value,
    bias: ir.Value | None = None,
    *,
    stride: tuple[int, ...],
    padding: Pairs | SamePadding,
    dilation: tuple[int, ...],
    groups: int,
    channels_last: bool,
) -> ir.Value:
    """Conv; the words `same` and `same_lower` become auto_pad, which takes the pads from the sizes of the run."""
    assert not channels_last, "ONNX convolves channels first"
    pads: dict[str, Any] = {"auto_pad": "NOTSET"}
    if not isinstance(padding, str):
        pads["pads"] = _pads(padding)
    elif max(dilation) == 1:
        pads["auto_pad"] = {"same": "SAME_UPPER", "same_lower": "SAME_LOWER"}[padding]
    else:  # onnxruntime refuses auto_pad beside a dilation
        x = _pad_same(tape, x, weight, stride, dilation, padding)
        pads["pads"] = [0] * 2 * len(stride)
    inputs = (x, weight) if bias is None else (x, weight, bias)
    return tape.op(
        "Conv", *inputs, kernel_shape=_kernel(weight), strides=stride, dilations=dilation, group=groups, **pads
    )


def transposed_convolution(
    tape: Tape,
    x: ir.Value,
    weight: ir.Value,
    bias: ir.Value | None = None,
    *,
    stride: tuple[int, ...],
    padding: Pairs,
    dilation: tuple[int, ...],
    groups: int,
    channels_last: bool,
) -> ir.Value:
    """ConvTranspose; a negative end is its output_padding, which onnxruntime wants below the stride."""
    assert not channels_last, "ONNX convolves channels first"
    added = [-min(end, 0) for _, end in padding]
    padded = any(more >= step for more, step in zip(added, stride, strict=True))
    assert not (padded and bias), "zeros are added in front of the bias"
    inputs = (x, weight) if bias is None else (x, weight, bias)
    y = tape.op(
        "ConvTranspose",
        *inputs,
        auto_pad="NOTSET",
        dilations=dilation,
        group=groups,
        kernel_shape=_kernel(weight),
        output_padding=[0] * len(stride) if padded else added,
        pads=_pads(tuple((begin, max(end, 0)) for begin, end in padding)),
        strides=stride,
    )
    return _pad(tape, y, [0] * len(stride) + added) if padded else y


def _kernel(weight: ir.Value) -> tuple[int, ...]:
    assert weight.shape is not None, "a convolution's weight is a parameter"
    return tuple(int(size) for size in weight.shape.numpy()[2:])


def _pads(padding: Pairs) -> list[int]:
    """ONNX's order: all beginnings, then all ends."""
    return [begin for begin, _ in padding] + [end for _, end in padding]


def _pad_same(
    tape: Tape, x: ir.Value, weight: ir.Value, stride: tuple[int, ...], dilation: tuple[int, ...], word: SamePadding
) -> ir.Value:
    """x with the zeros of `same` around it: total = max((ceil(in / s) - 1) * s + (k - 1) * d + 1 - in, 0)."""
    begins, ends = [], []
    for axis, (kernel, step, spread) in enumerate(zip(_kernel(weight), stride, dilation, strict=True), 2):
        size = tape.size_of(x, axis)
        total = ((size + (step - 1)) // step * step - size + ((kernel - 1) * spread + 1 - step)).at_least(0)
        less = total // 2
        more = total - less
        begins.append(more if word == "same_lower" else less)
        ends.append(less if word == "same_lower" else more)
    return _pad(tape, x, [*begins, *ends])


def _max_pool(
    tape: Tape,
    x: ir.Value,
    *,
    kernel_size: tuple[int, ...],
    stride: tuple[int, ...],
    padding: Pairs,
    channels_last: bool,
) -> ir.Value:
    return _pool(tape, "MaxPool", x, kernel_size, stride, padding, channels_last, storage_order=0)


def _average_pool(
    tape: Tape,
    x: ir.Value,
    *,
    kernel_size: tuple[int, ...],
    stride: tuple[int, ...],
    padding: Pairs,
    uncounted: tuple[int, ...],
    count_include_pad: bool,
    channels_last: bool,
) -> ir.Value:
    if count_include_pad and any(uncounted):  # what counts becomes a part of x
        counted = tuple((begin, end - less) for (begin, end), less in zip(padding, uncounted, strict=True))
        x = _pad(tape, x, _pads(counted)) if any(map(any, counted)) else x
        padding, count_include_pad = tuple((0, less) for less in uncounted), False
    include = int(count_include_pad)
    return _pool(tape, "AveragePool", x, kernel_size, stride, padding, channels_last, count_include_pad=include)


def _pool(
    tape: Tape,
    op_type: str,
    x: ir.Value,
    kernel_size: tuple[int, ...],
    stride: tuple[int, ...],
    padding: Pairs,
    channels_last: bool,
    **own: int,
) -> ir.Value:
    """`ceil_mode` is never used: shape inference counts windows that start in the padding."""
    assert not channels_last, "ONNX pools channels first"
    return tape.op(
        op_type,
        x,
        auto_pad="NOTSET",
        ceil_mode=0,
        dilations=[1] * len(stride),
        kernel_shape=kernel_size,
        pads=_pads(padding),
        strides=stride,
        **own,
    )


def _pad(tape: Tape, x: ir.Value, pads: Sequence[int | RuntimeSize]) -> ir.Value:
    """x with zeros around its spatial dimensions: all beginnings, then all ends."""
    axes = tape.integers(range(2, 2 + len(pads) // 2))
    return tape.op("Pad", x, tape.vector(pads), tape.constant(0, "float"), axes, mode="constant")


def _adaptive_average_pool(
    tape: Tape, x: ir.Value, *, input_size: tuple[int, ...], output_size: tuple[int, ...], channels_last: bool
) -> ir.Value:
    """The mean of a slice for each bin, one dimension after the other."""
    assert not channels_last, "ONNX pools channels first"
    for axis, (size, count) in enumerate(zip(input_size, output_size, strict=True), 2):
        if size == count:
            continue
        means = []
        for bounds in bins(size, count):
            start, end, axes, steps = (tape.integers([number]) for number in (*bounds, axis, 1))
            part = tape.op("Slice", x, start, end, axes, steps)
            means.append(tape.op("ReduceMean", part, axes, keepdims=1, noop_with_empty_axes=1))
        x = tape.op("Concat", *means, axis=axis)
    return x


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
    ops.Convolution: convolution,
    ops.TransposedConvolution: transposed_convolution,
    ops.MaxPool: _max_pool,
    ops.AveragePool: _average_pool,
    ops.AdaptiveAveragePool: _adaptive_average_pool,
    ops.Sum: reduction("ReduceSum"),
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
