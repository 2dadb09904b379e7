"""Graphs that a Builder makes, for what is easier to say so than in a spec: formulas, and which inputs are given."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from netspec.errors import Location
from netspec.expressions.place import Place
from netspec.graph.builder import Builder, Entry
from netspec.graph.dims import Size, symbol
from netspec.graph.graph import Graph, GraphPair, Origin, Value
from netspec.graph.invariants import check_pair
from netspec.graph.types import DType, TensorType
from netspec.layers import Formula
from netspec.layers.base import Layer
from netspec.passes import apply_passes

PLACE = Place(Location("built.yaml", 1, 1), Location("built.yaml", 1, 1))


class Net:
    """A Builder with short words, for one mode."""

    def __init__(self, training: bool) -> None:
        self.builder = Builder("built", training)

    def input(self, name: str, *shape: int | str, dtype: DType = "float") -> Value:
        sizes: list[Size] = [symbol(size) if isinstance(size, str) else size for size in shape]
        return self.builder.input(name, TensorType(tuple(sizes), dtype))

    def add(self, path: str, layer: Layer, *inputs: Value, **optional: Value) -> Value:
        (y,) = self.builder.call(layer, Entry(Origin(path, PLACE.location)), inputs, optional)
        return y

    def formula(self, path: str, expr: str, numbers: Mapping[str, Any] | None = None, **inputs: Value) -> Value:
        layer = Formula(expr=expr, variables=tuple(inputs), numbers=numbers or {}, place=PLACE)
        return self.add(path, layer, *inputs.values())


def pair(make: Any) -> GraphPair:
    """Both graphs of what `make` adds to a Net, its outputs by name, after the passes that every graph goes through."""

    def one(training: bool) -> Graph:
        net = Net(training)
        return apply_passes(net.builder.finish(make(net)))

    return check_pair(GraphPair(one(False), one(True)))
