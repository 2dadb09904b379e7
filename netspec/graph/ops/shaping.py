"""Primitives that move elements without changing them: reshape, permute, concat."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from netspec.errors import ShapeError
from netspec.graph.dims import Shape, Size, format_shape
from netspec.graph.ops.base import Op, Types, common_dtype
from netspec.graph.types import TensorType


@dataclass(frozen=True)
class Reshape(Op):
    """The same elements in row-major order under another shape of the same number of elements."""

    shape: Shape
    moves_elements = True
    exact = True

    def infer(self, *inputs: TensorType) -> Types:
        (x,) = inputs
        result = x.with_shape(self.shape)
        if result.size != x.size:
            raise ShapeError(
                f"{format_shape(x.shape)} has {x.size} elements, {format_shape(self.shape)} would have {result.size}"
            )
        return (result,)

    def attributes(self, resolve: Callable[[Size], Any]) -> Mapping[str, Any]:
        """The first symbolic size is left to the framework as -1, so that most calls compute no size at all."""
        shape: list[Any] = list(self.shape)
        symbolic = [axis for axis, size in enumerate(shape) if not isinstance(size, int)]
        for position, axis in enumerate(symbolic):
            shape[axis] = -1 if position == 0 else resolve(self.shape[axis])
        return {"shape": tuple(shape)}


@dataclass(frozen=True)
class Permute(Op):
    """Axes in another order: axis k of the output is axis `axes[k]` of x."""

    axes: tuple[int, ...]
    moves_elements = True
    exact = True

    def infer(self, *inputs: TensorType) -> Types:
        (x,) = inputs
        assert sorted(self.axes) == list(range(x.rank))
        return (x.with_shape([x.shape[axis] for axis in self.axes]),)


@dataclass(frozen=True)
class Concat(Op):
    """Tensors one behind the other along `axis`; all other sizes are equal."""

    axis: int
    moves_elements = True
    exact = True

    def infer(self, *inputs: TensorType) -> Types:
        dtype = common_dtype(self, *inputs)
        first = inputs[0]
        others = [(*tensor.shape[: self.axis], *tensor.shape[self.axis + 1 :]) for tensor in inputs]
        if any(tensor.rank != first.rank for tensor in inputs) or len(set(others)) > 1:
            shapes = ", ".join(format_shape(tensor.shape) for tensor in inputs)
            raise ShapeError(f"concat along {self.axis} of {shapes}: all other sizes must be equal")
        total: Size = 0
        for tensor in inputs:
            total = total + tensor.shape[self.axis]
        return (TensorType((*first.shape[: self.axis], total, *first.shape[self.axis + 1 :]), dtype),)
