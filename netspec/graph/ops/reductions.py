"""Primitives that take one number over whole axes."""

from __future__ import annotations

from dataclasses import dataclass

from netspec.graph.dims import Size, product
from netspec.graph.ops.base import Op, Types, require_float
from netspec.graph.types import TensorType


@dataclass(frozen=True)
class Reduction(Op):
    """One number over `axes` (sorted, counted from the front), which are kept with size 1 or dropped."""

    axes: tuple[int, ...]
    keepdims: bool = False

    def infer(self, *inputs: TensorType) -> Types:
        (x,) = inputs
        require_float(self, x)
        assert list(self.axes) == sorted(set(self.axes)) and all(0 <= axis < x.rank for axis in self.axes)
        if self.keepdims:
            return (x.with_shape([1 if axis in self.axes else size for axis, size in enumerate(x.shape)]),)
        return (x.with_shape([size for axis, size in enumerate(x.shape) if axis not in self.axes]),)

    def elementwise(self, inputs: Types, outputs: Types) -> Size:
        return inputs[0].size

    def reduction_length(self, inputs: Types) -> Size:
        return product(inputs[0].shape[axis] for axis in self.axes)


class Sum(Reduction):
    """The sum over axes."""


class Mean(Reduction):
    """The sum over axes divided by the number of elements summed."""


class Max(Reduction):
    """The largest number over axes; the gradient is split evenly among equals."""

    def reduction_length(self, inputs: Types) -> Size:
        return 1


@dataclass(frozen=True)
class ElementCount(Op):
    """The number of elements of x along `axes`, as a float."""

    axes: tuple[int, ...]
    differentiable = False
    exact = True

    def infer(self, *inputs: TensorType) -> Types:
        return (TensorType(()),)
