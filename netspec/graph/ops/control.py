"""Control flow: a part of the graph that runs more than once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from netspec.errors import ShapeError
from netspec.graph.dims import Size, compare, format_shape
from netspec.graph.ops.base import Op, Types
from netspec.graph.types import TensorType


class Steps(Protocol):
    """What a scan runs at each step; `graph.ScanBody` is the one there is."""

    @property
    def input_types(self) -> Types: ...

    @property
    def output_types(self) -> Types: ...

    def cost(self, rule: str) -> Size:
        """What one step costs by the rule `macs` or `elementwise`."""


@dataclass(frozen=True)
class Scan(Op):
    """Runs `body` once for each slice of the first inputs along their `slice_axes`, in order.

    Inputs: what is sliced; the first values of what is carried from step to step; what is the same in every step.
    Outputs: the last values of what is carried; what each step gave of the others, stacked along `stack_axes`.
    The body reads and gives them in the same order.
    """

    body: Any  # of Steps
    slice_axes: tuple[int, ...]
    stack_axes: tuple[int, ...]
    carried: int

    def infer(self, *inputs: TensorType) -> Types:
        sliced = [remove_axis(x, axis) for x, axis in zip(inputs, self.slice_axes, strict=False)]
        given = (*sliced, *inputs[len(sliced) :])
        body: Steps = self.body
        assert given == body.input_types, (given, body.input_types)
        steps = scan_steps(inputs, self.slice_axes)
        results = body.output_types
        stacked = zip(results[self.carried :], self.stack_axes, strict=True)
        return (*results[: self.carried], *(insert_axis(x, axis, steps) for x, axis in stacked))

    def macs(self, inputs: Types, outputs: Types) -> Size:
        body: Steps = self.body
        return scan_steps(inputs, self.slice_axes) * body.cost("macs")

    def elementwise(self, inputs: Types, outputs: Types) -> Size:
        body: Steps = self.body
        return scan_steps(inputs, self.slice_axes) * body.cost("elementwise")


def scan_steps(inputs: Sequence[TensorType], axes: Sequence[int]) -> Size:
    """How many steps there are: the one size of what is sliced. Raises ShapeError where sizes differ."""
    sizes = [x.shape[axis] for x, axis in zip(inputs, axes, strict=False)]
    for x, size in zip(inputs, sizes, strict=False):
        if not compare(size, "==", sizes[0]):
            first, other = format_shape(inputs[0].shape), format_shape(x.shape)
            raise ShapeError(f"scan walks along one size: {sizes[0]} of {first}, {size} of {other}")
    return sizes[0]


def remove_axis(x: TensorType, axis: int) -> TensorType:
    """The type of one slice along `axis`."""
    return x.with_shape(x.shape[:axis] + x.shape[axis + 1 :])


def insert_axis(x: TensorType, axis: int, size: Size) -> TensorType:
    """The type of `size` of them stacked along `axis`."""
    return x.with_shape((*x.shape[:axis], size, *x.shape[axis:]))
