"""What each backend draws by itself for the layers that drop: whole channels, whole samples, mean and variance kept."""

from __future__ import annotations

import numpy as np
import pytest

from netspec.backend import find_backend
from netspec.spec import loads

SPEC = """
netspec: 1
inputs: {x: {shape: [batch, 40, 5, 3]}, row: {shape: [batch, 400]}}
layers:
  - {name: elements, type: dropout, p: 0.25, from: x}
  - {name: channels, type: dropout2d, p: 0.25, from: x}
  - {name: samples, type: stochastic_depth, p: 0.25, from: x}
  - {name: batches, type: stochastic_depth, p: 0.25, mode: batch, from: x}
  - {name: alpha, type: alpha_dropout, p: 0.25, from: row}
outputs: {elements: elements, channels: channels, samples: samples, batches: batches, alpha: alpha}
"""
BATCH = 200


@pytest.mark.parametrize("backend", ["numpy", "torch", "tensorflow", "jax"])
def test_what_is_drawn(backend: str) -> None:
    model = find_backend(backend).compile(loads(SPEC).graphs, {}, "float32")
    x = np.ones((BATCH, 40, 5, 3), np.float32)
    row = np.random.default_rng(0).standard_normal((BATCH, 400)).astype(np.float32)
    found = {name: np.asarray(array) for name, array in model(x=x, row=row, training=True).items()}
    for name, axes in (("elements", ()), ("channels", (2, 3)), ("samples", (1, 2, 3)), ("batches", (0, 1, 2, 3))):
        y = found[name]
        assert y.shape == x.shape
        at_once = y[tuple(slice(0, 1) if axis in axes else slice(None) for axis in range(4))]
        assert (y == at_once).all(), name
        assert np.isclose(at_once, np.where(at_once > 0, 4 / 3, 0)).all(), name
        dropped = np.mean(at_once == 0)
        deviation = np.sqrt(0.25 * 0.75 / at_once.size)
        assert abs(dropped - 0.25) < 5 * deviation, name
    alpha = found["alpha"]
    assert abs(alpha.mean()) < 0.02
    assert abs(alpha.var() - 1) < 0.03
    numbers, counts = np.unique(alpha, return_counts=True)
    assert abs(counts.max() / alpha.size - 0.25) < 0.01  # what was dropped is one number: -1.7581 a + 1.7581 a p
    assert abs(numbers[counts.argmax()] + 1.1435442) < 1e-5
    for name, y in model(x=x, row=row).items():
        assert (np.asarray(y) == (row if name == "alpha" else x)).all()
