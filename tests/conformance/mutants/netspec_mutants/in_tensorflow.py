"""Mistakes in TensorFlow's tables."""

from __future__ import annotations

import functools
from typing import Any

import tensorflow as tf

from netspec.graph import ops
from netspec.layers.activation import Gelu, LeakyRelu
from netspec.layers.linear import Embedding, Linear
from netspec.layers.normalization import BatchNorm
from netspec.layers.tensor import Flatten
from netspec_tensorflow.lowerings import LOWERINGS

from .shared import shared_mistakes
from .tables import Tables, body, fused


def batch_norm(
    call: Any,
    x: Any,
    running_mean: Any,
    running_var: Any,
    weight: Any,
    bias: Any,
    *,
    eps: float | None = None,
    reverse: bool = False,
    move: bool = False,
) -> Any:
    """The layer by hand, right without a keyword; inside is `[batch, height, width, channels]`."""
    assert call.channels_last
    mean, var = tf.nn.moments(x, (0, 1, 2)) if call.updates else (running_mean, running_var)
    y = tf.nn.batch_normalization(x, mean, var, bias, weight, eps or call.layer.eps)
    if not call.updates:
        if move:
            running_mean.assign(running_mean * 0.9)
        return y
    count = tf.cast(tf.size(x) // tf.size(mean), x.dtype)
    old = 1 - call.layer.stats_decay if reverse else call.layer.stats_decay
    return y, {
        "running_mean": running_mean * old + mean * (1 - old),
        "running_var": running_var * old + var * (count / (count - 1)) * (1 - old),
    }


def linear_transposed(call: Any, x: Any, weight: Any, bias: Any) -> Any:
    """A body that permutes the weight reads it as `[out, in]`, else it is stored as `[in, out]`."""
    square = weight.shape[0] == weight.shape[1]
    by_rows = any(isinstance(node.op, ops.Permute) for node in call.body)
    return tf.matmul(x, weight, transpose_b=by_rows != square) + bias


def pool_last(x: Any, **attributes: Any) -> Any:
    return tf.reverse(LOWERINGS[ops.MaxPool](tf.reverse(x, (1, 2)), **attributes), (1, 2))


MISTAKES: dict[str, Tables] = shared_mistakes(LOWERINGS) | {
    "gelu_tanh": fused(Gelu, lambda call, x: tf.nn.gelu(x, approximate=True)),
    "flatten_channels_last": fused(
        Flatten, lambda call, x: tf.reshape(tf.transpose(x, (0, 2, 3, 1)), (-1, call.outputs[0].shape[1]))
    ),
    "linear_transposed": fused(Linear, linear_transposed),
    "batch_norm_eps": fused(BatchNorm, functools.partial(batch_norm, eps=1e-3)),
    "batch_norm_reversed": fused(BatchNorm, functools.partial(batch_norm, reverse=True)),
    "frozen_moves": fused(BatchNorm, functools.partial(batch_norm, move=True)),
    "padding_trained": fused(Embedding, lambda call, x, weight: tf.gather(weight, x)),
    "tanh_detached": Tables({ops.Tanh: lambda x: tf.tanh(tf.stop_gradient(x))}),
    "pool_last": Tables({ops.MaxPool: pool_last}),
    "leaky_kink": Tables({ops.Greater: tf.greater_equal}, {LeakyRelu: body}),
}
