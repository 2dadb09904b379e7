"""Primitives that read nothing: an array of given numbers, a range; and one that repeats what little there is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from netspec.errors import ShapeError
from netspec.graph.dims import Shape, Size, format_shape, product
from netspec.graph.ops.base import Op, Types
from netspec.graph.types import INTEGERS, DType, TensorType, broadcast


@dataclass(frozen=True)
class Array(Op):
    """Given numbers under `shape`, row-major, the same in every call. Unlike Constant it is a tensor of its dtype
    wherever it stands, also where nothing beside it has one."""

    values: tuple[float | int | bool, ...]
    shape: tuple[int, ...]
    dtype: DType = "float"
    exact = True

    def infer(self, *inputs: TensorType) -> Types:
        assert len(self.values) == product(self.shape)
        return (TensorType(self.shape, self.dtype),)

    def index_range(self, inputs: Types) -> tuple[Size, Size] | None:
        numbers = [number for number in self.values if isinstance(number, int)]
        return (min(numbers), max(numbers)) if self.dtype in INTEGERS else None


@dataclass(frozen=True)
class Arange(Op):
    """y[i] = start + i * step for i from 0 to below `size`, integers."""

    start: Size
    size: Size
    step: int
    dtype: DType = "int64"
    differentiable = False
    exact = True

    def infer(self, *inputs: TensorType) -> Types:
        return (TensorType((self.size,), self.dtype),)

    def index_range(self, inputs: Types) -> tuple[Size, Size] | None:
        return self.start, self.start + (self.size - 1) * self.step

    def attributes(self, resolve: Callable[[Size], Any]) -> Mapping[str, Any]:
        """The size comes as the end that is not reached, `start + size * step`: so all frameworks have it."""
        start, end = (n if isinstance(n, int) else resolve(n) for n in (self.start, self.start + self.size * self.step))
        return {"start": start, "end": end, "step": self.step, "dtype": self.dtype}


@dataclass(frozen=True)
class Expand(Op):
    """x repeated to `shape` by the rule of broadcasting."""

    shape: Shape
    moves_elements = True
    selects = True

    def infer(self, *inputs: TensorType) -> Types:
        (x,) = inputs
        if broadcast([x.shape, self.shape]) != self.shape:
            raise ShapeError(f"{format_shape(x.shape)} cannot be repeated to {format_shape(self.shape)}")
        return (x.with_shape(self.shape),)

    def attributes(self, resolve: Callable[[Size], Any]) -> Mapping[str, Any]:
        return {"shape": tuple(size if isinstance(size, int) else resolve(size) for size in self.shape)}
