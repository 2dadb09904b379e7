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
    ArgMax,
    Array,
    Bernoulli,
    Cast,
    Concat,
    Constant,
    Cos,
    Cumsum,
    Div,
    Einsum,
    ElementCount,
    Equal,
    Erf,
    Exp,
    Expand,
    Expm1,
    Flip,
    Gather,
    GatherAlong,
    Greater,
    Log,
    Log1p,
    Matmul,
    Max,
    Maximum,
    Mean,
    Min,
    Minimum,
    Mul,
    Narrow,
    Normal,
    Not,
    NumberLike,
    OneHot,
    Op,
    Or,
    Pad,
    Permute,
    Positions,
    Pow,
    Prod,
    Relu,
    Reshape,
    Rsqrt,
    Select,
    SequenceMask,
    Sigmoid,
    Sin,
    SinCos,
    Slice,
    Sqrt,
    StopGradient,
    Sub,
    Sum,
    Tanh,
    TopK,
    Uniform,
    Where,
    Widen,
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

    def compare(self, operator: str, a: Value | float, b: Value | float) -> Value:
        """Flags: whether `a operator b`, one of `== != < <= > >=`."""
        if operator in ("<", "<="):
            a, b = b, a
        if operator in ("<", ">"):
            return self.greater(a, b)
        equal = self.equal(a, b)
        if operator == "==":
            return equal
        return self.logical_not(equal) if operator == "!=" else self.logical_or(self.greater(a, b), equal)

    def pow(self, a: Value, b: Value | float) -> Value:
        return self.apply(Pow(), *self._pair(a, b))

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

    def expm1(self, x: Value) -> Value:
        return self.apply(Expm1(), x)

    def log1p(self, x: Value) -> Value:
        return self.apply(Log1p(), x)

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

    def normal(self, like: Value) -> Value:
        return self.apply(Normal(), like)

    def uniform(self, like: Value) -> Value:
        return self.apply(Uniform(), like)

    def cast(self, x: Value, dtype: DType) -> Value:
        """`x` as `dtype`; `x` itself where that is its type. As flags: whether it is not 0."""
        if x.type.dtype == dtype:
            return x
        if dtype == "bool":
            return self.compare("!=", x, 0)
        return self.apply(Cast(dtype), x, self.array((0.0,), ())) if dtype == "float" else self.apply(Cast(dtype), x)

    def widen(self, x: Value) -> Value:
        """`x` in float32 where the model's float type is narrower."""
        return self.apply(Widen(), x)

    def narrow(self, x: Value, like: Value) -> Value:
        """`x` in the type of `like` again, a tensor of the model's own type."""
        return self.apply(Narrow(), x, like)

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

    def min(self, x: Value, axis: Axes, keepdims: bool = False) -> Value:
        return self.apply(Min(_axes(axis, x), keepdims), x)

    def prod(self, x: Value, axis: Axes, keepdims: bool = False) -> Value:
        return self.apply(Prod(_axes(axis, x), keepdims), x)

    def argmax(self, x: Value, axis: int, keepdims: bool = False) -> Value:
        return self.apply(ArgMax(_axes(axis, x), keepdims), x)

    def cumsum(self, x: Value, axis: int) -> Value:
        return self.apply(Cumsum(normal_axis(axis, x.type.rank)), x)

    def element_count(self, x: Value, axis: Axes) -> Value:
        return self.apply(ElementCount(_axes(axis, x)), x)

    def number_like(self, number: float, x: Value) -> Value:
        """`number` in the type of x, a scalar: where both sides of an operation are numbers."""
        return self.apply(NumberLike(number), x)

    def positions(self, x: Value, axis: int) -> Value:
        """0, 1, ... along an axis of x."""
        return self.apply(Positions(normal_axis(axis, x.type.rank)), x)

    def sin_cos(self, positions: Value, x: Value, count: int, base: float) -> tuple[Value, Value]:
        """sin and cos of positions * base^(-k / count), `[*positions, count]`, in the type of x."""
        sine, cosine = self.apply_all(SinCos(count, base), positions, x)
        return sine, cosine

    def reshape(self, x: Value, shape: Sequence[Size]) -> Value:
        return self.apply(Reshape(tuple(shape)), x)

    def permute(self, x: Value, axes: Sequence[int]) -> Value:
        return self.apply(Permute(tuple(axes)), x)

    def expand(self, x: Value, shape: Sequence[Size]) -> Value:
        """`x` repeated to `shape`; `x` itself where that is its shape."""
        return x if x.shape == tuple(shape) else self.apply(Expand(tuple(shape)), x)

    def concat(self, xs: Sequence[Value], axis: int) -> Value:
        return self.apply(Concat(normal_axis(axis, xs[0].type.rank)), *xs)

    def slice(self, x: Value, axis: int, begin: Size = 0, end: Size | None = None, step: int = 1) -> Value:
        """The elements from `begin` to below `end` along an axis, both counted from the front; x itself where all."""
        axis = normal_axis(axis, x.type.rank)
        size = x.shape[axis]
        end = size if end is None else end
        return x if (begin, end, step) == (0, size, 1) else self.apply(Slice(axis, begin, end, step), x)

    def flip(self, x: Value, axis: Axes) -> Value:
        return self.apply(Flip(_axes(axis, x)), x)

    def pad(self, x: Value, padding: Sequence[tuple[int, int]], value: float | int | bool = 0) -> Value:
        """`value` around x, (begin, end) for each axis; x itself where that is nothing."""
        return self.apply(Pad(tuple(padding), value), x) if any(map(any, padding)) else x

    def gather(self, table: Value, indices: Value, axis: int = 0) -> Value:
        return self.apply(Gather(normal_axis(axis, table.type.rank)), table, indices)

    def gather_along(self, x: Value, indices: Value, axis: int) -> Value:
        return self.apply(GatherAlong(normal_axis(axis, x.type.rank)), x, indices)

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
