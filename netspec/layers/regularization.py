"""Layers that act in training only."""

from __future__ import annotations

from typing import Literal

from netspec.graph.builder import Builder
from netspec.graph.graph import Value
from netspec.layers.base import Layer
from netspec.layers.fields import DropProbability


class Dropout(Layer):
    """In training `y = x * mask / (1 - p)`, where each element of the mask is 0 with probability p, else 1.

    In inference y = x (Srivastava et al. 2014, in the inverted form).
    """

    type: Literal["dropout"] = "dropout"
    p: DropProbability = 0.5

    def expand(self, b: Builder, x: Value) -> Value:
        if not b.training or self.p == 0:
            return x
        return x * b.bernoulli(x, keep=1 - self.p) * (1 / (1 - self.p))
