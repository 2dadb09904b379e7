"""A model of constants and what is saved of them, for the backends' tests."""

from __future__ import annotations

from typing import Any

import numpy as np

import netspec
from netspec.model import Model

CONSTANTS = """
netspec: 1
name: constants
inputs: {x: {shape: [batch, time, 4]}}
layers:
  - {name: numbers, type: constant, value: [0.1, -2, 3, 0.5]}
  - {name: saved, type: buffer}
  - {name: one_and_a_half, type: constant, value: 1.5}
  - {name: factor, type: buffer}
  - {name: known, type: arange, end: 3}
  - {name: ids, type: buffer}
  - {name: rows, type: embedding, num_embeddings: 3, embedding_dim: 4}
  - {name: steps, type: arange, start: 1, end: $(time + 1)}
  - {name: last, type: arange, start: $(time), end: 0, step: -1}
  - {name: hot, type: one_hot, num_classes: $(time + 1), from: last}
  - {name: flat, type: select, dim: 1, index: 0, from: hot}
  - {name: y, type: add, from: [x, saved, factor, numbers]}
  - {name: full, type: ones, shape: ["$(batch)", 2]}
  - {name: top, type: top_k, k: 2, from: x}
outputs: {y: y, rows: rows, full: full, hot: hot, flat: flat, indices: top:indices, values: top, steps: steps}
"""


def build(backend: str, dtype: Any = "float32") -> Model:
    return netspec.build(netspec.loads(CONSTANTS), backend, dtype=dtype)


def draw(batch: int, time: int) -> np.ndarray[Any, Any]:
    return np.random.default_rng(batch + time).normal(0, 1, (batch, time, 4)).astype("float32")


def expected(x: np.ndarray[Any, Any], weights: dict[str, Any]) -> dict[str, Any]:
    """The outputs by hand, in float64."""
    batch, time, _ = x.shape
    order = np.argsort(-x, -1, kind="stable")[..., :2]
    return {
        "y": x.astype("float64") + weights["saved"] + weights["factor"] + [0.1, -2, 3, 0.5],
        "rows": weights["rows.weight"][weights["ids"]],
        "full": np.ones((batch, 2)),
        "hot": np.eye(time + 1)[np.arange(time, 0, -1)],
        "flat": np.zeros(time),
        "indices": order,
        "values": np.take_along_axis(x, order, -1),
        "steps": np.arange(1, time + 1),
    }


def assert_same(found: dict[str, Any], wanted: dict[str, Any], tolerance: float = 1e-6) -> None:
    assert found.keys() == wanted.keys()
    for name, array in wanted.items():
        got = np.asarray(found[name])
        assert got.shape == array.shape, name
        assert got.dtype.kind == array.dtype.kind, name
        np.testing.assert_allclose(got.astype("float64"), array, rtol=0, atol=tolerance * 8, err_msg=name)


def changed(model: Model) -> dict[str, Any]:
    """Other weights, loaded into `model`: the buffers must be read, not what they started from."""
    weights = model.weights()
    assert {path: (array.dtype.name, array.shape) for path, array in weights.items()} == {
        "saved": ("float32", (4,)),
        "factor": ("float32", ()),
        "ids": ("int64", (3,)),
        "rows.weight": ("float32", (3, 4)),
    }
    np.testing.assert_array_equal(weights["ids"], [0, 1, 2])
    weights = {**weights, "saved": weights["saved"] * 2, "factor": weights["factor"] + 1, "ids": np.array([2, 0, 0])}
    model.load_weights(weights)
    return weights
