"""Layers that read no other: parameter, constant, arange, zeros, ones; and buffer, which saves a constant."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Annotated, Any, Literal

from pydantic import AfterValidator

from netspec.errors import NetspecError
from netspec.graph.builder import Builder
from netspec.graph.graph import Value
from netspec.graph.types import MAX_RANK, DType
from netspec.layers.base import Layer
from netspec.layers.fields import Expected, NewShape, Whole, WholeOrSymbolic


class Parameter(Layer):
    """A parameter of `shape`, trained; its path is the entry's own. `init`, which is required, is its initialiser."""

    type: Literal["parameter"] = "parameter"
    shape: NewShape

    def expand(self, b: Builder) -> Value:
        return b.param("", self.shape, None)


class Buffer(Layer):
    """Its input, a constant, under the entry's own path in the weights: saved, never trained.

    A loaded value replaces it.
    """

    type: Literal["buffer"] = "buffer"

    def expand(self, b: Builder, x: Value) -> Value:
        return b.buffer("", x.shape, b.computed(x), x.type.dtype)


def _shape_of(value: Any) -> tuple[int, ...]:
    """The shape of nested lists, or a ValueError where they are uneven, empty or too deep."""
    if not isinstance(value, list):
        return ()
    shapes = {_shape_of(each) for each in value}
    if len(shapes) != 1 or len(next(iter(shapes))) >= MAX_RANK:
        raise ValueError
    return (len(value), *next(iter(shapes)))


def _numbers(value: Any) -> Iterator[Any]:
    if isinstance(value, list):
        for each in value:
            yield from _numbers(each)
    else:
        yield value


def _dtype_of(numbers: list[Any]) -> DType:
    """Flags alone are bool, integers alone int64, numbers with a float among them float; else a ValueError."""
    kinds = {type(number) for number in numbers}
    if kinds == {bool}:
        return "bool"
    if kinds == {int}:
        return "int64"
    if not kinds <= {int, float} or not all(math.isfinite(number) for number in numbers):
        raise ValueError
    return "float"


def _check(value: Any) -> Any:
    _shape_of(value)
    _dtype_of(list(_numbers(value)))
    return value


class Constant(Layer):
    """`value`: a number, a flag, or a list of them, nested evenly; not saved.

    Integers alone give int64, true and false bool, everything else the model's float type.
    """

    type: Literal["constant"] = "constant"
    value: Annotated[
        Any, AfterValidator(_check), Expected("a number, true or false, or a list of one kind of them, nested evenly")
    ]

    def expand(self, b: Builder) -> Value:
        numbers = list(_numbers(self.value))
        dtype = _dtype_of(numbers)
        return b.array([float(n) for n in numbers] if dtype == "float" else numbers, _shape_of(self.value), dtype)


class Arange(Layer):
    """`start, start + step, ...` up to but without `end`, int64, not saved; the ends may be sizes, as $(time)."""

    type: Literal["arange"] = "arange"
    start: WholeOrSymbolic = 0
    end: WholeOrSymbolic
    step: Whole = 1

    def expand(self, b: Builder) -> Value:
        if self.step == 0:
            raise NetspecError("step must not be 0")
        way = self.end - self.start if self.step > 0 else self.start - self.end
        size = (way + (abs(self.step) - 1)) // abs(self.step)
        if isinstance(size, int) and size < 1:
            raise NetspecError(f"there is nothing from {self.start} to {self.end} in steps of {self.step}")
        return b.arange(self.start, size, self.step)


class Zeros(Layer):
    """Zeros of the model's float type under `shape`, whose sizes may be symbolic; not saved."""

    type: Literal["zeros"] = "zeros"
    shape: NewShape

    def expand(self, b: Builder) -> Value:
        return b.full(0.0, self.shape)


class Ones(Layer):
    """Ones of the model's float type under `shape`, whose sizes may be symbolic; not saved."""

    type: Literal["ones"] = "ones"
    shape: NewShape

    def expand(self, b: Builder) -> Value:
        return b.full(1.0, self.shape)
