"""One native function for each primitive. They work on tensors and on the proxies of torch.fx alike."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.overrides import handle_torch_function, has_torch_function_unary

from netspec.backend import Lowerings
from netspec.graph import ops
from netspec.graph.ops.einsum import pairwise
from netspec.graph.ops.products import Pairs, SamePadding, window_size
from netspec_torch import recorded
from netspec_torch.arithmetic import ARITHMETIC
from netspec_torch.movement import MOVEMENT
from netspec_torch.waves import sin_cos

_CONVOLUTIONS = {1: torch.conv1d, 2: torch.conv2d, 3: torch.conv3d}
_TRANSPOSED_CONVOLUTIONS = {1: torch.conv_transpose1d, 2: torch.conv_transpose2d, 3: torch.conv_transpose3d}


def average_pool_of_volumes(x: Tensor, *window: Any) -> Tensor:
    """F.avg_pool3d, which has no kernel of 16 bits on the CPU: there the means are taken in float32.

    It also refuses a kernel above the size of x, however much padding there is: then the padding becomes a part of x.
    """
    if has_torch_function_unary(x):
        return handle_torch_function(average_pool_of_volumes, (x,), x, *window)
    wide = x.element_size() > 2 or x.device.type != "cpu"
    y = x if wide else x.float()
    kernel = window[0]
    if any(size < k for size, k in zip(x.shape[2:], kernel, strict=True)):
        return _average_of_padded(y, *window).to(x.dtype)
    return F.avg_pool3d(y, *window).to(x.dtype)


def _average_of_padded(
    x: Tensor,
    kernel: tuple[int, ...],
    stride: tuple[int, ...],
    sides: tuple[int, ...] = (0, 0, 0),
    ceil_mode: bool = False,
    count_include_pad: bool = True,
) -> Tensor:
    assert not ceil_mode  # its last windows may reach beyond the padding: the body knows how
    pairs = [(side, side) for side in sides]
    y = F.avg_pool3d(_pad_all(x, pairs, 0.0), kernel, stride)
    return y if count_include_pad else y / F.avg_pool3d(_pad_all(torch.ones_like(x), pairs, 0.0), kernel, stride)


_MAX_POOLS = {1: torch.max_pool1d, 2: torch.max_pool2d, 3: torch.max_pool3d}
AVERAGE_POOLS: dict[int, Callable[..., Tensor]] = {1: F.avg_pool1d, 2: F.avg_pool2d, 3: average_pool_of_volumes}
_ADAPTIVE_AVERAGE_POOLS: dict[int, Callable[..., Tensor]] = {
    1: F.adaptive_avg_pool1d,
    2: F.adaptive_avg_pool2d,
    3: F.adaptive_avg_pool3d,
}
_ADAPTIVE_MAX_POOLS: dict[int, Callable[..., Tensor]] = {
    1: F.adaptive_max_pool1d,
    2: F.adaptive_max_pool2d,
    3: F.adaptive_max_pool3d,
}


def constant(*, value: float, dtype: str) -> float:
    """A Python number: torch gives it the dtype of the tensor on the other side."""
    return value


def bernoulli(x: Tensor, *, keep: float) -> Tensor:
    return torch.bernoulli(torch.full_like(x, keep))


def element_count(x: Tensor, *, axes: Sequence[int]) -> int:
    return math.prod(x.size(axis) for axis in axes)


def number_like(x: Tensor, *, value: float) -> Tensor:
    return x.new_full((), value)


def positions(x: Tensor, *, axis: int) -> Tensor:
    """On the device of x. One function in the text of the module, as torch.arange takes no proxy."""
    if has_torch_function_unary(x):
        return handle_torch_function(positions, (x,), x, axis=axis)
    return torch.arange(x.size(axis), device=x.device)


def convolution(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    *,
    stride: tuple[int, ...],
    padding: Pairs | SamePadding,
    dilation: tuple[int, ...],
    groups: int,
    channels_last: bool = False,
) -> Tensor:
    """Equal padding on both sides is the convolution's own; any other is added in front of it."""
    assert not channels_last
    if isinstance(padding, str):
        x = pad_same(x, weight, stride, dilation, padding == "same_lower")
        sides = (0,) * len(stride)
    else:
        x, sides = _pad(x, padding, 0.0)
    return _CONVOLUTIONS[len(stride)](x, weight, bias, stride, sides, dilation, groups)


def pad_same(x: Tensor, weight: Tensor, stride: Sequence[int], dilation: Sequence[int], lower: bool) -> Tensor:
    """Zeros for the padding `same` of sizes that only the call knows: the rule of netspec's `same_pairs`."""
    if has_torch_function_unary(x):
        return handle_torch_function(pad_same, (x,), x, weight, stride, dilation, lower)
    amounts: list[int] = []
    for axis in reversed(range(len(stride))):
        size, window = x.size(axis + 2), window_size(weight.size(axis + 2), dilation[axis])
        count = (size + stride[axis] - 1) // stride[axis]
        total = torch.sym_max((count - 1) * stride[axis] + window - size, 0)
        half = total // 2
        amounts += [total - half, half] if lower else [half, total - half]
    return F.pad(x, amounts)


def transposed_convolution(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    *,
    stride: tuple[int, ...],
    padding: Pairs,
    dilation: tuple[int, ...],
    groups: int,
    channels_last: bool = False,
) -> Tensor:
    """torch's own padding and output padding where they say the same; what they leave is cut off behind it."""
    assert not channels_last
    limits = [max(s, d) for s, d in zip(stride, dilation, strict=True)]
    sides, added, rest = zip(*map(_transposed_padding, padding, limits), strict=True)
    y = _TRANSPOSED_CONVOLUTIONS[len(stride)](x, weight, bias, stride, sides, added, groups, dilation)
    if not any(map(any, rest)):
        return y
    return y[(slice(None), slice(None), *(slice(begin, -end or None) for begin, end in rest))]


def _transposed_padding(crop: tuple[int, int], limit: int) -> tuple[int, int, tuple[int, int]]:
    """torch's padding and output padding (below `limit`) for a crop, and the crop that they leave."""
    begin, end = crop
    if begin <= end:
        return begin, 0, (0, end - begin)
    if begin - end < limit:
        return begin, begin - end, (0, 0)
    side = max(end, 0)
    return side, side - end, (begin - side, 0)


def max_pool(
    x: Tensor, *, kernel_size: tuple[int, ...], stride: tuple[int, ...], padding: Pairs, channels_last: bool = False
) -> Tensor:
    assert not channels_last
    x, sides = _pad(x, padding, -math.inf)
    return _MAX_POOLS[len(stride)](x, kernel_size, stride, sides)


def average_pool(
    x: Tensor,
    *,
    kernel_size: tuple[int, ...],
    stride: tuple[int, ...],
    padding: Pairs,
    uncounted: tuple[int, ...],
    count_include_pad: bool,
    channels_last: bool = False,
) -> Tensor:
    assert not channels_last
    pool = AVERAGE_POOLS[len(stride)]
    if count_include_pad and any(uncounted):  # what counts becomes a part of x
        x = _pad_all(x, [(begin, end - less) for (begin, end), less in zip(padding, uncounted, strict=True)], 0.0)
        padding, count_include_pad = tuple((0, less) for less in uncounted), False
    padded, sides = _pad(x, padding, 0.0)
    y = pool(padded, kernel_size, stride, sides, False, count_include_pad)
    if count_include_pad or any(sides) or not any(map(any, padding)):
        return y
    inside, _ = _pad(torch.ones_like(x), padding, 0.0)
    return y / pool(inside, kernel_size, stride)


def adaptive_average_pool(
    x: Tensor, *, input_size: tuple[int, ...], output_size: tuple[int, ...], channels_last: bool = False
) -> Tensor:
    assert not channels_last
    return _ADAPTIVE_AVERAGE_POOLS[len(output_size)](x, output_size)


def adaptive_max_pool(
    x: Tensor, *, input_size: tuple[int | None, ...], output_size: tuple[int, ...], channels_last: bool = False
) -> Tensor:
    assert not channels_last
    return _ADAPTIVE_MAX_POOLS[len(output_size)](x, output_size)


def _pad(x: Tensor, padding: Pairs, value: float) -> tuple[Tensor, tuple[int, ...]]:
    """`x`, padded where a pair is uneven, and the sides that are left for the window's own padding."""
    if all(begin == end for begin, end in padding):
        return x, tuple(begin for begin, _ in padding)
    return _pad_all(x, padding, value), (0,) * len(padding)


def _pad_all(x: Tensor, padding: Sequence[tuple[int, int]], value: float) -> Tensor:
    """`x` inside a border of `value`; torch takes the last dimension first."""
    return F.pad(x, [side for pair in reversed(padding) for side in pair], value=value)


def _choice(function: Callable[[Tensor, Tensor], Tensor], a: Any, b: Any) -> Tensor:
    """torch.maximum or torch.minimum, which take tensors alone and halve the gradient of ties as clamp does not."""
    if isinstance(a, (int, float)):
        a = number_like(b, value=a)
    elif isinstance(b, (int, float)):
        b = number_like(a, value=b)
    return function(a, b)


def _sum(x: Tensor, *, axes: tuple[int, ...], keepdims: bool) -> Tensor:
    return torch.sum(x, axes, keepdims)


def _mean(x: Tensor, *, axes: tuple[int, ...], keepdims: bool) -> Tensor:
    return torch.mean(x, axes, keepdims)


def _max(x: Tensor, *, axes: tuple[int, ...], keepdims: bool) -> Tensor:
    # Of torch's maxima amax is the one that splits its gradient evenly among equals.
    return torch.amax(x, axes, keepdims)


def _reshape(x: Tensor, *, shape: tuple[Any, ...]) -> Tensor:
    return torch.reshape(x, shape)


def _permute(x: Tensor, *, axes: tuple[int, ...]) -> Tensor:
    return torch.permute(x, axes)


def _concat(*xs: Tensor, axis: int) -> Tensor:
    return torch.cat(xs, axis)


def _expand(x: Tensor, *, shape: tuple[Any, ...]) -> Tensor:
    return torch.broadcast_to(x, shape)


def _select(x: Tensor, *, axis: int, index: int) -> Tensor:
    return torch.select(x, axis, index)


def array(*, values: tuple[Any, ...], shape: tuple[int, ...], dtype: str) -> Tensor:
    """Always a tensor, never a proxy: the module holds it. Floats have 64 bits until the model gives them its type."""
    return torch.tensor(values, dtype=torch.float64 if dtype == "float" else getattr(torch, dtype)).reshape(shape)


def arange(*, start: int, end: int, step: int, dtype: str = "int64", like: Tensor) -> Tensor:
    """On the device of `like`, which is bound while a graph is recorded."""
    bounds: tuple[Any, ...] = (start, end, step)
    if has_torch_function_unary(like):  # torch.arange itself sees no proxy among its numbers
        return handle_torch_function(torch.arange, (like,), *bounds, device=like.device)  # type: ignore[arg-type]
    return torch.arange(*bounds, device=like.device)


def einsum(*xs: Tensor, equation: str) -> Tensor:
    """Two operands at a time: for more torch looks for a path, and torch.export then takes all sizes for fixed."""
    if len(xs) == 1:
        return torch.einsum(equation, *xs)
    y, *others = xs
    for step, x in zip(pairwise(equation), others, strict=True):
        y = torch.einsum(step, y, x)
    return y


def one_hot(x: Tensor, *, size: int) -> Tensor:
    return torch.eq(torch.unsqueeze(x, -1), arange(start=0, end=size, step=1, like=x))


def sequence_mask(x: Tensor, *, size: int) -> Tensor:
    return torch.gt(torch.unsqueeze(x, -1), arange(start=0, end=size, step=1, like=x))


def top_k(x: Tensor, *, k: int, axis: int) -> tuple[Tensor, Tensor]:
    """A stable sort, cut: torch.topk takes any of equals."""
    ordered = torch.sort(x, stable=True, dim=axis, descending=True)
    return torch.narrow(ordered[0], axis, 0, k), torch.narrow(ordered[1], axis, 0, k)


LOWERINGS: Lowerings = {
    **ARITHMETIC,
    ops.Constant: constant,
    ops.Exp: torch.exp,
    ops.Log: torch.log,
    ops.Expm1: torch.expm1,
    ops.Log1p: torch.log1p,
    ops.Sin: torch.sin,
    ops.Cos: torch.cos,
    ops.Sqrt: torch.sqrt,
    ops.Rsqrt: torch.rsqrt,
    ops.Tanh: torch.tanh,
    ops.Sigmoid: torch.sigmoid,
    ops.Erf: torch.erf,
    ops.Relu: torch.relu,
    ops.Abs: torch.abs,
    ops.StopGradient: torch.detach,
    # Operators, not torch.add and its like, since either side may be a Python number.
    ops.Add: operator.add,
    ops.Sub: operator.sub,
    ops.Mul: operator.mul,
    ops.Div: operator.truediv,
    ops.Maximum: partial(_choice, torch.maximum),
    ops.Minimum: partial(_choice, torch.minimum),
    ops.Greater: operator.gt,
    ops.Equal: operator.eq,
    ops.And: torch.logical_and,
    ops.Or: torch.logical_or,
    ops.Not: torch.logical_not,
    ops.Where: torch.where,
    ops.Bernoulli: bernoulli,
    ops.Array: array,
    ops.Arange: arange,
    ops.Expand: _expand,
    ops.Matmul: torch.matmul,
    ops.Einsum: einsum,
    ops.Convolution: convolution,
    ops.TransposedConvolution: transposed_convolution,
    ops.MaxPool: max_pool,
    ops.AveragePool: average_pool,
    ops.AdaptiveAveragePool: adaptive_average_pool,
    ops.AdaptiveMaxPool: adaptive_max_pool,
    ops.Sum: _sum,
    ops.Mean: _mean,
    ops.Max: _max,
    ops.ElementCount: element_count,
    ops.NumberLike: number_like,
    ops.Positions: positions,
    ops.SinCos: sin_cos,
    ops.Reshape: _reshape,
    ops.Permute: _permute,
    ops.Concat: _concat,
    **MOVEMENT,
    ops.Select: _select,
    ops.TopK: top_k,
    ops.OneHot: one_hot,
    ops.SequenceMask: sequence_mask,
    # They get the tape first that the others need not see.
    ops.Scan: recorded.scan,
    ops.While: recorded.while_loop,
    ops.Cond: recorded.cond,
    ops.CustomGradient: recorded.custom_gradient,
}
