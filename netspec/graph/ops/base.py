"""The base of every primitive operation: attributes, shape rule, cost rule."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from netspec.errors import ShapeError
from netspec.graph.dims import Size
from netspec.graph.types import DType, TensorType

Types = tuple[TensorType, ...]


@dataclass(frozen=True)
class Op:
    """A primitive. Its fields are the attributes that a backend's lowering gets as keywords.

    `infer` is the shape rule; `macs` counts multiply-adds of matrix products and convolutions; `elementwise` counts
    all other arithmetic, one for each number computed; `reduction_length` is how many products or terms are summed
    into one output number, which bounds rounding errors.
    """

    differentiable: ClassVar[bool] = True
    # The output holds elements of all inputs, unchanged.
    moves_elements: ClassVar[bool] = False
    # The output's numbers are computed without rounding, and so are those that flow back.
    exact: ClassVar[bool] = False
    # The output's numbers are some of the inputs', so nothing is rounded; those that flow back are sums.
    selects: ClassVar[bool] = False
    # The output is drawn anew in every call.
    random: ClassVar[bool] = False

    def infer(self, *inputs: TensorType) -> Types:
        raise AssertionError(f"{type(self).__name__} has no shape rule")

    def macs(self, inputs: Types, outputs: Types) -> Size:
        return 0

    def elementwise(self, inputs: Types, outputs: Types) -> Size:
        return 0

    def reduction_length(self, inputs: Types) -> Size:
        return 1

    def index_bounds(self, inputs: Types) -> Mapping[int, Size]:
        """For each input that holds indices: its values are from 0 to below this size."""
        return {}

    def index_range(self, inputs: Types) -> tuple[Size, Size] | None:
        """Two ends between which the numbers of the last output lie, where it is integers and they are known."""
        return None

    def moved(self, inputs: Types) -> tuple[int, ...]:
        """The inputs whose elements the output holds, unchanged: a bound of its values is one of theirs."""
        return tuple(range(len(inputs))) if self.moves_elements else ()

    def attributes(self, resolve: Callable[[Size], Any]) -> Mapping[str, Any]:
        """The keywords for a lowering; `resolve` turns a symbolic size into the backend's number of this call."""
        return vars(self)

    @property
    def name(self) -> str:
        return type(self).__name__


def require_float(op: Op, *inputs: TensorType) -> None:
    for tensor in inputs:
        if tensor.dtype != "float":
            raise ShapeError(f"floating-point numbers are needed here, not {tensor}")


def require_numbers(*inputs: TensorType) -> None:
    for tensor in inputs:
        if tensor.dtype == "bool":
            raise ShapeError(f"numbers are needed here, not {tensor}")


def common_dtype(op: Op, *inputs: TensorType) -> DType:
    dtypes = {tensor.dtype for tensor in inputs}
    if len(dtypes) > 1:
        raise ShapeError(f"mixed types {' and '.join(map(str, inputs))}: nothing is converted silently")
    return inputs[0].dtype
