"""Layers that torch has whole. Those whose body is one native function already need no entry."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.overrides import handle_torch_function, has_torch_function_unary

from netspec.backend import Fused
from netspec.graph.graph import Call
from netspec.graph.ops import Convolution, TransposedConvolution
from netspec.layers.activation import Gelu, LeakyRelu, Silu, Softmax
from netspec.layers.attention import ScaledDotProductAttention, head_groups
from netspec.layers.convolution import Conv2d, ConvTranspose2d
from netspec.layers.linear import Embedding, Linear
from netspec.layers.normalization import BatchNorm, LayerNorm
from netspec.layers.pooling import AvgPool2d, MaxPool2d
from netspec.layers.regularization import Dropout
from netspec_torch.lowerings import convolution, transposed_convolution
from netspec_torch.recurrent import RECURRENT


def linear(call: Call, x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    assert isinstance(call.layer, Linear)
    return F.linear(x, weight if call.layer.weight_layout == "out_in" else weight.t(), bias)


def conv2d(call: Call, x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    attributes = next(vars(node.op) for node in call.body if isinstance(node.op, Convolution))
    return convolution(x, weight, bias, **attributes)


def conv_transpose2d(call: Call, x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    attributes = next(vars(node.op) for node in call.body if isinstance(node.op, TransposedConvolution))
    return transposed_convolution(x, weight, bias, **attributes)


def max_pool2d(call: Call, x: Tensor) -> Any:
    """The body pads first, as no primitive has `ceil_mode`."""
    layer = call.layer
    assert isinstance(layer, MaxPool2d)
    if not layer.ceil_mode:
        return NotImplemented
    return F.max_pool2d(x, layer.kernel_size, layer.stride, layer.padding, ceil_mode=True)


def avg_pool2d(call: Call, x: Tensor) -> Any:
    """As max_pool2d."""
    layer = call.layer
    assert isinstance(layer, AvgPool2d)
    if not layer.ceil_mode:
        return NotImplemented
    return F.avg_pool2d(x, layer.kernel_size, layer.stride, layer.padding, True, layer.count_include_pad)


def batch_norm(
    call: Call,
    x: Tensor,
    running_mean: Tensor,
    running_var: Tensor,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
) -> Any:
    """The running statistics move in place; torch's momentum is the weight of the new batch."""
    layer = call.layer
    assert isinstance(layer, BatchNorm)
    if not call.updates:
        return normalize_batch(x, running_mean, running_var, weight, bias, False, 0.0, layer.eps)
    momentum = 1 - layer.stats_decay
    if layer.running_var == "unbiased":
        return normalize_batch(x, running_mean, running_var, weight, bias, True, momentum, layer.eps), {}
    # torch's kernel gives momentum times the unbiased variance here: (n - 1) / n of it is the biased one.
    unbiased = torch.zeros_like(running_var)
    y = normalize_batch(x, running_mean, unbiased, weight, bias, True, momentum, layer.eps)
    n = x.numel() // x.size(1)
    running_var.mul_(layer.stats_decay).add_(unbiased * ((n - 1) / n))
    return y, {}


def normalize_batch(
    x: Tensor,
    running_mean: Tensor,
    running_var: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
    training: bool,
    momentum: float,
    eps: float,
) -> Tensor:
    """F.batch_norm, whose gradient on the CPU is wrong where a size is 1 and strides are those of a permute (2.13).

    It takes the input and what flows back for one layout, if one is contiguous and the other channels last but for the
    stride of that axis. Tensors of three axes have one layout alone.
    """
    if has_torch_function_unary(x):
        return handle_torch_function(
            normalize_batch, (x,), x, running_mean, running_var, weight, bias, training, momentum, eps
        )
    if x.dim() > 3 and 1 in x.shape and torch.is_grad_enabled() and not torch.compiler.is_compiling():
        y = F.batch_norm(x.flatten(2), running_mean, running_var, weight, bias, training, momentum, eps)
        return y.unflatten(2, x.shape[2:])
    return F.batch_norm(x, running_mean, running_var, weight, bias, training, momentum, eps)


def layer_norm(call: Call, x: Tensor, weight: Tensor | None = None, bias: Tensor | None = None) -> Any:
    assert isinstance(call.layer, LayerNorm)
    given = call.layer.dim
    axes = 1 if isinstance(given, int) else len(set(given))
    shape = call.inputs[0].shape[-axes:]
    if not all(isinstance(size, int) for size in shape):
        return NotImplemented
    return F.layer_norm(x, shape, weight, bias, call.layer.eps)


def embedding(call: Call, x: Tensor, weight: Tensor) -> Tensor:
    assert isinstance(call.layer, Embedding)
    return F.embedding(x, weight, call.layer.padding_idx)


def attention(
    call: Call, query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None = None, bias: Tensor | None = None
) -> Any:
    layer = call.layer
    assert isinstance(layer, ScaledDotProductAttention)
    if layer.causal and (layer.causal_offset or mask is not None or bias is not None):
        return NotImplemented  # torch has causal, from the top left, or a mask
    if bias is not None and mask is not None:
        bias = torch.where(mask, bias, -math.inf)
    return F.scaled_dot_product_attention(
        query,
        key,
        value,
        attn_mask=mask if bias is None else bias,
        is_causal=layer.causal,
        scale=layer.scale,
        enable_gqa=head_groups(call.inputs[0].shape, call.inputs[1].shape) > 1,
    )


FUSED: Fused = {
    Linear: linear,
    Embedding: embedding,
    Conv2d: conv2d,
    ConvTranspose2d: conv_transpose2d,
    MaxPool2d: max_pool2d,
    AvgPool2d: avg_pool2d,
    BatchNorm: batch_norm,
    LayerNorm: layer_norm,
    Dropout: lambda call, x: torch.dropout(x, call.layer.p, True) if call.body else x,
    LeakyRelu: lambda call, x: F.leaky_relu(x, call.layer.negative_slope),
    Gelu: lambda call, x: F.gelu(x),
    Silu: lambda call, x: F.silu(x),
    Softmax: lambda call, x: torch.softmax(x, call.layer.dim),
    ScaledDotProductAttention: attention,
    **RECURRENT,
}
