"""Normalisation layers that ONNX has whole, with scale and bias of 1 and 0 where the layer has none."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx_ir as ir

from netspec.backend import Fused
from netspec.layers import normalization as layers
from netspec_onnx.tape import Tape

Call = Any  # a netspec.graph.graph.Call whose layer is of the class that the form stands for


def _batch_norm(
    tape: Tape, call: Call, x: ir.Value, running_mean: ir.Value, running_var: ir.Value, **affine: ir.Value
) -> Any:
    scale, shift = _per_channel(tape, call, affine)
    attributes = {"epsilon": call.layer.eps, "momentum": call.layer.stats_decay, "training_mode": 0}
    return tape.op("BatchNormalization", x, scale, shift, running_mean, running_var, **attributes)


def _layer_norm(
    tape: Tape, call: Call, x: ir.Value, weight: ir.Value | None = None, bias: ir.Value | None = None
) -> Any:
    axes = (call.layer.dim,) if isinstance(call.layer.dim, int) else call.layer.dim
    shape = call.inputs[0].shape[-len(axes) :]
    if not all(isinstance(size, int) for size in shape):
        return NotImplemented
    scale = tape.constant(np.ones(shape), "float") if weight is None else weight
    inputs = (x, scale) if bias is None else (x, scale, bias)
    # stash_type 1: mean and variance in float32.
    return tape.op("LayerNormalization", *inputs, axis=-len(axes), epsilon=call.layer.eps, stash_type=1)


def _per_channel(tape: Tape, call: Call, affine: dict[str, ir.Value]) -> tuple[ir.Value, ir.Value]:
    """Scale and bias, one number for each channel."""
    channels = call.inputs[0].shape[1]
    if affine:
        return affine["weight"], affine["bias"]
    return tape.constant(np.ones(channels), "float"), tape.constant(np.zeros(channels), "float")


def _instance_norm(tape: Tape, call: Call, x: ir.Value, **affine: ir.Value) -> Any:
    return tape.op("InstanceNormalization", x, *_per_channel(tape, call, affine), epsilon=call.layer.eps)


def _group_norm(tape: Tape, call: Call, x: ir.Value, **affine: ir.Value) -> Any:
    """InstanceNormalization of the groups: onnxruntime's GroupNormalization is NaN at a mean of 1e4 (1.31)."""
    groups, rank = call.layer.num_groups, call.inputs[0].type.rank
    rows = tape.op("Reshape", x, tape.integers([0, groups, -1]), allowzero=0)
    one, zero = tape.constant(np.ones(groups), "float"), tape.constant(np.zeros(groups), "float")
    rows = tape.op("InstanceNormalization", rows, one, zero, epsilon=call.layer.eps)
    y = tape.op("Reshape", rows, tape.op("Shape", x, start=0, end=rank), allowzero=0)
    if not affine:
        return y
    along = tape.integers([-1, *[1] * (rank - 2)])
    scale, shift = (tape.op("Reshape", affine[name], along, allowzero=0) for name in ("weight", "bias"))
    return tape.op("Add", tape.op("Mul", y, scale), shift)


def _local_response_norm(tape: Tape, call: Call, x: ir.Value) -> Any:
    """Of an even number of channels ONNX has one more behind, torch one in front; onnxruntime takes images only."""
    layer = call.layer
    if layer.size % 2 == 0 or call.inputs[0].type.rank != 4:
        return NotImplemented
    return tape.op("LRN", x, alpha=layer.alpha, beta=layer.beta, bias=layer.k, size=layer.size)


NORMALIZATION: Fused = {
    layers.BatchNorm: _batch_norm,
    layers.LayerNorm: _layer_norm,
    layers.InstanceNorm: _instance_norm,
    layers.GroupNorm: _group_norm,
    layers.LocalResponseNorm: _local_response_norm,
}
