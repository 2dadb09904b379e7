"""Mistakes in torch's forms of whole layers, and in its lowerings of what moves and picks."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from netspec.graph import ops
from netspec.layers import activation
from netspec.layers.attention import ScaledDotProductAttention
from netspec.layers.base import per_axis
from netspec.layers.convolution import Conv1d, Conv2d, Conv3d
from netspec.layers.interpolation import Interpolate
from netspec.layers.normalization import GroupNorm, L2Normalize, RMSNorm
from netspec.layers.recurrent import Gru, Lstm, Rnn
from netspec.layers.reductions import Var
from netspec.layers.turns import ChannelShuffle, Roll
from netspec_torch.fused import FUSED, conv
from netspec_torch.lowerings import LOWERINGS

from .configured import with_fields
from .tables import Tables, fused

CONVOLUTIONS = (Conv1d, Conv2d, Conv3d)


def kernel_transposed(call: Any, x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """Height and width of a square kernel are taken for each other."""
    high, wide = per_axis(call.layer.kernel_size, 2)
    return conv(call, x, weight.transpose(2, 3) if high == wide else weight, bias)


def groups_interleaved(call: Any, x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """The first channel of each group, then the second of each."""
    y = conv(call, x, weight)
    y = y.unflatten(1, (call.layer.groups, -1)).transpose(1, 2).flatten(1, 2)
    return y if bias is None else y + bias.reshape(-1, *[1] * (call.layer.spatial))


def group_norm_per_group(call: Any, x: Tensor, weight: Tensor | None = None, bias: Tensor | None = None) -> Tensor:
    """One scale for each group: that of its first channel."""
    groups = call.layer.num_groups
    if weight is not None:
        weight = weight.unflatten(0, (groups, -1))[:, :1].expand(groups, weight.shape[0] // groups).flatten()
    return F.group_norm(x, groups, weight, bias, call.layer.eps)


def rms_eps_outside(call: Any, x: Tensor, weight: Tensor | None = None) -> Any:
    """`x / (sqrt(mean) + eps)`."""
    dim = call.layer.dim
    axes = (dim,) if isinstance(dim, int) else dim
    y = x / (torch.sqrt(torch.mean(x * x, axes, True)) + call.layer.eps)
    return y if weight is None else y * weight


def mask_inverted(call: Any, query: Tensor, key: Tensor, value: Tensor, **more: Tensor) -> Any:
    """True hides, as in torch.nn.MultiheadAttention."""
    if "mask" in more:
        more["mask"] = torch.logical_not(more["mask"])
    return FUSED[ScaledDotProductAttention](call, query, key, value, **more)


def causal_at_the_end(call: Any) -> dict[str, Any]:
    """The last query sees the last key, whatever their numbers."""
    queries, keys = (call.inputs[place].shape[-2] for place in (0, 1))
    known = isinstance(queries, int) and isinstance(keys, int)
    return {"causal_offset": call.layer.causal_offset + (keys - queries if known else 0)}


def max_first(x: Tensor, *, axes: tuple[int, ...], keepdims: bool) -> Tensor:
    """Of equals one gets the gradient."""
    for axis in sorted(axes, reverse=True):
        x = torch.max(x, axis, keepdims)[0]
    return x


def argmax_last(x: Tensor, *, axes: tuple[int, ...], keepdims: bool) -> Tensor:
    return x.size(axes[0]) - 1 - torch.argmax(torch.flip(x, axes), axes[0], keepdims)


def top_k_reversed(x: Tensor, *, k: int, axis: int) -> Any:
    values, indices = LOWERINGS[ops.TopK](x, k=k, axis=axis)
    return torch.flip(values, (axis,)), torch.flip(indices, (axis,))


def top_k_last(x: Tensor, *, k: int, axis: int) -> Any:
    """Of equals the last ones are taken."""
    last = x.size(axis) - 1
    values, indices = LOWERINGS[ops.TopK](torch.flip(x, (axis,)), k=k, axis=axis)
    return values, last - indices


def max_pool_of_zeros(x: Tensor, *, padding: Any, **attributes: Any) -> Tensor:
    """Padding counts as 0."""
    padded = F.pad(x, [side for pair in reversed(padding) for side in pair])
    return LOWERINGS[ops.MaxPool](padded, padding=tuple((0, 0) for _ in padding), **attributes)


def other_way(call: Any) -> dict[str, Any]:
    shifts = call.layer.shifts
    return {"shifts": -shifts if isinstance(shifts, int) else tuple(-each for each in shifts)}


def without_second_bias(call: Any, x: Tensor, **given: Tensor) -> Any:
    """Zeros for `bias_hh`."""
    return FUSED[Lstm](call, x, **{name: w * 0 if name.startswith("bias_hh") else w for name, w in given.items()})


def forwards(call: Any, x: Tensor, **given: Tensor) -> Any:
    """`reverse` is not read."""
    return FUSED[type(call.layer)](replace(call, layer=call.layer.model_copy(update={"reverse": False})), x, **given)


def scan_stacks_backwards(*inputs: Any, stack_axes: tuple[int, ...], carried: int, **parts: Any) -> Any:
    results = LOWERINGS[ops.Scan](*inputs, stack_axes=stack_axes, carried=carried, **parts)
    stacks = (torch.flip(y, (axis,)) for y, axis in zip(results[carried:], stack_axes, strict=True))
    return (*results[:carried], *stacks)


FORM_MISTAKES: dict[str, Tables] = {
    "kernel_transposed": fused(Conv2d, kernel_transposed),
    "groups_interleaved": Tables(fused=dict.fromkeys(CONVOLUTIONS, groups_interleaved)),
    "group_norm_per_group": fused(GroupNorm, group_norm_per_group),
    "group_norm_eps": with_fields(FUSED, GroupNorm, eps=1e-2),
    "rms_eps_outside": fused(RMSNorm, rms_eps_outside),
    "l2_eps": with_fields(FUSED, L2Normalize, eps=1e-12),
    "attention_unscaled": with_fields(FUSED, ScaledDotProductAttention, scale=1.0),
    "causal_at_the_end": with_fields(FUSED, ScaledDotProductAttention, causal_at_the_end),
    "mask_inverted": fused(ScaledDotProductAttention, mask_inverted),
    "prelu_shared": fused(activation.PRelu, lambda call, x, weight: F.prelu(x, weight[:1])),
    "elu_alpha": with_fields(FUSED, activation.Elu, alpha=1.0),
    "celu_alpha": with_fields(FUSED, activation.Celu, alpha=1.0),
    "hardsigmoid_slope": fused(activation.HardSigmoid, lambda call, x: torch.clamp(0.2 * x + 0.5, 0, 1)),
    "hardtanh_kink": fused(activation.HardTanh, lambda call, x: torch.clamp(x, call.layer.min_val, call.layer.max_val)),
    "log_softmax_axis": with_fields(FUSED, activation.LogSoftmax, dim=-1),
    "lstm_without_bias": fused(Lstm, without_second_bias),
    "reverse_ignored": Tables(fused=dict.fromkeys((Rnn, Lstm, Gru), forwards)),
    "roll_sign": with_fields(FUSED, Roll, other_way),
    "channel_shuffle_inverse": fused(
        ChannelShuffle, lambda call, x: F.channel_shuffle(x, call.inputs[0].shape[1] // call.layer.groups)
    ),
    "interpolate_coords": with_fields(FUSED, Interpolate, coords="align_corners"),
    "var_ddof": with_fields(FUSED, Var, ddof=1),
    "cumsum_exclusive": Tables({ops.Cumsum: lambda x, *, axis: torch.cumsum(x, axis) - x}),
    "argmax_last": Tables({ops.ArgMax: argmax_last}),
    "top_k_reversed": Tables({ops.TopK: top_k_reversed}),
    "top_k_last": Tables({ops.TopK: top_k_last}),
    "max_first": Tables({ops.Max: max_first}),
    "max_pool_of_zeros": Tables({ops.MaxPool: max_pool_of_zeros}),
    "stop_gradient_ignored": Tables({ops.StopGradient: lambda x: x}),
    "scan_stacks_backwards": Tables({ops.Scan: scan_stacks_backwards}),
}
