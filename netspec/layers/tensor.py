"""Layers that join tensors or change their shape."""

from __future__ import annotations

from functools import reduce
from typing import Literal

from netspec.errors import ShapeError
from netspec.graph.builder import Builder
from netspec.graph.dims import Size, divide, format_shape, product
from netspec.graph.graph import Value
from netspec.graph.types import normal_axis
from netspec.layers.base import Layer
from netspec.layers.fields import Axis, TargetShape


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
        if self.shape.count(-1) > 1:
            raise ShapeError(f"shape {format_shape(self.shape)} has more than one -1")
        shape: list[Size] = list(self.shape)
        if -1 in shape:
            known = product(size for size in shape if size != -1)
            rest = divide(x.type.size, known)
            if rest is None:
                raise ShapeError(
                    f"{format_shape(x.shape)} has {x.type.size} elements, which the {known} of "
                    f"{format_shape(shape)} do not divide for every size"
                )
            shape[shape.index(-1)] = rest
        return b.reshape(x, shape)


def _several(xs: tuple[Value, ...]) -> tuple[Value, ...]:
    if len(xs) < 2:
        raise ShapeError(f"two inputs or more are needed, got {len(xs)}: name them with from: [a, b]")
    return xs
