"""Primitives that take one number over whole axes; and cumulative sums along one."""

from __future__ import annotations

from dataclasses import dataclass

from netspec.graph.dims import Size, product
from netspec.graph.ops.base import Op, Types, require_float, require_numbers
from netspec.graph.types import TensorType


@dataclass(frozen=True)
class Reduction(Op):
    """One number over `axes` (sorted, counted from the front), which are kept with size 1 or dropped."""

    axes: tuple[int, ...]
    keepdims: bool = False

    def infer(self, *inputs: TensorType) -> Types:
        (x,) = inputs
        self.check(x)
        assert list(self.axes) == sorted(set(self.axes)) and all(0 <= axis < x.rank for axis in self.axes)
        if self.keepdims:
            return (x.with_shape([1 if axis in self.axes else size for axis, size in enumerate(x.shape)]),)
        return (x.with_shape([size for axis, size in enumerate(x.shape) if axis not in self.axes]),)

    def check(self, x: TensorType) -> None:
        """A ShapeError for an input of a type that cannot be reduced."""
        require_numbers(x)

    def elementwise(self, inputs: Types, outputs: Types) -> Size:
        return inputs[0].size

    def reduction_length(self, inputs: Types) -> Size:
        return product(inputs[0].shape[axis] for axis in self.axes)


class Sum(Reduction):
    """The sum over axes."""


class Mean(Reduction):
    """The sum over axes divided by the number of elements summed; floats only."""

    def check(self, x: TensorType) -> None:
        require_float(self, x)


class Prod(Reduction):
    """The product over axes; where factors are 0 the derivative is the product of the others."""


@dataclass(frozen=True)
class Extremum(Reduction):
    """One of the elements: nothing is rounded."""

    selects = True

    def reduction_length(self, inputs: Types) -> Size:
        return 1


class Max(Extremum):
    """The largest number over axes; the gradient is split evenly among equals."""


class Min(Extremum):
    """The smallest number over axes; the gradient is split evenly among equals."""


@dataclass(frozen=True)
class ArgMax(Extremum):
    """The index of the largest number along the one axis of `axes`, int64; of equals the lowest."""

    differentiable = False
    exact = True

    def infer(self, *inputs: TensorType) -> Types:
        assert len(self.axes) == 1
        (y,) = super().infer(*inputs)
        return (TensorType(y.shape, "int64"),)

    def index_range(self, inputs: Types) -> tuple[Size, Size] | None:
        return 0, inputs[0].shape[self.axes[0]] - 1


@dataclass(frozen=True)
class Cumsum(Op):
    """y[k] = x[0] + ... + x[k] along `axis`."""

    axis: int

    def infer(self, *inputs: TensorType) -> Types:
        require_numbers(*inputs)
        return inputs

    def elementwise(self, inputs: Types, outputs: Types) -> Size:
        return outputs[0].size

    def reduction_length(self, inputs: Types) -> Size:
        return inputs[0].shape[self.axis]


@dataclass(frozen=True)
class ElementCount(Op):
    """The number of elements of x along `axes`, as a float."""

    axes: tuple[int, ...]
    differentiable = False
    exact = True

    def infer(self, *inputs: TensorType) -> Types:
        return (TensorType(()),)
