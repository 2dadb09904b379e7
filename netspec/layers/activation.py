"""Activation layers: one function of each element, and softmax."""

from __future__ import annotations

import math
from typing import Literal

from netspec.graph.builder import Builder
from netspec.graph.graph import Value
from netspec.layers.base import Layer
from netspec.layers.fields import Axis, Real


class Relu(Layer):
    """`max(x, 0)`; the derivative at 0 is 0."""

    type: Literal["relu"] = "relu"
    elementwise = True

    def expand(self, b: Builder, x: Value) -> Value:
        return b.relu(x)


class LeakyRelu(Layer):
    """`x` where x > 0, else `negative_slope * x`; the derivative at 0 is the slope (Maas et al. 2013)."""

    type: Literal["leaky_relu"] = "leaky_relu"
    elementwise = True
    negative_slope: Real = 0.01

    def expand(self, b: Builder, x: Value) -> Value:
        return b.where(b.greater(x, 0.0), x, x * self.negative_slope)


class Gelu(Layer):
    """`x * (1 + erf(x / sqrt(2))) / 2`, the exact form (Hendrycks, Gimpel 2016); the tanh form is `gelu_tanh`."""

    type: Literal["gelu"] = "gelu"
    elementwise = True

    def expand(self, b: Builder, x: Value) -> Value:
        return x * 0.5 * (b.erf(x * math.sqrt(0.5)) + 1.0)


class Silu(Layer):
    """`x / (1 + exp(-x))`, also called swish (Elfwing, Uchibe, Doya 2017)."""

    type: Literal["silu"] = "silu"
    elementwise = True

    def expand(self, b: Builder, x: Value) -> Value:
        return x * b.sigmoid(x)


class Sigmoid(Layer):
    """`1 / (1 + exp(-x))`."""

    type: Literal["sigmoid"] = "sigmoid"
    elementwise = True

    def expand(self, b: Builder, x: Value) -> Value:
        return b.sigmoid(x)


class Tanh(Layer):
    """`tanh(x)`."""

    type: Literal["tanh"] = "tanh"
    elementwise = True

    def expand(self, b: Builder, x: Value) -> Value:
        return b.tanh(x)


class Softmax(Layer):
    """`exp(x) / sum(exp(x))` over the axis `dim`, taken of `x - max(x)` so that nothing overflows."""

    type: Literal["softmax"] = "softmax"
    dim: Axis = -1

    def expand(self, b: Builder, x: Value) -> Value:
        e = b.exp(x - b.stop_gradient(b.max(x, self.dim, keepdims=True)))
        return e / b.sum(e, self.dim, keepdims=True)
