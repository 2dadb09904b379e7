"""Layers that add, drop and order dimensions: permute, transpose, unsqueeze, squeeze, stack; identity changes none."""

from __future__ import annotations

from typing import Annotated, Literal

from netspec.errors import ShapeError
from netspec.graph.builder import Builder
from netspec.graph.dims import format_shape
from netspec.graph.graph import Value
from netspec.graph.types import normal_axis
from netspec.layers.base import Layer
from netspec.layers.fields import Axes, Axis, AxisList, Expected
from netspec.layers.reductions import axes_of


class Identity(Layer):
    """`y = x`, of any type."""

    type: Literal["identity"] = "identity"

    def expand(self, b: Builder, x: Value) -> Value:
        return x


class Permute(Layer):
    """Dimensions in another order: dimension k of y is dimension `dims[k]` of x (torch.permute)."""

    type: Literal["permute"] = "permute"
    dims: Annotated[AxisList, Expected("a list of the numbers of all dimensions")]

    def expand(self, b: Builder, x: Value) -> Value:
        axes = [normal_axis(dim, x.type.rank, "dims") for dim in self.dims]
        if sorted(axes) != list(range(x.type.rank)):
            raise ShapeError(
                f"dims must name each of the {x.type.rank} dimensions of {format_shape(x.shape)} once, "
                f"got {list(self.dims)}"
            )
        return b.permute(x, axes)


class Transpose(Layer):
    """The dimensions `dim0` and `dim1` swapped (torch.transpose)."""

    type: Literal["transpose"] = "transpose"
    dim0: Axis
    dim1: Axis

    def expand(self, b: Builder, x: Value) -> Value:
        order = list(range(x.type.rank))
        first, second = normal_axis(self.dim0, len(order), "dim0"), normal_axis(self.dim1, len(order), "dim1")
        order[first], order[second] = second, first
        return b.permute(x, order) if first != second else x


class Unsqueeze(Layer):
    """A dimension of size 1 more, which becomes dimension `dim` of y (torch.unsqueeze)."""

    type: Literal["unsqueeze"] = "unsqueeze"
    dim: Axis

    def expand(self, b: Builder, x: Value) -> Value:
        return _unsqueezed(b, x, normal_axis(self.dim, x.type.rank + 1))


class Squeeze(Layer):
    """Without the dimensions `dim` that are of size 1; those of another size stay (torch.squeeze).

    `dim` is all dimensions unless given. A symbolic size among them is refused: it may be 1 in one call and not in
    another.
    """

    type: Literal["squeeze"] = "squeeze"
    dim: Axes | None = None

    def expand(self, b: Builder, x: Value) -> Value:
        axes = axes_of(self.dim, x)
        for axis in axes:
            if not isinstance(x.shape[axis], int):
                raise ShapeError(f"the size of dimension {axis} must be known, got {x.shape[axis]}")
        shape = [size for axis, size in enumerate(x.shape) if axis not in axes or size != 1]
        return b.reshape(x, shape) if len(shape) < x.type.rank else x


class Stack(Layer):
    """Tensors of one shape, one behind the other along a new dimension, dimension `dim` of y (torch.stack)."""

    type: Literal["stack"] = "stack"
    dim: Axis = 0

    def expand(self, b: Builder, *xs: Value) -> Value:
        if not xs:
            raise ShapeError("an input or more is needed: name them with from: [a, b]")
        if len({x.shape for x in xs}) > 1:
            raise ShapeError(f"stack of {', '.join(format_shape(x.shape) for x in xs)}: all shapes must be equal")
        axis = normal_axis(self.dim, xs[0].type.rank + 1)
        rows = [_unsqueezed(b, x, axis) for x in xs]
        return b.concat(rows, axis) if len(rows) > 1 else rows[0]


def _unsqueezed(b: Builder, x: Value, axis: int) -> Value:
    return b.reshape(x, (*x.shape[:axis], 1, *x.shape[axis:]))
