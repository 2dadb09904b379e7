"""Mistakes in torch's tables."""

from __future__ import annotations

import operator
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from netspec.graph import ops
from netspec.graph.ops.products import Convolution
from netspec.layers.activation import Gelu, LeakyRelu, Softmax
from netspec.layers.convolution import Conv1d, Conv2d, Conv3d
from netspec.layers.linear import Embedding, Linear
from netspec.layers.normalization import BatchNorm, LayerNorm
from netspec.layers.tensor import Add, Flatten
from netspec_torch.fused import FUSED
from netspec_torch.lowerings import LOWERINGS, convolution

from .shared import shared_mistakes
from .tables import Tables, body, fused, without_scale
from .torch_forms import FORM_MISTAKES


def linear_transposed(call: Any, x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    return F.linear(x, weight.t() if call.inputs[0].shape[-1] == call.layer.out_features else weight, bias)


def linear_single(call: Any, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Right but for its precision: the product is taken in float32."""
    return F.linear(x.float(), weight.float(), bias.float()).to(torch.float64)


def layer_norm_single(call: Any, x: Tensor) -> Tensor:
    """Without weight and bias, over the last axis; right but for its precision."""
    return F.layer_norm(x.float(), x.shape[-1:], eps=call.layer.eps).to(torch.float64)


def conv_without_bias(call: Any, x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    attributes = next(vars(node.op) for node in call.body if isinstance(node.op, Convolution))
    return convolution(x, weight, None if call.layer.groups > 1 else bias, **attributes)


def kernel_flipped(call: Any, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """The mathematician's convolution."""
    attributes = next(vars(node.op) for node in call.body if isinstance(node.op, Convolution))
    return convolution(x, torch.flip(weight, (2, 3)), bias, **attributes)


def batch_norm(
    call: Any,
    x: Tensor,
    running_mean: Tensor,
    running_var: Tensor,
    weight: Tensor,
    bias: Tensor,
    *,
    eps: float | None = None,
    momentum: float | None = None,
    batch: bool = False,
) -> Any:
    layer = call.layer
    training = bool(call.updates) or batch
    momentum = 1 - layer.stats_decay if momentum is None else momentum
    y = F.batch_norm(x, running_mean, running_var, weight, bias, training, momentum, eps or layer.eps)
    return (y, {}) if call.updates else y


def batch_norm_reversed(call: Any, *given: Tensor, **state: Tensor) -> Any:
    return batch_norm(call, *given, **state, momentum=call.layer.stats_decay)  # type: ignore[arg-type]


def batch_norm_biased(call: Any, *given: Tensor, **state: Tensor) -> Any:
    if not call.updates:
        return NotImplemented
    copy = type("Call", (), {"layer": call.layer.model_copy(update={"running_var": "biased"}), "updates": True})
    return FUSED[BatchNorm](copy, *given, **state)


def frozen_moves(
    call: Any, x: Tensor, running_mean: Tensor, running_var: Tensor, *given: Tensor, **more: Tensor
) -> Any:
    """The output is right; the statistics of a frozen layer move behind it."""
    if call.updates:
        return batch_norm(call, x, running_mean, running_var, *given, **more)  # type: ignore[arg-type]
    y = batch_norm(call, x, running_mean.clone(), running_var, *given, **more)  # type: ignore[arg-type]
    running_mean.mul_(0.9)
    return y


def pool_last(x: Tensor, **attributes: Any) -> Tensor:
    """Of equals the last wins: seen from the other end the first is the last."""
    return torch.flip(LOWERINGS[ops.MaxPool](torch.flip(x, (2, 3)), **attributes), (2, 3))


def pool_even(x: Tensor, **attributes: Any) -> Tensor:
    """Equals share the gradient."""
    return torch.amax(x.unflatten(3, (-1, 2)).unflatten(2, (-1, 2)), (3, 5))


def masked(call: Any, x: Tensor, weight: Tensor) -> Tensor:
    return F.embedding(x, weight) * (x != call.layer.padding_idx).unsqueeze(-1)


def softmax_naive(call: Any, x: Tensor) -> Tensor:
    e = torch.exp(x)
    return e / torch.sum(e, call.layer.dim, True)


MISTAKES: dict[str, Tables] = (
    shared_mistakes(LOWERINGS)
    | FORM_MISTAKES
    | {
        "gelu_tanh": fused(Gelu, lambda call, x: F.gelu(x, approximate="tanh")),
        "leaky_slope": fused(LeakyRelu, lambda call, x: F.leaky_relu(x, 0.2)),
        "softmax_axis": fused(Softmax, lambda call, x: torch.softmax(x, -1)),
        "softmax_naive": fused(Softmax, softmax_naive),
        "flatten_channels_last": fused(Flatten, lambda call, x: torch.flatten(x.permute(0, 2, 3, 1), 1)),
        "linear_transposed": fused(Linear, linear_transposed),
        "linear_single": fused(Linear, linear_single),
        "linear_without_bias": fused(Linear, lambda call, x, weight, bias: F.linear(x, weight)),
        "conv_without_bias": Tables(fused=dict.fromkeys((Conv1d, Conv2d, Conv3d), conv_without_bias)),
        "kernel_flipped": fused(Conv2d, kernel_flipped),
        "layer_norm_eps": fused(LayerNorm, lambda call, x, weight, bias: F.layer_norm(x, (4,), weight, bias, 1e-3)),
        "layer_norm_single": fused(LayerNorm, layer_norm_single),
        "batch_norm_eps": fused(BatchNorm, lambda *given, **state: batch_norm(*given, **state, eps=1e-3)),
        "batch_norm_reversed": fused(BatchNorm, batch_norm_reversed),
        "batch_norm_biased": fused(BatchNorm, batch_norm_biased),
        "frozen_uses_batch": fused(BatchNorm, lambda *given, **state: batch_norm(*given, **state, batch=True)),
        "frozen_moves": fused(BatchNorm, frozen_moves),
        "embedding_shifted": fused(Embedding, lambda call, x, weight: F.embedding(torch.clamp(x - 1, min=0), weight)),
        "embedding_masked": fused(Embedding, masked),
        "padding_trained": fused(Embedding, lambda call, x, weight: F.embedding(x, weight)),
        "concat_reversed": Tables({ops.Concat: lambda *xs, axis: torch.cat(xs[::-1], axis)}),
        "tanh_detached": Tables({ops.Tanh: lambda x: torch.tanh(x.detach())}),
        "tanh_twice": Tables({ops.Tanh: lambda x: 2 * torch.tanh(x) - torch.tanh(x).detach()}),
        "add_detached": fused(Add, lambda call, a, b: a + b.detach()),
        "pool_last": Tables({ops.MaxPool: pool_last}),
        "pool_even": Tables({ops.MaxPool: pool_even}),
        "relu_kink": Tables({ops.Relu: lambda x: torch.clamp(x, min=0)}),
        "leaky_kink": Tables({ops.Greater: operator.ge}, {LeakyRelu: body}),
        "dropout_unscaled": Tables({ops.Constant: without_scale(LOWERINGS[ops.Constant], 1 / 0.7)}),
    }
)
