"""The primitive that turns positions into sines and cosines of a row of frequencies."""

from __future__ import annotations

from dataclasses import dataclass

from netspec.errors import ShapeError
from netspec.graph.dims import Size
from netspec.graph.ops.base import Op, Types
from netspec.graph.ops.indexing import require_indices
from netspec.graph.types import TensorType


@dataclass(frozen=True)
class SinCos(Op):
    """sin and cos of `positions[...] * base^(-k / count)`, for k from 0 to below `count` along a new last axis.

    Both come in the type of x, of which nothing else is read. Angles are taken in float32 at least: bfloat16 holds no
    257, and an angle that is wrong by a part of 2^8 is wrong by radians at the positions of a text.
    """

    count: int
    base: float
    differentiable = False

    def infer(self, *inputs: TensorType) -> Types:
        positions, x = inputs
        require_indices(positions)
        if x.dtype != "float":
            raise ShapeError(f"floating-point numbers are needed here, not {x}")
        result = TensorType((*positions.shape, self.count), x.dtype)
        return result, result

    def elementwise(self, inputs: Types, outputs: Types) -> Size:
        return outputs[0].size * 3
