"""Primitives that pick elements by index, or tell the index: rows, one slice, the largest, a flag for each class."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from netspec.errors import ShapeError
from netspec.graph.dims import Size, format_shape
from netspec.graph.ops.base import Op, Types
from netspec.graph.types import INTEGERS, TensorType


def require_indices(indices: TensorType) -> None:
    if indices.dtype not in INTEGERS:
        raise ShapeError(f"indices of an integer type are needed, not {indices}")


@dataclass(frozen=True)
class Gather(Op):
    """Slices of a table `[*before, rows, *rest]` by indices of any shape, `axis` that of the rows.

    y is `[*before, *indices, *rest]`; 0 <= index < rows.
    """

    axis: int = 0
    selects = True

    def infer(self, *inputs: TensorType) -> Types:
        table, indices = inputs
        require_indices(indices)
        shape = (*table.shape[: self.axis], *indices.shape, *table.shape[self.axis + 1 :])
        return (TensorType(shape, table.dtype),)

    def index_bounds(self, inputs: Types) -> Mapping[int, Size]:
        return {1: inputs[0].shape[self.axis]}

    def moved(self, inputs: Types) -> tuple[int, ...]:
        return (0,)


@dataclass(frozen=True)
class GatherAlong(Op):
    """Of x and indices of its rank, y[i, j, k] = x[i, indices[i, j, k], k] for axis 1; 0 <= index < size of `axis`.

    All other sizes of the indices are those of x, or 1 where one index holds for all of that axis.
    """

    axis: int
    selects = True

    def infer(self, *inputs: TensorType) -> Types:
        x, indices = inputs
        require_indices(indices)
        assert x.rank == indices.rank
        pairs = [pair for axis, pair in enumerate(zip(x.shape, indices.shape, strict=True)) if axis != self.axis]
        assert all(count in (size, 1) for size, count in pairs), (x, indices)
        return (x.with_shape((*x.shape[: self.axis], indices.shape[self.axis], *x.shape[self.axis + 1 :])),)

    def index_bounds(self, inputs: Types) -> Mapping[int, Size]:
        return {1: inputs[0].shape[self.axis]}

    def moved(self, inputs: Types) -> tuple[int, ...]:
        return (0,)


@dataclass(frozen=True)
class Select(Op):
    """The slice `index` along `axis`, which is dropped; a negative index counts from the end."""

    axis: int
    index: int
    moves_elements = True
    exact = True

    def infer(self, *inputs: TensorType) -> Types:
        (x,) = inputs
        size = x.shape[self.axis]
        if isinstance(size, int) and not -size <= self.index < size:
            raise ShapeError(
                f"index {self.index} is outside of dimension {self.axis} of {format_shape(x.shape)}, of size {size}"
            )
        return (x.with_shape((*x.shape[: self.axis], *x.shape[self.axis + 1 :])),)


@dataclass(frozen=True)
class TopK(Op):
    """The `k` largest along `axis`, the largest first, and their indices; of equals the lowest index comes first.

    The gradient of the values goes back to where they were taken from.
    """

    k: int
    axis: int
    exact = True

    def infer(self, *inputs: TensorType) -> Types:
        (x,) = inputs
        if x.dtype == "bool":
            raise ShapeError(f"numbers are needed here, not {x}")
        size = x.shape[self.axis]
        if isinstance(size, int) and self.k > size:
            raise ShapeError(f"k {self.k} is above the size {size} of dimension {self.axis} of {format_shape(x.shape)}")
        shape = (*x.shape[: self.axis], self.k, *x.shape[self.axis + 1 :])
        return TensorType(shape, x.dtype), TensorType(shape, "int64")

    def index_range(self, inputs: Types) -> tuple[Size, Size] | None:
        return 0, inputs[0].shape[self.axis] - 1

    def elementwise(self, inputs: Types, outputs: Types) -> Size:
        return inputs[0].size


@dataclass(frozen=True)
class _Flags(Op):
    """A flag for each of `size` places along a new last axis, which an integer decides."""

    size: Size
    differentiable = False
    exact = True

    def infer(self, *inputs: TensorType) -> Types:
        (x,) = inputs
        require_indices(x)
        return (TensorType((*x.shape, self.size), "bool"),)

    def elementwise(self, inputs: Types, outputs: Types) -> Size:
        return outputs[0].size

    def attributes(self, resolve: Callable[[Size], Any]) -> Mapping[str, Any]:
        return {"size": self.size if isinstance(self.size, int) else resolve(self.size)}


@dataclass(frozen=True)
class SequenceMask(_Flags):
    """y[..., t] tells whether t < x[...], for t from 0 to below `size`; 0 <= x <= size."""

    def index_bounds(self, inputs: Types) -> Mapping[int, Size]:
        return {0: self.size + 1}


@dataclass(frozen=True)
class OneHot(_Flags):
    """y[..., c] tells whether x[...] == c, for c from 0 to below `size`; 0 <= x < size."""

    def index_bounds(self, inputs: Types) -> Mapping[int, Size]:
        return {0: self.size}
