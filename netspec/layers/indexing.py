"""Layers that pick elements by index, or tell the index: select, one_hot, top_k."""

from __future__ import annotations

from typing import Literal

from netspec.graph.builder import Builder
from netspec.graph.graph import Value
from netspec.layers.base import Layer
from netspec.layers.fields import Axis, Index, NewSize, PositiveInt


class Select(Layer):
    """The slice `index` along `dim`, which is dropped; a negative index counts from the end (torch.select)."""

    type: Literal["select"] = "select"
    dim: Axis
    index: Index

    def expand(self, b: Builder, x: Value) -> Value:
        return b.select(x, self.dim, self.index)


class OneHot(Layer):
    """1 at the index and 0 elsewhere: indices x of any shape, y `[*x, num_classes]` of the model's float type.

    The indices are from 0 to below `num_classes`, or the call is refused.
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
