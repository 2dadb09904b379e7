"""One method for each primitive: how layers write arithmetic on the values of a graph."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

from netspec.errors import ShapeError
from netspec.graph.dims import Size
from netspec.graph.graph import Value
from netspec.graph.ops import (
    Abs,
    Add,
    And,
    Arange,
    Array,
    Bernoulli,
    Concat,
    Constant,
    Cos,
    Div,
    Einsum,
    ElementCount,
    Equal,
    Erf,
    Exp,
    Expand,
    Gather,
    Greater,
    Log,
    Matmul,
    Max,
    Maximum,
    Mean,
    Minimum,
    Mul,
    Not,
    NumberLike,
    OneHot,
    Op,
    Or,
    Permute,
    Positions,
    Relu,
    Reshape,
    Rsqrt,
    Select,
    SequenceMask,
    Sigmoid,
    Sin,
    Sqrt,
    StopGradient,
    Sub,
    Sum,
    Tanh,
    TopK,
    Where,
)
from netspec.graph.types import DType, normal_axis

Axes = int | Sequence[int]


class Primitives(ABC):
    """What the Builder can emit. A plain number takes the type of the tensor that it meets."""

    @abstractmethod
    def apply_all(self, op: Op, *inputs: Value) -> tuple[Value, ...]:
        """Emit a primitive with any number of outputs."""

    @abstractmethod
    def require(self, size: Size, at_least: int, message: str) -> None:
        """Have every call refuse a size below `at_least`."""

    def apply(self, op: Op, *inputs: Value) -> Value:
        """Emit a primitive with one output."""
        (output,) = self.apply_all(op, *inputs)
        return output

    def constant(self, value: float | int | bool, dtype: DType = "float") -> Value:
        return self.apply(Constant(value, dtype))

    def array(self, values: Sequence[float | int | bool], shape: Sequence[int], dtype: DType = "float") -> Value:
        return self.apply(Array(tuple(values), tuple(shape), dtype))

    def full(self, value: float | int | bool, shape: Sequence[Size], dtype: DType = "float") -> Value:
        """One number at every place of `shape`."""
        return self.expand(self.array((value,), (), dtype), shape)

    def arange(self, start: Size, size: Size, step: int = 1, dtype: DType = "int64") -> Value:
        return self.apply(Arange(start, size, step, dtype))

    def add(self, a: Value | float, b: Value | float) -> Value:
        return self.apply(Add(), *self._pair(a, b))

    def sub(self, a: Value | float, b: Value | float) -> Value:
        return self.apply(Sub(), *self._pair(a, b))

    def mul(self, a: Value | float, b: Value | float) -> Value:
        return self.apply(Mul(), *self._pair(a, b))

    def div(self, a: Value | float, b: Value | float) -> Value:
        return self.apply(Div(), *self._pair(a, b))

    def greater(self, a: Value | float, b: Value | float) -> Value:
        return self.apply(Greater(), *self._pair(a, b))

    def equal(self, a: Value | float, b: Value | float) -> Value:
        return self.apply(Equal(), *self._pair(a, b))

    def maximum(self, a: Value | float, b: Value | float) -> Value:
        return self.apply(Maximum(), *self._pair(a, b))

    def minimum(self, a: Value | float, b: Value | float) -> Value:
        return self.apply(Minimum(), *self._pair(a, b))

    def logical_and(self, a: Value, b: Value) -> Value:
        return self.apply(And(), a, b)

    def logical_or(self, a: Value, b: Value) -> Value:
        return self.apply(Or(), a, b)

    def logical_not(self, a: Value) -> Value:
        return self.apply(Not(), a)

    def where(self, condition: Value, a: Value | float, b: Value | float) -> Value:
        return self.apply(Where(), condition, *self._pair(a, b))

    def exp(self, x: Value) -> Value:
        return self.apply(Exp(), x)

    def log(self, x: Value) -> Value:
        return self.apply(Log(), x)

    def sin(self, x: Value) -> Value:
        return self.apply(Sin(), x)

    def cos(self, x: Value) -> Value:
        return self.apply(Cos(), x)

    def sqrt(self, x: Value) -> Value:
        return self.apply(Sqrt(), x)

    def abs(self, x: Value) -> Value:
        return self.apply(Abs(), x)

    def rsqrt(self, x: Value) -> Value:
        return self.apply(Rsqrt(), x)

    def tanh(self, x: Value) -> Value:
        return self.apply(Tanh(), x)

    def sigmoid(self, x: Value) -> Value:
        return self.apply(Sigmoid(), x)

    def erf(self, x: Value) -> Value:
        return self.apply(Erf(), x)

    def relu(self, x: Value) -> Value:
        return self.apply(Relu(), x)

    def stop_gradient(self, x: Value) -> Value:
        return self.apply(StopGradient(), x)

    def bernoulli(self, like: Value, keep: float) -> Value:
        return self.apply(Bernoulli(keep), like)

    def matmul(self, a: Value, b: Value) -> Value:
        return self.apply(Matmul(), a, b)

    def einsum(self, equation: str, *xs: Value) -> Value:
        return self.apply(Einsum(equation), *xs)

    def sum(self, x: Value, axis: Axes, keepdims: bool = False) -> Value:
        return self.apply(Sum(_axes(axis, x), keepdims), x)

    def mean(self, x: Value, axis: Axes, keepdims: bool = False) -> Value:
        return self.apply(Mean(_axes(axis, x), keepdims), x)

    def max(self, x: Value, axis: Axes, keepdims: bool = False) -> Value:
        return self.apply(Max(_axes(axis, x), keepdims), x)

    def element_count(self, x: Value, axis: Axes) -> Value:
        return self.apply(ElementCount(_axes(axis, x)), x)

    def number_like(self, number: float, x: Value) -> Value:
        """`number` in the type of x, a scalar: where both sides of an operation are numbers."""
        return self.apply(NumberLike(number), x)

    def positions(self, x: Value, axis: int) -> Value:
        """0, 1, ... along an axis of x."""
        return self.apply(Positions(normal_axis(axis, x.type.rank)), x)

    def reshape(self, x: Value, shape: Sequence[Size]) -> Value:
        return self.apply(Reshape(tuple(shape)), x)

    def permute(self, x: Value, axes: Sequence[int]) -> Value:
        return self.apply(Permute(tuple(axes)), x)

    def expand(self, x: Value, shape: Sequence[Size]) -> Value:
        """`x` repeated to `shape`; `x` itself where that is its shape."""
        return x if x.shape == tuple(shape) else self.apply(Expand(tuple(shape)), x)

    def concat(self, xs: Sequence[Value], axis: int) -> Value:
        return self.apply(Concat(normal_axis(axis, xs[0].type.rank)), *xs)

    def gather(self, table: Value, indices: Value) -> Value:
        return self.apply(Gather(), table, indices)

    def select(self, x: Value, axis: int, index: int) -> Value:
        """The slice `index` along `axis`; negative ones count from the end, also where the size is symbolic."""
        axis = normal_axis(axis, x.type.rank)
        self.require(x.shape[axis], index + 1 if index >= 0 else -index, f"index {index} is outside of {{size}}")
        return self.apply(Select(axis, index), x)

    def top_k(self, x: Value, k: int, axis: int) -> tuple[Value, Value]:
        """The k largest along `axis` and their indices."""
        axis = normal_axis(axis, x.type.rank)
        self.require(x.shape[axis], k, f"k {k} is above the size {{size}}")
        values, indices = self.apply_all(TopK(k, axis), x)
        return values, indices

    def sequence_mask(self, lengths: Value, size: Size) -> Value:
        """A flag for each of `size` places along a new last axis: whether it is before the length, from 0 to `size`."""
        return self.apply(SequenceMask(size), lengths)

    def one_hot(self, indices: Value, size: Size) -> Value:
        """A flag for each index from 0 to below `size`, along a new last axis."""
        return self.apply(OneHot(size), indices)

    def _pair(self, a: Value | float, b: Value | float) -> tuple[Value, Value]:
        """Both as values; a plain number takes the dtype of the other side, a float only that of floats."""
        if isinstance(a, Value):
            return a, b if isinstance(b, Value) else self._number(b, a)
        assert isinstance(b, Value)
        return self._number(a, b), b

    def _number(self, number: float, other: Value) -> Value:
        if type(number) is float and other.type.dtype != "float":
            raise ShapeError(f"floating-point numbers are needed here, not {other.type}")
        return self.constant(number, other.type.dtype)


def _axes(axis: Axes, x: Value) -> tuple[int, ...]:
    axes = (axis,) if isinstance(axis, int) else axis
    return tuple(sorted(normal_axis(each, x.type.rank) for each in axes))
