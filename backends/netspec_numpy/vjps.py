"""The derivative of every primitive: `VJPS` maps each to its vector-Jacobian product.

A product takes the cotangents of the outputs (arrays, in order), the inputs and the outputs, and the attributes as
keywords. It returns for each input the cotangent, of the input's shape, or None where none flows: integers, flags,
`StopGradient`. Results may share memory with what was given, so that nobody may write into them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from netspec.graph import ops
from netspec_numpy import control, indexing
from netspec_numpy.arithmetic import ARITHMETIC_VJPS, over, unbroadcast
from netspec_numpy.bins import adaptive_average_pool_vjp, adaptive_max_pool_vjp
from netspec_numpy.convolution import convolution_vjp, transposed_convolution_vjp
from netspec_numpy.movement import MOVEMENT_VJPS
from netspec_numpy.pooling import average_pool_vjp, max_pool_vjp
from netspec_numpy.windows import Array

Arrays = Sequence[Array]
Cotangents = tuple[Array | None, ...]


def _constant(dys: Arrays, xs: Arrays, ys: Arrays, value: float, dtype: str) -> Cotangents:
    return ()


def _array(dys: Arrays, xs: Arrays, ys: Arrays, **attributes: Any) -> Cotangents:
    return ()


def _expand(dys: Arrays, xs: Arrays, ys: Arrays, shape: tuple[int, ...]) -> Cotangents:
    return (unbroadcast(dys[0], xs[0].shape),)


def _exp(dys: Arrays, xs: Arrays, ys: Arrays) -> Cotangents:
    return (dys[0] * ys[0],)


def _log(dys: Arrays, xs: Arrays, ys: Arrays) -> Cotangents:
    return (dys[0] / xs[0],)


def _expm1(dys: Arrays, xs: Arrays, ys: Arrays) -> Cotangents:
    """y' = e^x = y + 1."""
    return (dys[0] * (ys[0] + 1),)


def _log1p(dys: Arrays, xs: Arrays, ys: Arrays) -> Cotangents:
    return (dys[0] / (1 + xs[0]),)


def _sin(dys: Arrays, xs: Arrays, ys: Arrays) -> Cotangents:
    return (dys[0] * np.cos(xs[0]),)


def _cos(dys: Arrays, xs: Arrays, ys: Arrays) -> Cotangents:
    return (-dys[0] * np.sin(xs[0]),)


def _sqrt(dys: Arrays, xs: Arrays, ys: Arrays) -> Cotangents:
    """y' = 1 / (2 y)."""
    return (0.5 * dys[0] / ys[0],)


def _rsqrt(dys: Arrays, xs: Arrays, ys: Arrays) -> Cotangents:
    """y' = -1/2 x^(-3/2) = -y^3 / 2."""
    (y,) = ys
    return (-0.5 * dys[0] * (y * y * y),)


def _tanh(dys: Arrays, xs: Arrays, ys: Arrays) -> Cotangents:
    """y' = 1 - y^2."""
    (y,) = ys
    return (dys[0] * ((1 - y) * (1 + y)),)


def _sigmoid(dys: Arrays, xs: Arrays, ys: Arrays) -> Cotangents:
    """y' = y (1 - y)."""
    (y,) = ys
    return (dys[0] * (y * (1 - y)),)


def _erf(dys: Arrays, xs: Arrays, ys: Arrays) -> Cotangents:
    """y' = 2 / sqrt(pi) e^(-x^2)."""
    (x,) = xs
    return (dys[0] * (2 / math.sqrt(math.pi) * np.exp(-x * x)),)


def _relu(dys: Arrays, xs: Arrays, ys: Arrays) -> Cotangents:
    return (np.where(xs[0] > 0, dys[0], 0),)


def _abs(dys: Arrays, xs: Arrays, ys: Arrays) -> Cotangents:
    """y' = sign(x), 0 at 0."""
    return (dys[0] * np.sign(xs[0]),)


def _stop_gradient(dys: Arrays, xs: Arrays, ys: Arrays) -> Cotangents:
    return (None,)


def _add(dys: Arrays, xs: Arrays, ys: Arrays) -> Cotangents:
    (dy,), (a, b) = dys, xs
    return unbroadcast(dy, a.shape), unbroadcast(dy, b.shape)


def _sub(dys: Arrays, xs: Arrays, ys: Arrays) -> Cotangents:
    (dy,), (a, b) = dys, xs
    return unbroadcast(dy, a.shape), unbroadcast(-dy, b.shape)


def _mul(dys: Arrays, xs: Arrays, ys: Arrays) -> Cotangents:
    (dy,), (a, b) = dys, xs
    return unbroadcast(dy * b, a.shape), unbroadcast(dy * a, b.shape)


def _div(dys: Arrays, xs: Arrays, ys: Arrays) -> Cotangents:
    """da = dy / b, db = -dy a / b^2."""
    (dy,), (a, b), (y,) = dys, xs, ys
    da = dy / b
    return unbroadcast(da, a.shape), unbroadcast(-da * y, b.shape)


def _choice(dys: Arrays, xs: Arrays, ys: Arrays) -> Cotangents:
    """Of maximum and minimum: all to the one that was taken, half to each of two equals."""
    (dy,), (a, b), (y,) = dys, xs, ys
    from_a, from_b = y == a, y == b
    share = np.where(from_a & from_b, 0.5 * dy, dy)
    return unbroadcast(np.where(from_a, share, 0), a.shape), unbroadcast(np.where(from_b, share, 0), b.shape)


def _where(dys: Arrays, xs: Arrays, ys: Arrays) -> Cotangents:
    (dy,), (condition, a, b) = dys, xs
    da, db = np.where(condition, dy, 0), np.where(condition, 0, dy)
    return None, unbroadcast(da, a.shape), unbroadcast(db, b.shape)


def _matmul(dys: Arrays, xs: Arrays, ys: Arrays) -> Cotangents:
    """da = dy b^T, db = a^T dy."""
    (dy,), (a, b) = dys, xs
    da = unbroadcast(dy @ b.swapaxes(-1, -2), a.shape)
    if b.ndim == 2:
        # One product over all leading axes: a product for each, summed, would hold the weight once for each sample.
        return da, a.reshape(-1, a.shape[-1]).T @ dy.reshape(-1, dy.shape[-1])
    return da, unbroadcast(a.swapaxes(-1, -2) @ dy, b.shape)


def _einsum(dys: Arrays, xs: Arrays, ys: Arrays, equation: str) -> Cotangents:
    return indexing.einsum_vjp(dys[0], xs, equation)


def _convolution(dys: Arrays, xs: Arrays, ys: Arrays, **attributes: Any) -> Cotangents:
    (dy,), (x, weight) = dys, xs
    return convolution_vjp(dy, x, weight, **attributes)


def _transposed_convolution(dys: Arrays, xs: Arrays, ys: Arrays, **attributes: Any) -> Cotangents:
    (dy,), (x, weight) = dys, xs
    return transposed_convolution_vjp(dy, x, weight, **attributes)


def _max_pool(dys: Arrays, xs: Arrays, ys: Arrays, **attributes: Any) -> Cotangents:
    return (max_pool_vjp(dys[0], xs[0], **attributes),)


def _average_pool(dys: Arrays, xs: Arrays, ys: Arrays, **attributes: Any) -> Cotangents:
    return (average_pool_vjp(dys[0], xs[0], **attributes),)


def _adaptive_average_pool(dys: Arrays, xs: Arrays, ys: Arrays, **attributes: Any) -> Cotangents:
    return (adaptive_average_pool_vjp(dys[0], **attributes),)


def _adaptive_max_pool(dys: Arrays, xs: Arrays, ys: Arrays, **attributes: Any) -> Cotangents:
    return (adaptive_max_pool_vjp(dys[0], xs[0], **attributes),)


def _sum(dys: Arrays, xs: Arrays, ys: Arrays, axes: tuple[int, ...], keepdims: bool) -> Cotangents:
    (dy,), (x,) = dys, xs
    return (np.broadcast_to(over(dy, x, axes), x.shape),)


def _mean(dys: Arrays, xs: Arrays, ys: Arrays, axes: tuple[int, ...], keepdims: bool) -> Cotangents:
    (dy,), (x,) = dys, xs
    count = math.prod(x.shape[axis] for axis in axes)
    return (np.broadcast_to(over(dy, x, axes) / count, x.shape),)


def _reshape(dys: Arrays, xs: Arrays, ys: Arrays, shape: tuple[int, ...]) -> Cotangents:
    return (dys[0].reshape(xs[0].shape),)


def _permute(dys: Arrays, xs: Arrays, ys: Arrays, axes: tuple[int, ...]) -> Cotangents:
    return (dys[0].transpose(np.argsort(axes)),)


def _concat(dys: Arrays, xs: Arrays, ys: Arrays, axis: int) -> Cotangents:
    ends = np.cumsum([x.shape[axis] for x in xs])
    return tuple(np.split(dys[0], ends[:-1], axis))


def _select(dys: Arrays, xs: Arrays, ys: Arrays, axis: int, index: int) -> Cotangents:
    return (indexing.select_vjp(dys[0], xs[0], axis, index),)


def _top_k(dys: Arrays, xs: Arrays, ys: Arrays, k: int, axis: int) -> Cotangents:
    return (indexing.top_k_vjp(dys[0], xs[0], ys[1], axis),)


VJPS: dict[type[ops.Op], Callable[..., Cotangents]] = {
    **ARITHMETIC_VJPS,
    ops.Constant: _constant,
    ops.Exp: _exp,
    ops.Log: _log,
    ops.Expm1: _expm1,
    ops.Log1p: _log1p,
    ops.Sin: _sin,
    ops.Cos: _cos,
    ops.Sqrt: _sqrt,
    ops.Rsqrt: _rsqrt,
    ops.Tanh: _tanh,
    ops.Sigmoid: _sigmoid,
    ops.Erf: _erf,
    ops.Relu: _relu,
    ops.Abs: _abs,
    ops.StopGradient: _stop_gradient,
    ops.Widen: lambda dys, xs, ys: dys,
    ops.Narrow: lambda dys, xs, ys: (dys[0], None),
    ops.Add: _add,
    ops.Sub: _sub,
    ops.Mul: _mul,
    ops.Div: _div,
    ops.Maximum: _choice,
    ops.Minimum: _choice,
    ops.Where: _where,
    ops.Array: _array,
    ops.Expand: _expand,
    ops.Matmul: _matmul,
    ops.Einsum: _einsum,
    ops.Convolution: _convolution,
    ops.TransposedConvolution: _transposed_convolution,
    ops.MaxPool: _max_pool,
    ops.AveragePool: _average_pool,
    ops.AdaptiveAveragePool: _adaptive_average_pool,
    ops.AdaptiveMaxPool: _adaptive_max_pool,
    ops.Sum: _sum,
    ops.Mean: _mean,
    ops.Reshape: _reshape,
    ops.Permute: _permute,
    ops.Concat: _concat,
    **MOVEMENT_VJPS,
    ops.Select: _select,
    ops.TopK: _top_k,
    ops.Scan: control.scan_vjp,
    ops.While: control.while_vjp,
    ops.Cond: control.cond_vjp,
    ops.CustomGradient: control.custom_gradient_vjp,
}
