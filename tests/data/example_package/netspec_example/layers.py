"""Two layers that netspec does not have. Every backend runs them, as their bodies are primitives."""

from __future__ import annotations

from typing import Literal

from netspec.graph.builder import Builder
from netspec.graph.graph import Value
from netspec.layers.base import Layer
from netspec.layers.fields import Axis, PositiveFloat


class Squareplus(Layer):
    """`(x + sqrt(x^2 + b)) / 2`, an algebraic softplus (Barron 2021, arXiv 2112.11687)."""

    type: Literal["squareplus"] = "squareplus"
    b: PositiveFloat = 4.0

    def expand(self, b: Builder, x: Value) -> Value:
        return (x + b.sqrt(x * x + self.b)) * 0.5


class LayerScale(Layer):
    """`x * gamma`, a factor for each index along `dim` (Touvron et al. 2021, arXiv 2103.17239); gamma starts at 1."""

    type: Literal["layer_scale"] = "layer_scale"
    dim: Axis = 1

    def expand(self, b: Builder, x: Value) -> Value:
        axis = self.dim % x.type.rank
        shape = tuple(size if at == axis else 1 for at, size in enumerate(x.shape))
        return x * b.reshape(b.param("gamma", (x.shape[axis],), "ones"), shape)
