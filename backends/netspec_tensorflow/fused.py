"""Whole layers that TensorFlow has a native form of; each is tested against the layer's own body."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from netspec.graph.graph import Call
from netspec.graph.ops import Permute
from netspec.layers.linear import Linear
from netspec.layers.normalization import BatchNorm, LocalResponseNorm
from netspec.layers.parts import Chunk, Split
from netspec.passes.layouts import to_last
from netspec_tensorflow.activations import ACTIVATIONS


def linear(call: Call, x: tf.Tensor, weight: tf.Tensor, bias: tf.Tensor | None = None) -> Any:
    """Only where the weight could not be stored as `[in, out]`: the product reads it transposed, nothing is moved."""
    if not any(isinstance(node.op, Permute) for node in call.body):
        return NotImplemented
    y = tf.tensordot(x, weight, (-1, 1)) if len(x.shape) > 2 else tf.matmul(x, weight, transpose_b=True)
    return y if bias is None else y + bias


def batch_norm(
    call: Call,
    x: tf.Tensor,
    running_mean: tf.Tensor,
    running_var: tf.Tensor,
    weight: tf.Tensor | None = None,
    bias: tf.Tensor | None = None,
) -> Any:
    """TensorFlow's kernel: images only, no float64, statistics in float32, running variance unbiased."""
    layer = call.layer
    assert isinstance(layer, BatchNorm)
    training = bool(call.updates)
    if not call.channels_last or len(x.shape) != 4 or x.dtype == tf.float64:
        return NotImplemented
    if training and layer.running_var == "biased":
        return NotImplemented
    channels = running_mean.shape
    # Not tf.compat.v1.nn.fused_batch_norm, which raises any eps below 1.001e-5 to that.
    y, mean, var, *_ = tf.raw_ops.FusedBatchNormV3(
        x=x,
        scale=tf.ones(channels) if weight is None else tf.cast(weight, tf.float32),
        offset=tf.zeros(channels) if bias is None else tf.cast(bias, tf.float32),
        mean=tf.cast(running_mean, tf.float32),
        variance=tf.cast(running_var, tf.float32),
        epsilon=layer.eps,
        exponential_avg_factor=1 - layer.stats_decay,
        is_training=training,
    )
    if not training:
        return y
    return y, {
        "running_mean": tf.cast(mean, running_mean.dtype),
        "running_var": tf.cast(var, running_var.dtype),
    }


def local_response_norm(call: Call, x: tf.Tensor) -> Any:
    """TensorFlow's kernel: images of float32 only, as many channels on both sides, alpha for each of them."""
    layer = call.layer
    assert isinstance(layer, LocalResponseNorm)
    if not call.channels_last or len(x.shape) != 4 or x.dtype != tf.float32 or layer.size % 2 == 0:
        return NotImplemented
    return tf.nn.local_response_normalization(
        x, depth_radius=layer.size // 2, bias=layer.k, alpha=layer.alpha / layer.size, beta=layer.beta
    )


def split(call: Call, x: tf.Tensor) -> Any:
    """One operation, whose gradient is one too: those of slices would each fill a tensor of zeros."""
    assert isinstance(call.layer, Split | Chunk)
    rank = len(x.shape)
    axis = call.layer.dim % rank
    axis = to_last(rank).index(axis) if call.channels_last else axis
    sizes = [output.shape[axis] for output in call.outputs]
    return tf.split(x, sizes, axis) if all(isinstance(size, int) for size in sizes) else NotImplemented


FUSED: dict[type, Callable[..., Any]] = {
    Linear: linear,
    BatchNorm: batch_norm,
    Split: split,
    Chunk: split,
    LocalResponseNorm: local_response_norm,
    **ACTIVATIONS,
}
