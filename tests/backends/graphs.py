"""Small graphs for the tests of the backends, their weights, and how results are judged."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from netspec.errors import Location
from netspec.graph.builder import Builder, Entry
from netspec.graph.dims import Size, symbol
from netspec.graph.graph import Graph, GraphPair, Origin, Value
from netspec.graph.invariants import check_pair
from netspec.graph.types import DType, TensorType
from netspec.layers.base import Layer

Arrays = dict[str, Any]

BATCH, TIME, HEIGHT, WIDTH = map(symbol, ("batch", "time", "height", "width"))
IMAGE = (BATCH, 3, HEIGHT, WIDTH)


def graphs(make: Callable[[Builder], Mapping[str, Value]]) -> GraphPair:
    """Both graphs of what `make` builds: it declares inputs, calls layers, and returns the outputs by name."""

    def one(training: bool) -> Graph:
        b = Builder("small-model", training)
        return b.finish(make(b))

    return check_pair(GraphPair(one(False), one(True)))


def call(
    b: Builder, path: str, layer: Layer, *xs: Value, frozen: bool = False, tied: Mapping[str, str] | None = None
) -> Value:
    """The only output of a layer under `path`; `tied` leads from its parameters to the paths that they share."""
    origin = Origin(path, Location("small.yaml", 3, 5))
    (y,) = b.call(layer, Entry(origin, frozen=lambda _: frozen, fixed=lambda _: frozen, tied=tied or {}), xs)
    return y


def chain(shape: Sequence[Size], *layers: Layer, dtype: DType = "float") -> GraphPair:
    """Input `x`, layers `l0`, `l1` and so on, output `y`."""

    def make(b: Builder) -> Mapping[str, Value]:
        y = b.input("x", TensorType(tuple(shape), dtype))
        for position, layer in enumerate(layers):
            y = call(b, f"l{position}", layer, y)
        return {"y": y}

    return graphs(make)


def draw_weights(pair: GraphPair) -> Arrays:
    """No zeros, nothing symmetric; variances are above 0."""
    rng = np.random.default_rng(7)
    drawn = {held.path: rng.normal(0.3, 1, held.value.shape).astype(np.float32) for held in pair.inference.state}
    return {path: np.abs(array) + 0.1 if path.endswith("running_var") else array for path, array in drawn.items()}


def assert_close(got: Any, expected: Any, tolerance: float = 3e-5, floor: float = 0.0) -> None:
    """Floats are equal within `tolerance` of the largest expected, or of `floor` if that is larger; others exactly."""
    assert got.shape == expected.shape
    if expected.dtype.kind != "f":
        np.testing.assert_array_equal(got, expected)
        return
    assert np.max(np.abs(got - expected)) <= tolerance * max(float(np.max(np.abs(expected))), floor)
