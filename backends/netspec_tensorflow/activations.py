"""Activations that TensorFlow has a native form of; not selu, whose derivative at 0 is another one there."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from netspec.graph.graph import Call
from netspec.layers import activation as layers
from netspec.layers.activation import Elu, LeakyRelu, LogSoftmax, Softmax, Softplus


def leaky_relu(call: Call, x: tf.Tensor) -> Any:
    """The kernel holds the slope as a float32, so a float64 model cannot use it."""
    assert isinstance(call.layer, LeakyRelu)
    if x.dtype == tf.float64:
        return NotImplemented
    return tf.nn.leaky_relu(x, call.layer.negative_slope)


def softmax(call: Call, x: tf.Tensor) -> Any:
    """The kernel works on the last axis; for another one TensorFlow would move the elements there and back."""
    assert isinstance(call.layer, Softmax)
    return tf.nn.softmax(x) if _is_last(call, x, call.layer.dim) else NotImplemented


def log_softmax(call: Call, x: tf.Tensor) -> Any:
    """As softmax."""
    assert isinstance(call.layer, LogSoftmax)
    return tf.nn.log_softmax(x) if _is_last(call, x, call.layer.dim) else NotImplemented


def _is_last(call: Call, x: tf.Tensor, dim: int) -> bool:
    """Whether `dim` of the spec is the last axis of x as it is held."""
    rank = len(x.shape)
    return bool(dim % rank == (1 if call.channels_last else rank - 1))


def elu(call: Call, x: tf.Tensor) -> Any:
    """The kernel has alpha 1."""
    assert isinstance(call.layer, Elu)
    return tf.nn.elu(x) if call.layer.alpha == 1 else NotImplemented


def softplus(call: Call, x: tf.Tensor) -> Any:
    """Exact to the last bit or two: the kernel leaves out only what is below the rounding."""
    assert isinstance(call.layer, Softplus)
    beta = call.layer.beta
    return tf.nn.softplus(x) if beta == 1 else tf.nn.softplus(x * beta) * (1 / beta)


def gelu_tanh(call: Call, x: tf.Tensor) -> Any:
    """The body without its guard: a square overflows in float16 alone for numbers that occur."""
    if x.dtype == tf.float16:
        return NotImplemented
    return x * (0.5 * tf.tanh(x * (x * x * (0.044715 * layers.ROOT_2_PI) + layers.ROOT_2_PI)) + 0.5)


ACTIVATIONS: dict[type, Callable[..., Any]] = {
    layers.Relu6: lambda call, x: tf.nn.relu6(x),
    LeakyRelu: leaky_relu,
    Elu: elu,
    layers.GeluTanh: gelu_tanh,
    Softplus: softplus,
    layers.LogSigmoid: lambda call, x: tf.math.log_sigmoid(x),
    layers.Softsign: lambda call, x: tf.nn.softsign(x),
    Softmax: softmax,
    LogSoftmax: log_softmax,
}
