"""Layers that take one number over whole dimensions: sum, mean."""

from __future__ import annotations

from typing import Literal

from netspec.errors import ShapeError
from netspec.graph.builder import Builder
from netspec.graph.dims import format_shape
from netspec.graph.graph import Value
from netspec.graph.types import normal_axis
from netspec.layers.base import Layer
from netspec.layers.fields import Axes, Flag


class Sum(Layer):
    """The sum over `dim`, over all dimensions unless given; they are dropped, or kept with size 1 by `keepdim`."""

    type: Literal["sum"] = "sum"
    dim: Axes | None = None
    keepdim: Flag = False

    def expand(self, b: Builder, x: Value) -> Value:
        return b.sum(x, axes_of(self.dim, x), self.keepdim)


class Mean(Layer):
    """The mean over `dim`, over all dimensions unless given; they are dropped, or kept with size 1 by `keepdim`."""

    type: Literal["mean"] = "mean"
    dim: Axes | None = None
    keepdim: Flag = False

    def expand(self, b: Builder, x: Value) -> Value:
        return b.mean(x, axes_of(self.dim, x), self.keepdim)


def axes_of(dim: int | tuple[int, ...] | None, x: Value) -> tuple[int, ...]:
    """The dimensions that `dim` names, counted from the front; all where it is None, each once or a ShapeError."""
    rank = x.type.rank
    if dim is None:
        return tuple(range(rank))
    axes = [normal_axis(each, rank) for each in ((dim,) if isinstance(dim, int) else dim)]
    if len(set(axes)) < len(axes):
        raise ShapeError(f"dim names a dimension of {format_shape(x.shape)} twice, got {list(axes)}")
    return tuple(axes)
