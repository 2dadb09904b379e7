"""Primitives that draw numbers, in every call anew."""

from __future__ import annotations

from dataclasses import dataclass

from netspec.graph.dims import Size
from netspec.graph.ops.base import Op, Types, require_float
from netspec.graph.types import TensorType


@dataclass(frozen=True)
class Draw(Op):
    """One number for every element of x, independent of its value; y has x's type."""

    differentiable = False
    exact = True
    random = True

    def infer(self, *inputs: TensorType) -> Types:
        require_float(self, *inputs)
        return inputs

    def elementwise(self, inputs: Types, outputs: Types) -> Size:
        return outputs[0].size


@dataclass(frozen=True)
class Bernoulli(Draw):
    """1 with probability `keep`, else 0."""

    keep: float


class Normal(Draw):
    """Standard normal: mean 0, variance 1."""


class Uniform(Draw):
    """Uniform in [0, 1)."""
