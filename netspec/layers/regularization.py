"""Layers that act in training only."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

from netspec.errors import ShapeError
from netspec.graph.builder import Builder
from netspec.graph.dims import Size, format_shape
from netspec.graph.graph import Value
from netspec.layers.activation import SELU_ALPHA, SELU_SCALE
from netspec.layers.base import Layer
from netspec.layers.fields import DropProbability


def dropped(b: Builder, x: Value, p: float) -> Value:
    """x after dropout: in training zero with probability `p`, else divided by 1 - p."""
    if not b.training or p == 0:
        return x
    return x * b.bernoulli(x, keep=1 - p) * (1 / (1 - p))


class Dropout(Layer):
    """In training `y = x * mask / (1 - p)`, where each element of the mask is 0 with probability p, else 1.

    In inference y = x (Srivastava et al. 2014, in the inverted form).
    """

    type: Literal["dropout"] = "dropout"
    p: DropProbability = 0.5

    def expand(self, b: Builder, x: Value) -> Value:
        return dropped(b, x, self.p)


class Dropout2d(Layer):
    """In training `y = x * mask / (1 - p)`, the mask 0 with probability p for a whole channel of a sample, else 1.

    x is `[batch, channels, *spatial]` with any number of spatial axes. In inference y = x (Tompson et al. 2015).
    """

    type: Literal["dropout2d"] = "dropout2d"
    p: DropProbability = 0.5

    def expand(self, b: Builder, x: Value) -> Value:
        if x.type.rank < 3:
            raise ShapeError(f"its input must be [batch, channels, *spatial], got {format_shape(x.shape)}")
        if not b.training or self.p == 0:
            return x
        batch, channels, *spatial = x.shape
        return x * (_mask(b, (batch, channels, *(1 for _ in spatial)), self.p) * (1 / (1 - self.p)))


class AlphaDropout(Layer):
    """Dropout that keeps mean 0 and variance 1, to stand behind `selu` (Klambauer et al. 2017).

    In training y = a (x mask - alpha (1 - mask)) + a alpha p, where each element of the mask is 0 with probability p,
    else 1, alpha = 1.6732... * 1.0507... and a = 1 / sqrt((1 - p) (1 + alpha^2 p)). In inference y = x.
    """

    type: Literal["alpha_dropout"] = "alpha_dropout"
    p: DropProbability = 0.5

    def expand(self, b: Builder, x: Value) -> Value:
        if not b.training or self.p == 0:
            return x
        alpha = SELU_ALPHA * SELU_SCALE
        a = 1 / math.sqrt((1 - self.p) * (1 + alpha * alpha * self.p))
        mask = b.bernoulli(x, keep=1 - self.p)
        return x * mask * a + (mask * (alpha * a) + (self.p - 1) * alpha * a)


class StochasticDepth(Layer):
    """In training `y = x * mask / (1 - p)`, the mask 0 with probability p for all of a sample at once, else 1.

    With `mode: batch` one number decides for the whole batch. In inference y = x. To stand at the end of a residual
    branch (Huang et al. 2016), as torchvision's.
    """

    type: Literal["stochastic_depth"] = "stochastic_depth"
    p: DropProbability
    mode: Literal["row", "batch"] = "row"

    def expand(self, b: Builder, x: Value) -> Value:
        if x.type.rank < 1:
            raise ShapeError("its input must be [batch, ...], got []")
        if not b.training or self.p == 0:
            return x
        rows = x.shape[0] if self.mode == "row" else 1
        return x * (_mask(b, (rows, *(1 for _ in x.shape[1:])), self.p) * (1 / (1 - self.p)))


def _mask(b: Builder, shape: Sequence[Size], p: float) -> Value:
    """Numbers that are 0 with probability p, else 1."""
    return b.bernoulli(b.full(1.0, shape), keep=1 - p)
