"""Convolution and pooling in ONNX."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx_ir as ir

from netspec.graph import ops
from netspec.graph.ops.base import Op
from netspec.graph.ops.pooling import bins
from netspec.graph.ops.products import Pairs, SamePadding
from netspec_onnx.tape import Lowering, RuntimeSize, Tape

MANY_BINS = 32  # above as many a node for each takes long to write and to load


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


def _adaptive(reduction: str) -> Lowering:
    """A reduction of each bin, one dimension after the other."""

    def lower(
        tape: Tape,
        x: ir.Value,
        *,
        input_size: tuple[int | None, ...],
        output_size: tuple[int, ...],
        channels_last: bool,
    ) -> ir.Value:
        assert not channels_last, "ONNX pools channels first"
        for axis, (size, count) in enumerate(zip(input_size, output_size, strict=True), 2):
            if size is None:  # of any size there is one bin
                x = tape.op(reduction, x, tape.integers([axis]), keepdims=1, noop_with_empty_axes=1)
            elif size != count:
                of_bins = _of_slices if count <= MANY_BINS else _of_many_bins
                x = of_bins(tape, reduction, x, axis, bins(size, count))
        return x

    return lower


def _of_slices(tape: Tape, reduction: str, x: ir.Value, axis: int, bounds: Sequence[tuple[int, int]]) -> ir.Value:
    """What the reduction gives for each part of one axis: a slice for each, which runs fastest."""
    found, axes, by_one = [], tape.integers([axis]), tape.integers([1])
    for start, end in bounds:
        part = tape.op("Slice", x, tape.integers([start]), tape.integers([end]), axes, by_one)
        found.append(tape.op(reduction, part, axes, keepdims=1, noop_with_empty_axes=1))
    return found[0] if len(found) == 1 else tape.op("Concat", *found, axis=axis)


def _of_many_bins(tape: Tape, reduction: str, x: ir.Value, axis: int, bounds: Sequence[tuple[int, int]]) -> ir.Value:
    """The same in few nodes: all parts of one length at once; there are at most two lengths."""
    by_length: dict[int, list[int]] = {}
    for number, (start, end) in enumerate(bounds):
        by_length.setdefault(end - start, []).append(number)
    found = []
    for length, numbers in by_length.items():
        places = [range(bounds[number][0], bounds[number][0] + length) for number in numbers]
        parts = tape.op("Gather", x, tape.constant(places, "int64"), axis=axis)
        found.append(tape.op(reduction, parts, tape.integers([axis + 1]), keepdims=0, noop_with_empty_axes=1))
    if len(found) == 1:
        return found[0]
    order = np.argsort([number for numbers in by_length.values() for number in numbers])
    return tape.op("Gather", tape.op("Concat", *found, axis=axis), tape.constant(order, "int64"), axis=axis)


WINDOWS: Mapping[type[Op], Lowering] = {
    ops.Convolution: convolution,
    ops.TransposedConvolution: transposed_convolution,
    ops.MaxPool: _max_pool,
    ops.AveragePool: _average_pool,
    ops.AdaptiveAveragePool: _adaptive("ReduceMean"),
    ops.AdaptiveMaxPool: _adaptive("ReduceMax"),
}
