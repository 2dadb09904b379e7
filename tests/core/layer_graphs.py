"""A graph of one layer, for the tests of layers."""

from __future__ import annotations

from typing import Any

from netspec import layers
from netspec.errors import Location
from netspec.expressions.place import Place
from netspec.graph.builder import Builder, Entry
from netspec.graph.dims import Size, symbol
from netspec.graph.graph import Graph, Origin, Param
from netspec.graph.types import DType, TensorType
from netspec.layers.base import Layer

B, H, W, T = (symbol(name) for name in ("batch", "h", "w", "time"))


Shape = tuple[Size, ...]


PLACE = Place(Location("s.yaml", 3, 10), Location("s.yaml", 3, 10))


def formula(expr: str, *variables: str, **numbers: Any) -> layers.Formula:
    """A formula as the expansion makes it, written at s.yaml:3:10."""
    return layers.Formula(expr=expr, variables=variables, numbers=numbers, place=PLACE)


def graph_of(layer: Layer, *shapes: Shape, dtype: DType = "float", training: bool = False) -> Graph:
    """A graph of this one layer, called `it`, with its main output."""
    b = Builder("one", training)
    inputs = [b.input(f"x{k}", TensorType(shape, dtype)) for k, shape in enumerate(shapes)]
    output, *_ = b.call(layer, Entry(Origin("it", None)), inputs)
    return b.finish({"y": output})


def shape_of(layer: Layer, *shapes: Shape, dtype: DType = "float", training: bool = False) -> Shape:
    return graph_of(layer, *shapes, dtype=dtype, training=training).outputs[0].value.shape


def state_of(graph: Graph) -> dict[str, tuple[str, Shape]]:
    return {held.path: ("param" if isinstance(held, Param) else "buffer", held.value.shape) for held in graph.state}
