"""Small graphs for the tests of the ONNX backend, their weights and inputs, and how results are judged."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import onnx

import netspec_numpy
import netspec_onnx
from netspec.errors import Location
from netspec.graph.builder import Builder, Entry
from netspec.graph.dims import Size, evaluate, symbol
from netspec.graph.graph import Graph, GraphPair, Origin, Value
from netspec.graph.invariants import check_pair
from netspec.graph.types import DType, TensorType
from netspec.layers.base import Layer
from netspec_onnx.model import OnnxModel

Arrays = dict[str, Any]

BATCH, TIME, HEIGHT, WIDTH = map(symbol, ("batch", "time", "height", "width"))
IMAGE = (BATCH, 3, HEIGHT, WIDTH)
SIZES = ({"batch": 1, "time": 4, "height": 9, "width": 12}, {"batch": 5, "time": 3, "height": 10, "width": 7})


def graphs(make: Callable[[Builder], Mapping[str, Value]]) -> GraphPair:
    """Both graphs of what `make` builds: it declares inputs, calls layers, and returns the outputs by name."""

    def one(training: bool) -> Graph:
        b = Builder("small", training)
        return b.finish(make(b))

    return check_pair(GraphPair(one(False), one(True)))


def call(b: Builder, path: str, layer: Layer, *xs: Value) -> Value:
    (y,) = b.call(layer, Entry(Origin(path, Location("small.yaml", 3, 5))), xs)
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


def draw_inputs(pair: GraphPair, sizes: Mapping[str, int]) -> Arrays:
    rng = np.random.default_rng(11)
    drawn: Arrays = {}
    for entry in pair.inference.inputs:
        shape = [evaluate(size, sizes) for size in entry.value.shape]
        if entry.value.type.dtype == "float":
            drawn[entry.name] = rng.normal(0.2, 2, shape).astype(np.float32)
        elif entry.value.type.dtype == "bool":
            drawn[entry.name] = rng.random(shape) < 0.5
        else:
            drawn[entry.name] = rng.integers(0, 5, shape).astype(entry.value.type.dtype)
    return drawn


def reference(pair: GraphPair, weights: Arrays, inputs: Arrays) -> Arrays:
    """The outputs in float64."""
    return netspec_numpy.backend.compile(pair, weights).evaluate(inputs).outputs


def compile_model(pair: GraphPair) -> tuple[OnnxModel, Arrays]:
    weights = draw_weights(pair)
    return netspec_onnx.backend.compile(pair, weights), weights


def check(model: onnx.ModelProto) -> None:
    """The checker in full, and shape inference that refuses what does not fit together."""
    onnx.checker.check_model(model, full_check=True)
    onnx.shape_inference.infer_shapes(model, check_type=True, strict_mode=True, data_prop=True)


def assert_close(got: Any, expected: Any, tolerance: float = 3e-5) -> None:
    assert got.shape == expected.shape
    if expected.dtype.kind != "f":
        np.testing.assert_array_equal(got, expected)
        return
    assert np.max(np.abs(got - expected)) <= tolerance * np.max(np.abs(expected))


def operators(model: onnx.ModelProto) -> list[str]:
    return [node.op_type for node in model.graph.node]


def shape_of(value: Any) -> list[int | str]:
    return [size.dim_param or size.dim_value for size in value.type.tensor_type.shape.dim]
