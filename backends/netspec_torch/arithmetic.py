"""Powers, products, cumulative sums, types and random numbers on torch; and the reductions that it has whole."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor
from torch.overrides import handle_torch_function, has_torch_function_unary

from netspec.backend import Fused, Lowerings
from netspec.graph import ops
from netspec.graph.graph import Call
from netspec.layers.reductions import Norm, Var, axes_of


def power(a: Tensor, b: Any) -> Tensor:
    """torch.pow; where `a` is not above 0 the exponent gets no gradient, for which torch has NaN."""
    if isinstance(b, (int, float)):
        return torch.pow(a, b)
    return torch.pow(a, torch.where(torch.gt(a, 0), b, torch.detach(b)))


def cast(x: Tensor, like: Tensor | None = None, *, dtype: str) -> Tensor:
    """A float has the type of `like`."""
    return x.to(getattr(torch, dtype)) if like is None else x.to(like)


def widen(x: Tensor) -> Tensor:
    """One function in the text of the module, since the type is known to the call alone."""
    if has_torch_function_unary(x):
        return handle_torch_function(widen, (x,), x)
    return x.float() if x.dtype in (torch.float16, torch.bfloat16) else x


def _narrow(x: Tensor, like: Tensor) -> Tensor:
    return x.to(like)


def prod(x: Tensor, *, axes: tuple[int, ...], keepdims: bool) -> Tensor:
    """torch takes one axis at a time; from behind, so that the others keep their numbers."""
    for axis in reversed(axes):
        x = torch.prod(x, axis, keepdims)
    return x


def argmax(x: Tensor, *, axes: tuple[int, ...], keepdims: bool) -> Tensor:
    return torch.argmax(x, axes[0], keepdims)


def _min(x: Tensor, *, axes: tuple[int, ...], keepdims: bool) -> Tensor:
    # As amax, amin splits its gradient evenly among equals.
    return torch.amin(x, axes, keepdims)


def _cumsum(x: Tensor, *, axis: int) -> Tensor:
    return torch.cumsum(x, axis)


ARITHMETIC: Lowerings = {
    ops.Pow: power,
    ops.Cast: cast,
    ops.Widen: widen,
    ops.Narrow: _narrow,
    ops.Prod: prod,
    ops.Min: _min,
    ops.ArgMax: argmax,
    ops.Cumsum: _cumsum,
    ops.Normal: torch.randn_like,
    ops.Uniform: torch.rand_like,
}


def _norm(call: Call, x: Tensor) -> Tensor:
    layer = call.layer
    assert isinstance(layer, Norm)
    axes = axes_of(layer.dim, call.inputs[0])
    return torch.linalg.vector_norm(x, math.inf if layer.p == "inf" else layer.p, axes, layer.keepdim)


def _var(call: Call, x: Tensor) -> Tensor:
    layer = call.layer
    assert isinstance(layer, Var)
    return torch.var(x, axes_of(layer.dim, call.inputs[0]), correction=layer.ddof, keepdim=layer.keepdim)


# Not torch.logsumexp, whose gradient is NaN where all numbers are -inf.
ARITHMETIC_FUSED: Fused = {Norm: _norm, Var: _var}
