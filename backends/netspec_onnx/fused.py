"""Layers that ONNX has whole, as one operator or two."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx_ir as ir

from netspec.backend import Fused
from netspec.graph.ops import Convolution, TransposedConvolution
from netspec.graph.types import normal_axis
from netspec.layers.activation import Gelu, LeakyRelu, Softmax
from netspec.layers.base import pair
from netspec.layers.convolution import Conv2d, ConvTranspose2d
from netspec.layers.linear import Embedding, Linear
from netspec.layers.normalization import BatchNorm, LayerNorm
from netspec.layers.pooling import AdaptiveAvgPool2d, GlobalAvgPool
from netspec.layers.tensor import Flatten
from netspec_onnx.lowerings import convolution, transposed_convolution
from netspec_onnx.recurrent import RECURRENT
from netspec_onnx.tape import Tape

Call = Any  # a netspec.graph.graph.Call whose layer is of the class that the form stands for


def _linear(tape: Tape, call: Call, x: ir.Value, weight: ir.Value, bias: ir.Value | None = None) -> Any:
    """Gemm takes matrices only; for more dimensions the body is what ONNX has: Transpose, MatMul, Add."""
    if call.inputs[0].type.rank != 2:
        return NotImplemented
    transposed = int(call.layer.weight_layout == "out_in")
    inputs = (x, weight) if bias is None else (x, weight, bias)
    return tape.op("Gemm", *inputs, alpha=1.0, beta=1.0, transA=0, transB=transposed)


def _conv2d(tape: Tape, call: Call, x: ir.Value, weight: ir.Value, bias: ir.Value | None = None) -> Any:
    (op,) = (node.op for node in call.body if isinstance(node.op, Convolution))
    return convolution(tape, x, weight, bias, **vars(op))


def _conv_transpose2d(tape: Tape, call: Call, x: ir.Value, weight: ir.Value, bias: ir.Value | None = None) -> Any:
    (op,) = (node.op for node in call.body if isinstance(node.op, TransposedConvolution))
    if any(-end >= step for (_, end), step in zip(op.padding, op.stride, strict=True)):
        return NotImplemented
    return transposed_convolution(tape, x, weight, bias, **vars(op))


def _batch_norm(
    tape: Tape, call: Call, x: ir.Value, running_mean: ir.Value, running_var: ir.Value, **affine: ir.Value
) -> Any:
    if not tape.attributes_are_exact:
        return NotImplemented
    channels = call.inputs[0].shape[1]
    scale = affine["weight"] if affine else tape.constant(np.ones(channels), "float")
    shift = affine["bias"] if affine else tape.constant(np.zeros(channels), "float")
    attributes = {"epsilon": call.layer.eps, "momentum": call.layer.stats_decay, "training_mode": 0}
    return tape.op("BatchNormalization", x, scale, shift, running_mean, running_var, **attributes)


def _layer_norm(
    tape: Tape, call: Call, x: ir.Value, weight: ir.Value | None = None, bias: ir.Value | None = None
) -> Any:
    axes = (call.layer.dim,) if isinstance(call.layer.dim, int) else call.layer.dim
    shape = call.inputs[0].shape[-len(axes) :]
    if not tape.attributes_are_exact or not all(isinstance(size, int) for size in shape):
        return NotImplemented
    scale = tape.constant(np.ones(shape), "float") if weight is None else weight
    inputs = (x, scale) if bias is None else (x, scale, bias)
    # stash_type 1: mean and variance in float32, also for float16.
    return tape.op("LayerNormalization", *inputs, axis=-len(axes), epsilon=call.layer.eps, stash_type=1)


def _embedding(tape: Tape, call: Call, x: ir.Value, weight: ir.Value) -> Any:
    """`padding_idx` changes a gradient only."""
    return tape.op("Gather", weight, x, axis=0)


def _global_avg_pool(tape: Tape, call: Call, x: ir.Value) -> Any:
    return tape.op("Flatten", tape.op("GlobalAveragePool", x), axis=1)


def _adaptive_avg_pool2d(tape: Tape, call: Call, x: ir.Value) -> Any:
    return tape.op("GlobalAveragePool", x) if pair(call.layer.output_size) == (1, 1) else NotImplemented


def _flatten(tape: Tape, call: Call, x: ir.Value) -> Any:
    """ONNX's Flatten gives a matrix: the axes before `axis`, and all others."""
    rank = call.inputs[0].type.rank
    if normal_axis(call.layer.start_dim, rank) != 1 or normal_axis(call.layer.end_dim, rank) != rank - 1:
        return NotImplemented
    return tape.op("Flatten", x, axis=1)


def _leaky_relu(tape: Tape, call: Call, x: ir.Value) -> Any:
    if not tape.attributes_are_exact:
        return NotImplemented
    return tape.op("LeakyRelu", x, alpha=call.layer.negative_slope)


def _gelu(tape: Tape, call: Call, x: ir.Value) -> Any:
    return tape.op("Gelu", x, approximate="none")


def _softmax(tape: Tape, call: Call, x: ir.Value) -> Any:
    return tape.op("Softmax", x, axis=call.layer.dim)


FUSED: Fused = {
    Linear: _linear,
    Conv2d: _conv2d,
    ConvTranspose2d: _conv_transpose2d,
    BatchNorm: _batch_norm,
    LayerNorm: _layer_norm,
    Embedding: _embedding,
    AdaptiveAvgPool2d: _adaptive_avg_pool2d,
    GlobalAvgPool: _global_avg_pool,
    Flatten: _flatten,
    LeakyRelu: _leaky_relu,
    Gelu: _gelu,
    Softmax: _softmax,
    **RECURRENT,
}
