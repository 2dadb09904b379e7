"""Small graphs for the tests of the TensorFlow backend, their weights and inputs, and how results are judged."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

import netspec_numpy
import netspec_tensorflow
from netspec.backend import Backend
from netspec.graph.builder import Builder, Entry
from netspec.graph.dims import Size, evaluate, symbol
from netspec.graph.graph import Graph, GraphPair, Origin, Value
from netspec.graph.invariants import check_pair
from netspec.graph.types import TensorType
from netspec.layers.base import Layer
from netspec.model import Arrays, Model

BATCH, HEIGHT, WIDTH = map(symbol, ("batch", "height", "width"))
TOLERANCE = {"float64": 1e-11, "float32": 3e-5}


def graphs(make: Callable[[Builder], Mapping[str, Value]]) -> GraphPair:
    """Both graphs of what `make` builds: it declares inputs, calls layers, and returns the outputs by name."""

    def one(training: bool) -> Graph:
        b = Builder("small-model", training)
        return b.finish(make(b))

    return check_pair(GraphPair(one(False), one(True)))


def call(b: Builder, path: str, layer: Layer, *xs: Value, frozen: bool = False) -> Value:
    (y,) = b.call(layer, Entry(Origin(path, None), frozen=lambda _: frozen, fixed=lambda _: frozen), xs)
    return y


def chain(shape: Sequence[Size], *layers: Layer) -> GraphPair:
    """Input `x`, layers `l0`, `l1` and so on, output `y`."""

    def make(b: Builder) -> Mapping[str, Value]:
        y = b.input("x", TensorType(tuple(shape)))
        for position, layer in enumerate(layers):
            y = call(b, f"l{position}", layer, y)
        return {"y": y}

    return graphs(make)


def draw_weights(pair: GraphPair) -> Arrays:
    """No zeros, nothing symmetric; variances are above 0."""
    rng = np.random.default_rng(7)
    drawn = {held.path: rng.normal(0.3, 1, held.value.shape).astype(np.float32) for held in pair.inference.state}
    return {path: np.abs(array) + 0.1 if path.endswith("running_var") else array for path, array in drawn.items()}


def draw(shape: Sequence[Size], **sizes: int) -> np.ndarray[Any, Any]:
    """Standard normal float32 numbers rounded to quarters, so that there are zeros and ties, without symmetry."""
    rng = np.random.default_rng(11)
    drawn: Any = rng.normal(0.2, 1, [evaluate(size, sizes) for size in shape])
    return np.asarray(np.round(drawn * 4) / 4, np.float32)


def agree_with_reference(backend: Backend, pair: GraphPair, x: Any, dtype: str, training: bool = False) -> Model:
    """Outputs, gradients and updates of the model on input `x` against those of NumPy in float64."""
    weights = draw_weights(pair)
    reference, model = netspec_numpy.backend.compile(pair, weights), backend.compile(pair, weights, dtype)  # type: ignore[arg-type]
    y = reference.evaluate({"x": x}, training=training).outputs["y"]
    cotangent = np.asarray(np.random.default_rng(3).normal(0, 1, y.shape), np.float32)
    expected = reference.evaluate({"x": x}, {"y": cotangent}, training)
    got = model.evaluate({"x": x}, {"y": cotangent}, training)
    largest = max(float(np.abs(gradient).max()) for gradient in expected.gradients.values())
    for here, there, floor in (
        (got.outputs, expected.outputs, 0.0),
        (got.updates, expected.updates, 0.0),
        (got.gradients, expected.gradients, 1e-3 * largest),
    ):
        assert list(here) == list(there)
        for name, array in here.items():
            assert array.dtype == dtype
            assert_close(array, there[name], TOLERANCE[dtype], floor)
    return model


def compiled(pair: GraphPair, dtype: str = "float32", **options: Any) -> Any:
    """The TensorFlow model of `pair` with drawn weights."""
    return netspec_tensorflow.backend.compile(pair, draw_weights(pair), dtype, **options)  # type: ignore[arg-type]


def image(batch: int, size: int = 7) -> np.ndarray[Any, Any]:
    return draw((batch, 3, size, size))


def assert_close(got: Any, expected: Any, tolerance: float, floor: float = 0.0) -> None:
    assert got.shape == expected.shape
    assert np.max(np.abs(got - expected)) <= tolerance * max(float(np.max(np.abs(expected))), floor)
