"""Activation layers: one function of each element, and softmax, log_softmax and glu along an axis."""

from __future__ import annotations

import math
from typing import ClassVar, Literal

from pydantic import model_validator

from netspec.errors import ShapeError
from netspec.graph.builder import Builder
from netspec.graph.dims import divide, format_shape
from netspec.graph.graph import Value
from netspec.graph.types import normal_axis
from netspec.layers.base import Layer
from netspec.layers.fields import Axis, PositiveFloat, Real
from netspec.layers.initializers import Constant

# Of selu (Klambauer et al. 2017): they keep mean 0 and variance 1 fixed.
SELU_ALPHA = 1.6732632423543772848170429916717
SELU_SCALE = 1.0507009873554804934193349852946
ROOT_2_PI = math.sqrt(2 / math.pi)


class Relu(Layer):
    """`max(x, 0)`; the derivative at 0 is 0."""

    type: Literal["relu"] = "relu"
    elementwise = True

    def expand(self, b: Builder, x: Value) -> Value:
        return b.relu(x)


class Relu6(Layer):
    """`min(max(x, 0), 6)`; the derivative at 0 and at 6 is 0 (Krizhevsky 2010)."""

    type: Literal["relu6"] = "relu6"
    elementwise = True

    def expand(self, b: Builder, x: Value) -> Value:
        return _clipped(b, x, 0.0, 6.0)


class LeakyRelu(Layer):
    """`x` where x > 0, else `negative_slope * x`; the derivative at 0 is the slope (Maas et al. 2013)."""

    type: Literal["leaky_relu"] = "leaky_relu"
    elementwise = True
    negative_slope: Real = 0.01

    def expand(self, b: Builder, x: Value) -> Value:
        return b.where(b.greater(x, 0.0), x, x * self.negative_slope)


class PRelu(Layer):
    """`x` where x > 0, else `weight * x`; the derivative at 0 is the weight (He et al. 2015).

    `shape` is `scalar`, one weight `[1]` for all, or `channel`, `[channels]` for x `[batch, channels, ...]`. Weights
    start at 0.25.
    """

    type: Literal["prelu"] = "prelu"
    shape: Literal["scalar", "channel"] = "scalar"

    def expand(self, b: Builder, x: Value) -> Value:
        start = Constant(value=0.25)
        if self.shape == "scalar":
            weight = b.reshape(b.param("weight", (1,), start), ())
        elif x.type.rank < 2:
            raise ShapeError(f"its input must be [batch, channels, ...], got {format_shape(x.shape)}")
        else:
            channels = x.shape[1]
            weight = b.reshape(b.param("weight", (channels,), start), (channels, *(1 for _ in x.shape[2:])))
        return b.where(b.greater(x, 0.0), x, x * weight)


class Elu(Layer):
    """`x` where x > 0, else `alpha * (exp(x) - 1)`; the derivative at 0 is alpha (Clevert et al. 2016)."""

    type: Literal["elu"] = "elu"
    elementwise = True
    alpha: Real = 1.0

    def expand(self, b: Builder, x: Value) -> Value:
        return _exponential(b, x, self.alpha, 1.0)


class Selu(Layer):
    """`1.0507... * elu(x)` with alpha 1.6732...; the derivative at 0 is their product (Klambauer et al. 2017)."""

    type: Literal["selu"] = "selu"
    elementwise = True

    def expand(self, b: Builder, x: Value) -> Value:
        return _exponential(b, x, SELU_ALPHA, 1.0) * SELU_SCALE


class Celu(Layer):
    """`x` where x > 0, else `alpha * (exp(x / alpha) - 1)`, alpha above 0 (Barron 2017); the derivative at 0 is 1."""

    type: Literal["celu"] = "celu"
    elementwise = True
    alpha: PositiveFloat = 1.0

    def expand(self, b: Builder, x: Value) -> Value:
        return _exponential(b, x, self.alpha, self.alpha)


class Gelu(Layer):
    """`x * (1 + erf(x / sqrt(2))) / 2`, the exact form (Hendrycks, Gimpel 2016); the tanh form is `gelu_tanh`."""

    type: Literal["gelu"] = "gelu"
    elementwise = True

    def expand(self, b: Builder, x: Value) -> Value:
        return x * 0.5 * (b.erf(x * math.sqrt(0.5)) + 1.0)


class GeluTanh(Layer):
    """`x * (1 + tanh(sqrt(2 / pi) * (x + 0.044715 x^3))) / 2`, at most 4.7e-4 off `gelu` (Hendrycks, Gimpel 2016)."""

    type: Literal["gelu_tanh"] = "gelu_tanh"
    elementwise = True

    def expand(self, b: Builder, x: Value) -> Value:
        # Above 16 tanh is 1 to the last bit of a float64, and its derivative 0: a square that overflows, as that of 256
        # does in float16, would make this NaN.
        square = b.minimum(x * x, 256.0)
        inner = x * (square * (0.044715 * ROOT_2_PI) + ROOT_2_PI)
        return x * 0.5 * (b.tanh(inner) + 1.0)


class QuickGelu(Layer):
    """`x / (1 + exp(-1.702 x))`, the sigmoid form of gelu (Hendrycks, Gimpel 2016), as CLIP has it."""

    type: Literal["quick_gelu"] = "quick_gelu"
    elementwise = True

    def expand(self, b: Builder, x: Value) -> Value:
        return x * b.sigmoid(x * 1.702)


class Silu(Layer):
    """`x / (1 + exp(-x))`, also called swish (Elfwing, Uchibe, Doya 2017)."""

    type: Literal["silu"] = "silu"
    elementwise = True

    def expand(self, b: Builder, x: Value) -> Value:
        return x * b.sigmoid(x)


class Mish(Layer):
    """`x * tanh(softplus(x))` (Misra 2019)."""

    type: Literal["mish"] = "mish"
    elementwise = True

    def expand(self, b: Builder, x: Value) -> Value:
        return x * b.tanh(_softplus(b, x))


class Softplus(Layer):
    """`log(1 + exp(beta x)) / beta`, beta above 0, exact for every x (Dugas et al. 2001).

    There is no `threshold`, above which torch gives x itself: 25 gives 25.0000000000139.
    """

    type: Literal["softplus"] = "softplus"
    elementwise = True
    beta: PositiveFloat = 1.0

    refused: ClassVar = {"threshold": "softplus is exact for every x here; PyTorch gives x itself above its threshold"}

    def expand(self, b: Builder, x: Value) -> Value:
        return _softplus(b, x) if self.beta == 1 else _softplus(b, x * self.beta) * (1 / self.beta)


class Softsign(Layer):
    """`x / (1 + |x|)`."""

    type: Literal["softsign"] = "softsign"
    elementwise = True

    def expand(self, b: Builder, x: Value) -> Value:
        return x / (b.abs(x) + 1.0)


class Sigmoid(Layer):
    """`1 / (1 + exp(-x))`."""

    type: Literal["sigmoid"] = "sigmoid"
    elementwise = True

    def expand(self, b: Builder, x: Value) -> Value:
        return b.sigmoid(x)


class LogSigmoid(Layer):
    """`-log(1 + exp(-x))`, exact for every x."""

    type: Literal["logsigmoid"] = "logsigmoid"
    elementwise = True

    def expand(self, b: Builder, x: Value) -> Value:
        return _softplus(b, x * -1.0) * -1.0


class HardSigmoid(Layer):
    """`min(max(x + 3, 0), 6) / 6`; the derivative at -3 and at 3 is 0 (Howard et al. 2019)."""

    type: Literal["hardsigmoid"] = "hardsigmoid"
    elementwise = True

    def expand(self, b: Builder, x: Value) -> Value:
        return _clipped(b, x + 3.0, 0.0, 6.0) * (1 / 6)


class HardSwish(Layer):
    """`x * hardsigmoid(x)`; the derivative is 0 at -3, 1 at 3 (Howard et al. 2019)."""

    type: Literal["hardswish"] = "hardswish"
    elementwise = True

    def expand(self, b: Builder, x: Value) -> Value:
        return x * (_clipped(b, x + 3.0, 0.0, 6.0) * (1 / 6))


class HardTanh(Layer):
    """`min(max(x, min_val), max_val)`; the derivative at both bounds is 0 (Collobert 2004)."""

    type: Literal["hardtanh"] = "hardtanh"
    elementwise = True
    min_val: Real = -1.0
    max_val: Real = 1.0

    @model_validator(mode="after")
    def _in_order(self) -> HardTanh:
        if not self.min_val < self.max_val:
            raise ValueError(f"min_val {self.min_val:g} is not below max_val {self.max_val:g}")
        return self

    def expand(self, b: Builder, x: Value) -> Value:
        return _clipped(b, x, self.min_val, self.max_val)


class Tanh(Layer):
    """`tanh(x)`."""

    type: Literal["tanh"] = "tanh"
    elementwise = True

    def expand(self, b: Builder, x: Value) -> Value:
        return b.tanh(x)


class Threshold(Layer):
    """`value` where x <= `threshold`, else `x`, NaN among it; the derivative at the threshold is 0."""

    type: Literal["threshold"] = "threshold"
    elementwise = True
    threshold: Real
    value: Real

    def expand(self, b: Builder, x: Value) -> Value:
        return b.where(b.compare("<=", x, self.threshold), self.value, x)


class Softmax(Layer):
    """`exp(x) / sum(exp(x))` over the axis `dim`, taken of `x - max(x)` so that nothing overflows."""

    type: Literal["softmax"] = "softmax"
    dim: Axis = -1

    def expand(self, b: Builder, x: Value) -> Value:
        e = b.exp(x - b.max(b.stop_gradient(x), self.dim, keepdims=True))
        return e / b.sum(e, self.dim, keepdims=True)


class LogSoftmax(Layer):
    """`x - log(sum(exp(x)))` over the axis `dim`, taken of `x - max(x)` so that nothing overflows."""

    type: Literal["log_softmax"] = "log_softmax"
    dim: Axis = -1

    def expand(self, b: Builder, x: Value) -> Value:
        below = x - b.max(b.stop_gradient(x), self.dim, keepdims=True)
        return below - b.log(b.sum(b.exp(below), self.dim, keepdims=True))


class Glu(Layer):
    """`a * sigmoid(b)`, a the first half of x along `dim`, b the second (Dauphin et al. 2017); the size is even."""

    type: Literal["glu"] = "glu"
    dim: Axis = -1

    def expand(self, b: Builder, x: Value) -> Value:
        axis = normal_axis(self.dim, x.type.rank)
        half = divide(x.shape[axis], 2)
        if half is None:
            raise ShapeError(f"the size of dimension {self.dim} must be even, got {format_shape(x.shape)}")
        halves = b.reshape(x, (*x.shape[:axis], 2, half, *x.shape[axis + 1 :]))
        return b.select(halves, axis, 0) * b.sigmoid(b.select(halves, axis, 1))


def _clipped(b: Builder, x: Value, low: float, high: float) -> Value:
    """x between the bounds, whose derivative at the bounds is 0."""
    inside = b.logical_and(b.greater(x, low), b.greater(high, x))
    return b.where(inside, x, b.stop_gradient(b.minimum(b.maximum(x, low), high)))


def _exponential(b: Builder, x: Value, alpha: float, width: float) -> Value:
    """`x` where x > 0, else `alpha (exp(x / width) - 1)`.

    exp is never taken of a large number, whose infinity times the 0 of what is not chosen would be a gradient of NaN.
    """
    above = b.greater(x, 0.0)
    below = b.where(above, 0.0, x)
    return b.where(above, x, b.expm1(below if width == 1 else below * (1 / width)) * alpha)


def _softplus(b: Builder, x: Value) -> Value:
    """`max(x, 0) + log(1 + exp(-|x|))`, written so that its derivative at 0 is 1 / 2."""
    above = b.greater(x, 0.0)
    far = b.where(above, x * -1.0, x)
    return b.where(above, x, 0.0) + b.log1p(b.exp(far))
