"""Primitives that read nothing of x but its type and its sizes: a number of its type, positions along an axis."""

from __future__ import annotations

from dataclasses import dataclass

from netspec.graph.dims import Size
from netspec.graph.ops.base import Op, Types
from netspec.graph.types import TensorType


@dataclass(frozen=True)
class NumberLike(Op):
    """One number, the same in every call, in the type of x, where no other operand would give it a type."""

    value: float | int
    differentiable = False
    exact = True

    def infer(self, *inputs: TensorType) -> Types:
        (x,) = inputs
        return (TensorType((), x.dtype),)


@dataclass(frozen=True)
class Positions(Op):
    """The positions 0, 1, ... along `axis` of x, as a vector of int64."""

    axis: int
    differentiable = False
    exact = True

    def infer(self, *inputs: TensorType) -> Types:
        (x,) = inputs
        return (TensorType((x.shape[self.axis],), "int64"),)

    def index_range(self, inputs: Types) -> tuple[Size, Size] | None:
        return 0, inputs[0].shape[self.axis] - 1
