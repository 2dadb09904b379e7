"""Layers that compute each element alone, of one tensor or two: differences, powers, exponentials, the larger."""

from __future__ import annotations

from typing import ClassVar, Literal

from netspec.errors import ShapeError
from netspec.graph.builder import Builder
from netspec.graph.graph import Value
from netspec.layers.base import Layer
from netspec.layers.fields import Real


class Sub(Layer):
    """`x - other` of numbers of one type; shapes broadcast (torch.sub)."""

    type: Literal["sub"] = "sub"

    def expand(self, b: Builder, x: Value, other: Value) -> Value:
        return x - other


class Div(Layer):
    """`x / other` of floats; shapes broadcast. Integers are refused: cast them (torch.div)."""

    type: Literal["div"] = "div"

    def expand(self, b: Builder, x: Value, other: Value) -> Value:
        return x / other


class Neg(Layer):
    """`-x` of any numbers (torch.neg)."""

    type: Literal["neg"] = "neg"
    elementwise = True

    def expand(self, b: Builder, x: Value) -> Value:
        return x * -1


class Abs(Layer):
    """`|x|` of any numbers; the derivative at 0 is 0 (torch.abs)."""

    type: Literal["abs"] = "abs"
    elementwise = True

    def expand(self, b: Builder, x: Value) -> Value:
        return b.abs(x)


class Exp(Layer):
    """`e^x` (torch.exp)."""

    type: Literal["exp"] = "exp"
    elementwise = True

    def expand(self, b: Builder, x: Value) -> Value:
        return b.exp(x)


class Log(Layer):
    """`ln x`, the natural logarithm: -inf at 0, NaN below (torch.log)."""

    type: Literal["log"] = "log"
    elementwise = True

    def expand(self, b: Builder, x: Value) -> Value:
        return b.log(x)


class Sqrt(Layer):
    """`sqrt(x)`; the derivative at 0 is infinite, so add a small number where x may be 0 (torch.sqrt)."""

    type: Literal["sqrt"] = "sqrt"
    elementwise = True

    def expand(self, b: Builder, x: Value) -> Value:
        return b.sqrt(x)


class Sin(Layer):
    """`sin x`, x in radians (torch.sin)."""

    type: Literal["sin"] = "sin"
    elementwise = True

    def expand(self, b: Builder, x: Value) -> Value:
        return b.sin(x)


class Cos(Layer):
    """`cos x`, x in radians (torch.cos)."""

    type: Literal["cos"] = "cos"
    elementwise = True

    def expand(self, b: Builder, x: Value) -> Value:
        return b.cos(x)


class Pow(Layer):
    """`x^exponent` of floats, the exponent a number or an optional second input; shapes broadcast (torch.pow).

    A negative x has a power for whole exponents only, else it is NaN; `0^0` is 1. The derivative by x is
    `exponent * x^(exponent - 1)`, and 0 for the exponent 0; that by the exponent is `x^exponent * ln x` where x > 0,
    else 0 (torch: NaN at x < 0).
    """

    type: Literal["pow"] = "pow"
    exponent: Real | None = None

    def expand(self, b: Builder, x: Value, exponent: Value | None = None) -> Value:
        if (self.exponent is None) == (exponent is None):
            raise ShapeError("exponent is a number or an input, from: {x: a, exponent: b}: give one of the two")
        if exponent is not None:
            return b.pow(x, exponent)
        assert self.exponent is not None
        return x * x if self.exponent == 2 and x.type.dtype == "float" else b.pow(x, float(self.exponent))


class Maximum(Layer):
    """The larger of x and other, element by element; shapes broadcast (torch.maximum).

    Of two equals each gets half of the gradient.
    """

    type: Literal["maximum"] = "maximum"

    refused: ClassVar = {"dim": "maximum compares two tensors: max takes the largest number along dim"}

    def expand(self, b: Builder, x: Value, other: Value) -> Value:
        return b.maximum(x, other)


class Minimum(Layer):
    """The smaller of x and other, element by element; shapes broadcast (torch.minimum).

    Of two equals each gets half of the gradient.
    """

    type: Literal["minimum"] = "minimum"

    refused: ClassVar = {"dim": "minimum compares two tensors: min takes the smallest number along dim"}

    def expand(self, b: Builder, x: Value, other: Value) -> Value:
        return b.minimum(x, other)
