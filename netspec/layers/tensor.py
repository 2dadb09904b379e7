"""Layers that join tensors or change their shape."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from typing import Literal

from netspec.errors import ShapeError
from netspec.graph.builder import Builder
from netspec.graph.dims import Size, divide, format_shape, product
from netspec.graph.graph import Value
from netspec.graph.types import normal_axis
from netspec.layers.base import Layer
from netspec.layers.fields import Axis, ExpandedSize, TargetShape


class Add(Layer):
    """`a + b + ...` of two tensors or more; shapes broadcast."""

    type: Literal["add"] = "add"

    def expand(self, b: Builder, *xs: Value) -> Value:
        return reduce(b.add, _several(xs))


class Mul(Layer):
    """`a * b * ...` of two tensors or more; shapes broadcast."""

    type: Literal["mul"] = "mul"

    def expand(self, b: Builder, *xs: Value) -> Value:
        return reduce(b.mul, _several(xs))


class Concat(Layer):
    """Tensors one behind the other along `dim`; all other sizes are equal."""

    type: Literal["concat"] = "concat"
    dim: Axis

    def expand(self, b: Builder, *xs: Value) -> Value:
        return b.concat(_several(xs), self.dim)


class Flatten(Layer):
    """The axes from `start_dim` to `end_dim` as one, in row-major order: channels, height, width."""

    type: Literal["flatten"] = "flatten"
    start_dim: Axis = 1
    end_dim: Axis = -1

    def expand(self, b: Builder, x: Value) -> Value:
        start, end = (
            normal_axis(self.start_dim, x.type.rank, "start_dim"),
            normal_axis(self.end_dim, x.type.rank, "end_dim"),
        )
        if start > end:
            raise ShapeError(
                f"start_dim {self.start_dim} comes behind end_dim {self.end_dim} in {format_shape(x.shape)}"
            )
        return b.reshape(x, (*x.shape[:start], product(x.shape[start : end + 1]), *x.shape[end + 1 :]))


class Reshape(Layer):
    """The same elements in row-major order under `shape`, batch axis included; one -1 stands for what is left."""

    type: Literal["reshape"] = "reshape"
    shape: TargetShape

    def expand(self, b: Builder, x: Value) -> Value:
        return b.reshape(x, _filled(self.shape, x.shape, "shape"))


class Unflatten(Layer):
    """Dimension `dim` as several, in row-major order: it is their product; one -1 stands for what is left.

    nn.Unflatten, which undoes flatten.
    """

    type: Literal["unflatten"] = "unflatten"
    dim: Axis
    unflattened_size: TargetShape

    def expand(self, b: Builder, x: Value) -> Value:
        axis = normal_axis(self.dim, x.type.rank)
        sizes = _filled(self.unflattened_size, x.shape[axis : axis + 1], "unflattened_size")
        if product(sizes) != x.shape[axis]:
            shown = format_shape(sizes)
            raise ShapeError(f"unflattened_size {shown} is {product(sizes)} together, dimension {axis} {x.shape[axis]}")
        return b.reshape(x, (*x.shape[:axis], *sizes, *x.shape[axis + 1 :]))


class Expand(Layer):
    """x repeated to the shape `size`: dimensions of size 1 are, and new ones may stand in front (Tensor.expand).

    -1 leaves a dimension as it is.
    """

    type: Literal["expand"] = "expand"
    size: ExpandedSize

    def expand(self, b: Builder, x: Value) -> Value:
        new = len(self.size) - x.type.rank
        if new < 0 or -1 in self.size[:new]:
            raise ShapeError(f"size {format_shape(self.size)} does not go with {format_shape(x.shape)}")
        sizes = zip(self.size[new:], x.shape, strict=True)
        return b.expand(x, (*self.size[:new], *(had if size == -1 else size for size, had in sizes)))


def _filled(sizes: Sequence[Size], shape: Sequence[Size], name: str) -> list[Size]:
    """`sizes` with what is left of `shape` in the place of -1."""
    if sizes.count(-1) > 1:
        raise ShapeError(f"{name} {format_shape(sizes)} has more than one -1")
    found: list[Size] = list(sizes)
    if -1 in found:
        known = product(size for size in found if size != -1)
        rest = divide(product(shape), known)
        if rest is None:
            raise ShapeError(
                f"{format_shape(shape)} has {product(shape)} elements, which the {known} of "
                f"{format_shape(sizes)} do not divide for every size"
            )
        found[found.index(-1)] = rest
    return found


def _several(xs: tuple[Value, ...]) -> tuple[Value, ...]:
    if len(xs) < 2:
        raise ShapeError(f"two inputs or more are needed, got {len(xs)}: name them with from: [a, b]")
    return xs
