"""Primitives that work on each element alone, and constants."""

from __future__ import annotations

from dataclasses import dataclass

from netspec.errors import ShapeError
from netspec.graph.dims import Size
from netspec.graph.ops.base import Op, Types, common_dtype, require_float, require_numbers
from netspec.graph.types import INTEGERS, DType, TensorType, broadcast


@dataclass(frozen=True)
class Constant(Op):
    """One number, the same in every call."""

    value: float | int | bool
    dtype: DType = "float"
    exact = True

    def infer(self, *inputs: TensorType) -> Types:
        return (TensorType((), self.dtype),)


@dataclass(frozen=True)
class Unary(Op):
    """y = f(x), x of any shape."""

    def infer(self, *inputs: TensorType) -> Types:
        require_float(self, *inputs)
        return inputs

    def elementwise(self, inputs: Types, outputs: Types) -> Size:
        return outputs[0].size


class Exp(Unary):
    """y = e^x."""


class Log(Unary):
    """y = ln x."""


class Log1p(Unary):
    """y = ln(1 + x), exact also where x is small."""


class Expm1(Unary):
    """y = e^x - 1, exact also where x is small."""


class Sin(Unary):
    """y = sin x."""


class Cos(Unary):
    """y = cos x."""


class Sqrt(Unary):
    """y = sqrt(x); the derivative at 0 is infinite."""


class Rsqrt(Unary):
    """y = 1 / sqrt(x)."""


class Tanh(Unary):
    """y = tanh(x)."""


class Sigmoid(Unary):
    """y = 1 / (1 + e^-x)."""


class Erf(Unary):
    """y = 2 / sqrt(pi) * integral of e^(-t^2) from 0 to x."""


class Abs(Unary):
    """y = |x| of any numbers; the derivative at 0 is 0."""

    exact = True

    def infer(self, *inputs: TensorType) -> Types:
        require_numbers(*inputs)
        return inputs


class Relu(Unary):
    """y = max(x, 0); the derivative at 0 is 0."""

    exact = True


@dataclass(frozen=True)
class StopGradient(Op):
    """y = x, with derivative 0."""

    exact = True

    def infer(self, *inputs: TensorType) -> Types:
        return inputs


class Widen(Unary):
    """y = x, in float32 where the model's float type is narrower: for what is squared and summed within a layer."""

    exact = True

    def elementwise(self, inputs: Types, outputs: Types) -> Size:
        return 0


@dataclass(frozen=True)
class Narrow(Op):
    """y = x in the type of the second input: back from Widen."""

    exact = True

    def infer(self, *inputs: TensorType) -> Types:
        require_float(self, *inputs)
        return (inputs[0],)


@dataclass(frozen=True)
class Binary(Op):
    """y = f(a, b), both of one dtype, shapes broadcast."""

    def infer(self, *inputs: TensorType) -> Types:
        require_numbers(*inputs)
        dtype = common_dtype(self, *inputs)
        return (TensorType(broadcast([tensor.shape for tensor in inputs]), dtype),)

    def elementwise(self, inputs: Types, outputs: Types) -> Size:
        return outputs[0].size


class Add(Binary):
    """y = a + b."""


class Sub(Binary):
    """y = a - b."""


class Mul(Binary):
    """y = a * b."""


@dataclass(frozen=True)
class Div(Binary):
    """y = a / b, floats only."""

    def infer(self, *inputs: TensorType) -> Types:
        require_float(self, *inputs)
        return super().infer(*inputs)


@dataclass(frozen=True)
class Pow(Binary):
    """y = a^b, floats only. dy/da = b a^(b-1), and 0 where b = 0; dy/db = y ln a where a > 0, else 0."""

    def infer(self, *inputs: TensorType) -> Types:
        require_float(self, *inputs)
        return super().infer(*inputs)


class Maximum(Binary):
    """y = max(a, b); where both are equal each gets half of the gradient."""

    exact = True


class Minimum(Binary):
    """y = min(a, b); where both are equal each gets half of the gradient."""

    exact = True


@dataclass(frozen=True)
class Comparison(Op):
    """y = a ? b as a bool, both of one dtype, shapes broadcast."""

    differentiable = False
    exact = True

    def infer(self, *inputs: TensorType) -> Types:
        common_dtype(self, *inputs)
        return (TensorType(broadcast([tensor.shape for tensor in inputs]), "bool"),)

    def elementwise(self, inputs: Types, outputs: Types) -> Size:
        return outputs[0].size


@dataclass(frozen=True)
class Greater(Comparison):
    """y = a > b, numbers only."""

    def infer(self, *inputs: TensorType) -> Types:
        require_numbers(*inputs)
        return super().infer(*inputs)


class Equal(Comparison):
    """y = a == b."""


@dataclass(frozen=True)
class Logical(Op):
    """y = f(a, ...) of flags; shapes broadcast."""

    differentiable = False
    exact = True

    def infer(self, *inputs: TensorType) -> Types:
        for tensor in inputs:
            if tensor.dtype != "bool":
                raise ShapeError(f"flags of type bool are needed here, not {tensor}")
        return (TensorType(broadcast([tensor.shape for tensor in inputs]), "bool"),)

    def elementwise(self, inputs: Types, outputs: Types) -> Size:
        return outputs[0].size


class And(Logical):
    """y = a and b."""


class Or(Logical):
    """y = a or b."""


class Not(Logical):
    """y = not a."""


@dataclass(frozen=True)
class Where(Op):
    """y = a where the condition holds, else b; the three broadcast."""

    selects = True

    def infer(self, *inputs: TensorType) -> Types:
        condition, *values = inputs
        if condition.dtype != "bool":
            raise ShapeError(f"a condition of type bool is needed, not {condition}")
        dtype = common_dtype(self, *values)
        return (TensorType(broadcast([tensor.shape for tensor in inputs]), dtype),)

    def elementwise(self, inputs: Types, outputs: Types) -> Size:
        return outputs[0].size


@dataclass(frozen=True)
class Cast(Op):
    """y is x in another type; what has a fraction is cut off towards zero, and a flag is 0 or 1.

    The model's float type is not known here: for `float` a second input, a float, shows it.
    """

    dtype: DType
    differentiable = False
    exact = True

    def infer(self, *inputs: TensorType) -> Types:
        x, *like = inputs
        assert x.dtype != self.dtype != "bool", (x, self.dtype)
        assert [each.dtype for each in like] == ["float"] * (self.dtype == "float")
        return (TensorType(x.shape, self.dtype),)

    def elementwise(self, inputs: Types, outputs: Types) -> Size:
        return outputs[0].size

    def moved(self, inputs: Types) -> tuple[int, ...]:
        return (0,) if inputs[0].dtype in INTEGERS and self.dtype in INTEGERS else ()

    def index_range(self, inputs: Types) -> tuple[Size, Size] | None:
        return (0, 1) if inputs[0].dtype == "bool" and self.dtype in INTEGERS else None
