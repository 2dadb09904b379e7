"""The base of every layer: its configuration fields, its inputs and outputs by name."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import ClassVar

from pydantic import BaseModel, ConfigDict

from netspec.errors import ShapeError
from netspec.graph.dims import format_shape
from netspec.graph.graph import Value


class Layer(BaseModel):
    """A layer of the language: fields, and `expand(b, x)` that emits its primitives and asks for its parameters.

    The inputs of a layer are the arguments of its `expand`: one with a default is optional, `*xs` takes any number.
    """

    model_config = ConfigDict(
        strict=True,
        extra="forbid",
        frozen=True,
        allow_inf_nan=False,
        defer_build=True,  # a class is compiled when a spec first uses it: all of them take longer than a count
    )

    # Names of the outputs, the main one first.
    ports: ClassVar[tuple[str, ...]] = ("output",)
    # Whether there are as many outputs as fields and shapes say, called by number: `qkv:0`. The name alone is all.
    numbered_ports: ClassVar[bool] = False
    # Fields that other libraries have and this one refuses, with the reason.
    refused: ClassVar[Mapping[str, str]] = {}
    # Fields that the expansion fills: nobody writes them, and neither the schema nor a message names them.
    derived: ClassVar[frozenset[str]] = frozenset()
    # Whether the layer is one function of each element: with defaults for all its fields it is one in `formula` too.
    elementwise: ClassVar[bool] = False

    type: str
    expand: ClassVar[Callable[..., Value | tuple[Value, ...]]]

    @classmethod
    def refusal(cls, field: str, values: Mapping[str, object]) -> str | None:
        """Why the layer refuses a field that other libraries have, for the fields that are written beside it."""
        return cls.refused.get(field)

    @classmethod
    def port_names(cls, count: int) -> tuple[str, ...]:
        """The names of `count` outputs."""
        return tuple(map(str, range(count))) if cls.numbered_ports else cls.ports


@dataclass(frozen=True)
class InputNames:
    """What a layer reads: required and optional inputs in order; `variadic` where it takes a list of any length."""

    required: tuple[str, ...]
    optional: tuple[str, ...]
    variadic: bool


@cache
def input_names(layer: type[Layer]) -> InputNames:
    """The inputs of a layer type, read off the arguments of its `expand`."""
    parameters = list(inspect.signature(layer.expand).parameters.values())[2:]
    plain = [p for p in parameters if p.kind is not inspect.Parameter.VAR_POSITIONAL]
    return InputNames(
        required=tuple(p.name for p in plain if p.default is inspect.Parameter.empty),
        optional=tuple(p.name for p in plain if p.default is not inspect.Parameter.empty),
        variadic=len(plain) < len(parameters),
    )


SPATIAL_AXES = {1: "length", 2: "height, width", 3: "depth, height, width"}


def require_spatial(x: Value, spatial: int) -> None:
    """A ShapeError unless `x` is `[batch, channels, *spatial]` with so many spatial axes."""
    if x.type.rank != 2 + spatial:
        raise ShapeError(f"its input must be [batch, channels, {SPATIAL_AXES[spatial]}], got {format_shape(x.shape)}")


def require_floats(x: Value) -> None:
    """A ShapeError unless `x`, as the spec knows it, holds floating-point numbers."""
    if x.type.dtype != "float":
        raise ShapeError(f"floating-point numbers are needed here, not {x.type}")


def per_axis(value: int | tuple[int, ...], spatial: int) -> tuple[int, ...]:
    """The same number for each spatial axis, or the numbers themselves."""
    return (value,) * spatial if isinstance(value, int) else value
