"""Inputs for small graphs, their models on TensorFlow, and a model of any backend beside the reference."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

import netspec_numpy
import netspec_tensorflow
from netspec.backend import Backend
from netspec.graph.dims import Size, evaluate
from netspec.graph.graph import GraphPair
from netspec.model import Model
from tests.backends.graphs import assert_close, draw_weights

TOLERANCE = {"float64": 1e-11, "float32": 3e-5}


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
