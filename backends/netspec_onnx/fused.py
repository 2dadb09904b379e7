"""Layers that ONNX has whole, as one operator or two."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import onnx_ir as ir

from netspec.backend import Fused
from netspec.graph.ops import Convolution, TransposedConvolution
from netspec.graph.types import normal_axis
from netspec.layers.base import per_axis
from netspec.layers.convolution import Conv1d, Conv2d, Conv3d, ConvTranspose1d, ConvTranspose2d, ConvTranspose3d
from netspec.layers.linear import Embedding, Linear
from netspec.layers.pooling import (
    AdaptiveAvgPool1d,
    AdaptiveAvgPool2d,
    AdaptiveAvgPool3d,
    AdaptiveMaxPool1d,
    AdaptiveMaxPool2d,
    AdaptiveMaxPool3d,
    GlobalAvgPool,
    GlobalMaxPool,
)
from netspec.layers.tensor import Flatten
from netspec_onnx.activations import ACTIVATIONS
from netspec_onnx.arithmetic import ARITHMETIC_FUSED
from netspec_onnx.fused_movement import MOVEMENT
from netspec_onnx.normalization import NORMALIZATION
from netspec_onnx.recurrent import RECURRENT
from netspec_onnx.tape import Tape
from netspec_onnx.windows import convolution, transposed_convolution

Call = Any  # a netspec.graph.graph.Call whose layer is of the class that the form stands for


def _linear(tape: Tape, call: Call, x: ir.Value, weight: ir.Value, bias: ir.Value | None = None) -> Any:
    """Gemm takes matrices only; for more dimensions the body is what ONNX has: Transpose, MatMul, Add."""
    if call.inputs[0].type.rank != 2:
        return NotImplemented
    transposed = int(call.layer.weight_layout == "out_in")
    inputs = (x, weight) if bias is None else (x, weight, bias)
    return tape.op("Gemm", *inputs, alpha=1.0, beta=1.0, transA=0, transB=transposed)


def _conv(tape: Tape, call: Call, x: ir.Value, weight: ir.Value, bias: ir.Value | None = None) -> Any:
    (op,) = (node.op for node in call.body if isinstance(node.op, Convolution))
    return convolution(tape, x, weight, bias, **vars(op))


def _conv_transpose(tape: Tape, call: Call, x: ir.Value, weight: ir.Value, bias: ir.Value | None = None) -> Any:
    (op,) = (node.op for node in call.body if isinstance(node.op, TransposedConvolution))
    if any(-end >= step for (_, end), step in zip(op.padding, op.stride, strict=True)):
        return NotImplemented
    return transposed_convolution(tape, x, weight, bias, **vars(op))


def _embedding(tape: Tape, call: Call, x: ir.Value, weight: ir.Value) -> Any:
    """`padding_idx` changes a gradient only."""
    return tape.op("Gather", weight, x, axis=0)


def _global_avg_pool(tape: Tape, call: Call, x: ir.Value) -> Any:
    return tape.op("Flatten", tape.op("GlobalAveragePool", x), axis=1)


def _global_max_pool(tape: Tape, call: Call, x: ir.Value) -> Any:
    """Of floats: ONNX's operator takes no integers."""
    if call.inputs[0].type.dtype != "float":
        return NotImplemented
    return tape.op("Flatten", tape.op("GlobalMaxPool", x), axis=1)


def _adaptive(global_pool: str) -> Callable[..., Any]:
    """ONNX has one bin along each dimension."""

    def pool(tape: Tape, call: Call, x: ir.Value) -> Any:
        one = set(per_axis(call.layer.output_size, 1)) == {1} and call.inputs[0].type.dtype == "float"
        return tape.op(global_pool, x) if one else NotImplemented

    return pool


def _flatten(tape: Tape, call: Call, x: ir.Value) -> Any:
    """ONNX's Flatten gives a matrix: the axes before `axis`, and all others."""
    rank = call.inputs[0].type.rank
    if normal_axis(call.layer.start_dim, rank) != 1 or normal_axis(call.layer.end_dim, rank) != rank - 1:
        return NotImplemented
    return tape.op("Flatten", x, axis=1)


FUSED: Fused = {
    **ARITHMETIC_FUSED,
    Linear: _linear,
    **dict.fromkeys((Conv1d, Conv2d, Conv3d), _conv),
    **dict.fromkeys((ConvTranspose1d, ConvTranspose2d, ConvTranspose3d), _conv_transpose),
    **NORMALIZATION,
    **ACTIVATIONS,
    Embedding: _embedding,
    **dict.fromkeys((AdaptiveAvgPool1d, AdaptiveAvgPool2d, AdaptiveAvgPool3d), _adaptive("GlobalAveragePool")),
    **dict.fromkeys((AdaptiveMaxPool1d, AdaptiveMaxPool2d, AdaptiveMaxPool3d), _adaptive("GlobalMaxPool")),
    GlobalAvgPool: _global_avg_pool,
    GlobalMaxPool: _global_max_pool,
    Flatten: _flatten,
    **RECURRENT,
    **MOVEMENT,
}
