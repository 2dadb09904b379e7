"""Normalisation layers that torch has whole; F.local_response_norm is no faster than the body, and float32 only."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.overrides import handle_torch_function, has_torch_function_unary

from netspec.backend import Fused
from netspec.graph.graph import Call
from netspec.layers.normalization import (
    BatchNorm,
    GroupNorm,
    InstanceNorm,
    L2Normalize,
    LayerNorm,
    RMSNorm,
)


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
    shape = _normalized(call, call.layer.dim)
    return NotImplemented if shape is None else F.layer_norm(x, shape, weight, bias, call.layer.eps)


def rms_norm(call: Call, x: Tensor, weight: Tensor | None = None) -> Any:
    assert isinstance(call.layer, RMSNorm)
    shape = _normalized(call, call.layer.dim)
    return NotImplemented if shape is None else F.rms_norm(x, shape, weight, call.layer.eps)


def _normalized(call: Call, dim: int | tuple[int, ...]) -> list[int] | None:
    """The sizes of the axes `dim`, or None where one of them is known to the call alone."""
    shape = call.inputs[0].shape[-1 if isinstance(dim, int) else -len(dim) :]
    return list(shape) if all(isinstance(size, int) for size in shape) else None


def group_norm(call: Call, x: Tensor, weight: Tensor | None = None, bias: Tensor | None = None) -> Tensor:
    """Also for instance_norm, whose groups are channels: F.instance_norm takes three times as long (2.13).

    Not F.group_norm: it refuses one sample with one number in each group, in inference too.
    """
    layer = call.layer
    assert isinstance(layer, GroupNorm | InstanceNorm)
    groups = layer.num_groups if isinstance(layer, GroupNorm) else call.inputs[0].shape[1]
    return torch.group_norm(x, groups, weight, bias, layer.eps)


def l2_normalize(call: Call, x: Tensor) -> Tensor:
    """torch's own derivative of the norm at 0 is 0."""
    layer = call.layer
    assert isinstance(layer, L2Normalize)
    dim: Any = layer.dim  # a tuple too
    return F.normalize(x, 2.0, dim, layer.eps)


NORMALIZATION: Fused = {
    BatchNorm: batch_norm,
    LayerNorm: layer_norm,
    RMSNorm: rms_norm,
    GroupNorm: group_norm,
    InstanceNorm: group_norm,
    L2Normalize: l2_normalize,
}
