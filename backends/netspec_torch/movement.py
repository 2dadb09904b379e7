"""Cutting, turning round, surrounding and picking along an axis, in torch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from netspec.backend import Lowerings
from netspec.graph import ops


def _slice(x: Tensor, *, axis: int, begin: Any, end: Any, step: int) -> Tensor:
    return x[(*[slice(None)] * axis, slice(begin, end, None if step == 1 else step))]


def _flip(x: Tensor, *, axes: tuple[int, ...]) -> Tensor:
    return torch.flip(x, axes)


def pad(x: Tensor, *, padding: Sequence[tuple[int, int]], value: float) -> Tensor:
    """torch takes the last axis first, and none before the first that gets something."""
    sides = list(padding)
    while sides[0] == (0, 0):
        del sides[0]
    return F.pad(x, [side for pair in reversed(sides) for side in pair], value=value)


def _gather(table: Tensor, indices: Tensor, *, axis: int) -> Tensor:
    places: tuple[slice | Tensor, ...] = (*[slice(None)] * axis, indices)
    return table[places] if axis else table[indices]


def _gather_along(x: Tensor, indices: Tensor, *, axis: int) -> Tensor:
    """Indices of 64 bits are what torch wants; others are converted."""
    return torch.take_along_dim(x, indices.to(torch.int64), axis)


MOVEMENT: Lowerings = {
    ops.Slice: _slice,
    ops.Flip: _flip,
    ops.Pad: pad,
    ops.Gather: _gather,
    ops.GatherAlong: _gather_along,
}
