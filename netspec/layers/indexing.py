"""Layers that pick elements by index, or tell the index: select, gather, take, one_hot, top_k."""

from __future__ import annotations

from typing import Literal

from netspec.errors import ShapeError
from netspec.graph.builder import Builder
from netspec.graph.dims import compare, format_shape
from netspec.graph.graph import Value
from netspec.graph.types import normal_axis
from netspec.layers.base import Layer
from netspec.layers.fields import Axis, Index, NewSize, PositiveInt


class Select(Layer):
    """The slice `index` along `dim`, which is dropped; a negative index counts from the end (torch.select)."""

    type: Literal["select"] = "select"
    dim: Axis
    index: Index

    def expand(self, b: Builder, x: Value) -> Value:
        return b.select(x, self.dim, self.index)


class Gather(Layer):
    """One element of x for each index: for `dim` 1, y[i, j, k] = x[i, index[i, j, k], k] (torch.gather).

    `index` has the rank of x and along the other dimensions no more elements than x has. The indices are from 0 to
    below the size of `dim`; a call checks those that are an input of the model, not those that it computes. The
    gradient is added up where it was taken from.
    """

    type: Literal["gather"] = "gather"
    dim: Axis

    def expand(self, b: Builder, x: Value, index: Value) -> Value:
        axis = normal_axis(self.dim, x.type.rank)
        if index.type.rank != x.type.rank:
            raise ShapeError(
                f"index must have the {x.type.rank} dimensions of {format_shape(x.shape)}, got {index.type}"
            )
        for other, (size, count) in enumerate(zip(x.shape, index.shape, strict=True)):
            if other == axis or size == count:
                continue
            if not compare(count, "<=", size):
                shapes = f"{format_shape(index.shape)} against {format_shape(x.shape)}"
                raise ShapeError(f"index must not be larger than x along dimension {other}: {shapes}")
            x = b.slice(x, other, 0, count)
        return b.gather_along(x, index, axis)


class Take(Layer):
    """A row of each sample by its index: x `[batch, rows, ...]`, index `[batch]`, y[n] = x[n, index[n]].

    With an index `[batch, count]` several rows: y `[batch, count, ...]`. The indices are from 0 to below the number of
    rows; a call checks those that are an input of the model, not those that it computes. (torch.take is another thing:
    it counts through all elements.)
    """

    type: Literal["take"] = "take"

    def expand(self, b: Builder, x: Value, index: Value) -> Value:
        if x.type.rank < 2:
            raise ShapeError(f"its input must be [batch, rows, ...], got {format_shape(x.shape)}")
        if index.type.rank not in (1, 2) or index.shape[0] != x.shape[0]:
            expected = f"[{x.shape[0]}] or [{x.shape[0]}, count]"
            raise ShapeError(f"index must be {expected}, got {format_shape(index.shape)}")
        count = index.shape[1:] or (1,)
        ones = (1,) * (x.type.rank - 2)
        y = b.gather_along(x, b.reshape(index, (*index.shape[:1], *count, *ones)), 1)
        return y if index.type.rank == 2 else b.reshape(y, (*x.shape[:1], *x.shape[2:]))


class OneHot(Layer):
    """1 at the index and 0 elsewhere: indices x of any shape, y `[*x, num_classes]` of the model's float type.

    The indices are from 0 to below `num_classes`; a call checks those that are an input of the model, not those that it
    computes.
    """

    type: Literal["one_hot"] = "one_hot"
    num_classes: NewSize

    def expand(self, b: Builder, x: Value) -> Value:
        hot = b.one_hot(x, self.num_classes)
        return b.where(hot, b.array((1.0,), ()), b.array((0.0,), ()))


class TopK(Layer):
    """The `k` largest along `dim`, the largest first, and their indices; of equals the lowest index comes first.

    The gradient goes back to the elements that were taken.
    """

    type: Literal["top_k"] = "top_k"
    ports = ("values", "indices")
    k: PositiveInt
    dim: Axis = -1

    def expand(self, b: Builder, x: Value) -> tuple[Value, Value]:
        return b.top_k(x, self.k, self.dim)
