"""Normalisation layers that ONNX has whole, with scale and bias of 1 and 0 where the layer has none.

Their eps is a float32, so a float64 model runs the bodies.
"""

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
    if not tape.attributes_are_exact:
        return NotImplemented
    scale, shift = _per_channel(tape, call, affine)
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


def _per_channel(tape: Tape, call: Call, affine: dict[str, ir.Value]) -> tuple[ir.Value, ir.Value]:
    """Scale and bias, one number for each channel."""
    channels = call.inputs[0].shape[1]
    if affine:
        return affine["weight"], affine["bias"]
    return tape.constant(np.ones(channels), "float"), tape.constant(np.zeros(channels), "float")


def _instance_norm(tape: Tape, call: Call, x: ir.Value, **affine: ir.Value) -> Any:
    if not tape.attributes_are_exact:
        return NotImplemented
    return tape.op("InstanceNormalization", x, *_per_channel(tape, call, affine), epsilon=call.layer.eps)


def _group_norm(tape: Tape, call: Call, x: ir.Value, **affine: ir.Value) -> Any:
    if not tape.attributes_are_exact or call.inputs[0].type.rank < 3:
        return NotImplemented
    attributes = {"num_groups": call.layer.num_groups, "epsilon": call.layer.eps, "stash_type": 1}
    return tape.op("GroupNormalization", x, *_per_channel(tape, call, affine), **attributes)


def _local_response_norm(tape: Tape, call: Call, x: ir.Value) -> Any:
    """Of an even number of channels ONNX has one more behind, torch one more in front. onnxruntime takes images only."""
    layer = call.layer
    if not tape.attributes_are_exact or layer.size % 2 == 0 or call.inputs[0].type.rank != 4:
        return NotImplemented
    return tape.op("LRN", x, alpha=layer.alpha, beta=layer.beta, bias=layer.k, size=layer.size)


NORMALIZATION: Fused = {
    layers.BatchNorm: _batch_norm,
    layers.LayerNorm: _layer_norm,
    layers.InstanceNorm: _instance_norm,
    layers.GroupNorm: _group_norm,
    layers.LocalResponseNorm: _local_response_norm,
}
