"""f(x) = x'Ax / 2 - b'x: its gradients against the closed forms, on every backend."""

from __future__ import annotations

import numpy as np
import pytest

import netspec
from netspec.backend import find_backend
from netspec.compare.session import Task
from netspec.compare.worker import Worker


@pytest.mark.parametrize("backend", ["numpy", "torch", "tensorflow", "jax"])
def test_gradients_are_the_closed_forms(backend: str) -> None:
    generator = np.random.default_rng(5)
    a, b = generator.standard_normal((4, 4)), generator.standard_normal(4)  # A is not symmetric
    x, r = generator.standard_normal((3, 4)), generator.standard_normal(3)
    graphs = netspec.load("quadratic", params={"n": 4}).graphs
    with Worker(find_backend(backend), "float64") as worker:
        task = Task(worker.backend, graphs, {"A": a, "b": b}, {"x": x}, {"f": r}, False, "float64")
        found = worker.evaluate(task).evaluation
    expected = [(0.5 * row @ a @ row - b @ row) for row in x]
    np.testing.assert_allclose(found.outputs["f"], expected, rtol=0, atol=1e-14)
    by_x = [weight * (0.5 * (a + a.T) @ row - b) for weight, row in zip(r, x, strict=True)]
    by_a = sum(weight * 0.5 * np.outer(row, row) for weight, row in zip(r, x, strict=True))
    np.testing.assert_allclose(found.gradients["input:x"], by_x, rtol=0, atol=1e-13)
    np.testing.assert_allclose(found.gradients["A"], by_a, rtol=0, atol=1e-13)
    np.testing.assert_allclose(found.gradients["b"], -r @ x, rtol=0, atol=1e-13)
