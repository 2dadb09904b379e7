"""The values that expressions have, and how messages show them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from netspec.expressions import scalars
from netspec.graph.dims import Dim, Size


@dataclass(frozen=True, slots=True)
class ShapedValue:
    """A value of the graph as expressions see it: nothing but its shape."""

    shape: tuple[Size, ...]


Value = int | float | bool | str | None | Dim | ShapedValue | Sequence["Value"] | Mapping[str, "Value"]
Number = int | float


def describe(value: object) -> str:
    """A value as messages show it: numbers and short texts as they are, else what kind it is."""
    match value:
        case None:
            return "null"
        case bool():
            return str(value).lower()
        case int() | float() | Dim():
            return scalars.shown(str(value))
        case str():
            return f"text '{scalars.shown(value)}'"
        case ShapedValue():
            return "a value of the graph"
        case Mapping():
            return "a mapping"
        case _:
            return "a list"
