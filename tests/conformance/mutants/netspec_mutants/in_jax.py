"""Mistakes in JAX's tables."""

from __future__ import annotations

import functools
from typing import Any

import jax
import jax.numpy as jnp

from netspec.graph import ops
from netspec.layers.activation import Gelu, LeakyRelu, Softmax
from netspec.layers.linear import Embedding, Linear
from netspec.layers.normalization import BatchNorm, LayerNorm
from netspec.layers.tensor import Add, Flatten
from netspec_jax.lowerings import LOWERINGS

from .shared import shared_mistakes
from .tables import Tables, fused, without_scale


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
    biased: bool = False,
    batch: bool = False,
) -> Any:
    """The layer by hand, right without a keyword; inside is `[batch, height, width, channels]`."""
    assert call.channels_last
    mean, var = (
        (jnp.mean(x, (0, 1, 2)), jnp.var(x, (0, 1, 2))) if call.updates or batch else (running_mean, running_var)
    )
    y = (x - mean) * jax.lax.rsqrt(var + (eps or call.layer.eps)) * weight + bias
    if not call.updates:
        return y
    count = x.size // x.shape[-1]
    old = 1 - call.layer.stats_decay if reverse else call.layer.stats_decay
    moved = var if biased else var * (count / (count - 1))
    return y, {
        "running_mean": running_mean * old + mean * (1 - old),
        "running_var": running_var * old + moved * (1 - old),
    }


def layer_norm(call: Any, x: Any, weight: Any, bias: Any, *, eps: float) -> Any:
    return (x - x.mean(-1, keepdims=True)) * jax.lax.rsqrt(x.var(-1, keepdims=True) + eps) * weight + bias


def linear_transposed(call: Any, x: Any, weight: Any, bias: Any) -> Any:
    return x @ (weight if weight.shape[0] == weight.shape[1] else weight.T) + bias


def padding_trained(call: Any, x: Any, weight: Any) -> Any:
    return jnp.take(weight, x, 0)


def masked(call: Any, x: Any, weight: Any) -> Any:
    return jnp.where((x == call.layer.padding_idx)[..., None], 0, jnp.take(weight, x, 0))


def softmax_naive(call: Any, x: Any) -> Any:
    e = jnp.exp(x)
    return e / jnp.sum(e, call.layer.dim, keepdims=True)


def pool_last(x: Any, **attributes: Any) -> Any:
    return jnp.flip(LOWERINGS[ops.MaxPool](jnp.flip(x, (1, 2)), **attributes), (1, 2))


def pool_even(x: Any, **attributes: Any) -> Any:
    batch, height, width, channels = x.shape
    return jnp.max(x.reshape(batch, height // 2, 2, width // 2, 2, channels), (2, 4))


MISTAKES: dict[str, Tables] = shared_mistakes(LOWERINGS) | {
    "gelu_tanh": fused(Gelu, lambda call, x: jax.nn.gelu(x, approximate=True)),
    "leaky_slope": fused(LeakyRelu, lambda call, x: jax.nn.leaky_relu(x, 0.2)),
    "softmax_axis": fused(Softmax, lambda call, x: jax.nn.softmax(x, -1)),
    "softmax_naive": fused(Softmax, softmax_naive),
    "flatten_channels_last": fused(Flatten, lambda call, x: jnp.moveaxis(x, 1, -1).reshape(x.shape[0], -1)),
    "linear_transposed": fused(Linear, linear_transposed),
    "layer_norm_eps": fused(LayerNorm, functools.partial(layer_norm, eps=1e-3)),
    "batch_norm_eps": fused(BatchNorm, functools.partial(batch_norm, eps=1e-3)),
    "batch_norm_reversed": fused(BatchNorm, functools.partial(batch_norm, reverse=True)),
    "batch_norm_biased": fused(BatchNorm, functools.partial(batch_norm, biased=True)),
    "frozen_uses_batch": fused(BatchNorm, functools.partial(batch_norm, batch=True)),
    "embedding_shifted": fused(Embedding, lambda call, x, weight: jnp.take(weight, jnp.maximum(x - 1, 0), 0)),
    "embedding_masked": fused(Embedding, masked),
    "padding_trained": fused(Embedding, padding_trained),
    "tanh_detached": Tables({ops.Tanh: lambda x: jnp.tanh(jax.lax.stop_gradient(x))}),
    "add_detached": fused(Add, lambda call, a, b: a + jax.lax.stop_gradient(b)),
    "pool_last": Tables({ops.MaxPool: pool_last}),
    "pool_even": Tables({ops.MaxPool: pool_even}),
    "relu_kink": Tables({ops.Relu: lambda x: jnp.maximum(x, 0)}),
    "leaky_kink": Tables({ops.Greater: jnp.greater_equal}),
    "dropout_unscaled": Tables({ops.Constant: without_scale(LOWERINGS[ops.Constant], 1 / 0.7)}),
}
