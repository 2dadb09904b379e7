"""Primitives that cut, turn round and surround: slice, flip, pad."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from netspec.graph.dims import Size
from netspec.graph.ops.base import Op, Types
from netspec.graph.types import INTEGERS, TensorType


@dataclass(frozen=True)
class Slice(Op):
    """The elements begin, begin + step, ... below `end` along `axis`; 0 <= begin < end <= size, step from 1 up."""

    axis: int
    begin: Size
    end: Size
    step: int = 1
    moves_elements = True
    exact = True

    def infer(self, *inputs: TensorType) -> Types:
        (x,) = inputs
        count = (self.end - self.begin + (self.step - 1)) // self.step
        return (x.with_shape((*x.shape[: self.axis], count, *x.shape[self.axis + 1 :])),)

    def attributes(self, resolve: Callable[[Size], Any]) -> Mapping[str, Any]:
        begin, end = (n if isinstance(n, int) else resolve(n) for n in (self.begin, self.end))
        return {"axis": self.axis, "begin": begin, "end": end, "step": self.step}


@dataclass(frozen=True)
class Flip(Op):
    """The elements along each of `axes` in reverse order."""

    axes: tuple[int, ...]
    moves_elements = True
    exact = True

    def infer(self, *inputs: TensorType) -> Types:
        return inputs


@dataclass(frozen=True)
class Pad(Op):
    """x with `value` around it: for each axis, (begin, end) of `padding` more elements, none below 0."""

    padding: tuple[tuple[int, int], ...]
    value: float | int | bool = 0
    moves_elements = True
    exact = True

    def infer(self, *inputs: TensorType) -> Types:
        (x,) = inputs
        sizes = zip(x.shape, self.padding, strict=True)
        return (x.with_shape([begin + size + end for size, (begin, end) in sizes]),)

    def index_range(self, inputs: Types) -> tuple[Size, Size] | None:
        """Of what is added: the elements of x are followed to where they come from."""
        value = int(self.value)
        return (value, value) if inputs[0].dtype in INTEGERS and any(map(any, self.padding)) else None
