"""Layers of flags and types: compare, where, cast; and stop_gradient."""

from __future__ import annotations

from typing import Annotated, Literal

from netspec.errors import ShapeError
from netspec.graph.builder import Builder
from netspec.graph.graph import Value
from netspec.graph.types import DType
from netspec.layers.base import Layer
from netspec.layers.fields import Expected


class Compare(Layer):
    """Whether `x op other`, element by element: flags of type bool, without a gradient; shapes broadcast.

    `op` is one of `== != < <= > >=` (in quotes: YAML has a meaning for `>`). The other side is the number `value`, or
    the optional input `other`, of the type of x. Flags can be equal or not, and have no order. `x >= other` is
    `x > other or x == other`, so that it is false of NaN.
    """

    type: Literal["compare"] = "compare"
    op: Annotated[Literal["==", "!=", "<", "<=", ">", ">="], Expected("one of == != < <= > >=")]
    value: Annotated[int | float | None, Expected("a number")] = None

    def expand(self, b: Builder, x: Value, other: Value | None = None) -> Value:
        if (self.value is None) == (other is None):
            raise ShapeError("the other side is a value or an input, from: {x: a, other: b}: give one of the two")
        if other is not None:
            return b.compare(self.op, x, other)
        assert self.value is not None
        if x.type.dtype == "bool":
            raise ShapeError(f"value {self.value} does not fit {x.type}: compare flags with an input")
        if x.type.dtype == "int32" and not -(2**31) <= self.value < 2**31:
            raise ShapeError(f"value {self.value} does not fit {x.type}")
        return b.compare(self.op, x, self.value)


class Where(Layer):
    """x where the condition holds, else other, element by element; the three shapes broadcast (torch.where).

    The condition is of type bool, x and other are of one type. The gradient goes to the side that was taken alone.
    """

    type: Literal["where"] = "where"

    def expand(self, b: Builder, condition: Value, x: Value, other: Value) -> Value:
        return b.where(condition, x, other)


class Cast(Layer):
    """x as another `dtype`: `float` (the model's float type), `int64`, `int32` or `bool` (torch.Tensor.to).

    A float becomes an integer by cutting off its fraction, towards zero; what does not fit, NaN among it, is undefined.
    True is 1 and false 0; a number is true where it is not 0. Between floats and integers no gradient flows; from float
    to float x is itself. Without 64-bit numbers JAX holds int64 as int32.
    """

    type: Literal["cast"] = "cast"
    dtype: Annotated[DType, Expected("float, int64, int32 or bool")]

    def expand(self, b: Builder, x: Value) -> Value:
        return b.cast(x, self.dtype)


class StopGradient(Layer):
    """x itself, with derivative 0 (torch.Tensor.detach); of any type."""

    type: Literal["stop_gradient"] = "stop_gradient"
    elementwise = True

    def expand(self, b: Builder, x: Value) -> Value:
        return b.stop_gradient(x)
