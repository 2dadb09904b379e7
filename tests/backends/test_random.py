"""Layers that draw: what they draw, in both modes and anew in every call; the same under one seed of the framework."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from netspec.backend import FloatType, find_backend
from netspec.errors import BackendError
from netspec.model import Model
from netspec.spec import load, loads
from netspec.weights.generator import draw_uniform

SPEC = """\
netspec: 1
inputs: {x: {shape: [batch, 100]}}
layers:
  - {name: normal, type: random_normal, mean: -3, std: 0.5}
  - {name: uniform, type: random_uniform, low: -1, high: 3, from: x}
outputs: {normal: normal, uniform: uniform}
"""
X = np.zeros((300, 100), np.float32)


def assert_drawn(model: Model, array: Callable[[Any], Any], training: bool) -> None:
    """The moments within 6 standard deviations, and nothing twice."""
    first, second = ({name: array(y) for name, y in model(X, training=training).items()} for _ in range(2))
    for name, mean, std in (("normal", -3, 0.5), ("uniform", 1, 4 / 12**0.5)):
        y = first[name]
        assert y.shape == X.shape
        assert y.mean() == pytest.approx(mean, abs=6 * std / y.size**0.5)
        assert y.std() == pytest.approx(std, rel=0.03)
        assert (y != second[name]).any()
    assert (first["uniform"] >= -1).all()
    assert (first["uniform"] < 3).all()
    assert np.corrcoef(first["normal"].ravel(), first["uniform"].ravel())[0, 1] == pytest.approx(0, abs=0.035)


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("name", ["numpy", "torch", "tensorflow", "jax"])
def test_drawn_in_both_modes(name: str, training: bool) -> None:
    assert_drawn(find_backend(name).compile(loads(SPEC).graphs, {}, "float32"), np.asarray, training)


def test_drawn_in_an_onnx_file(tmp_path: Path) -> None:
    import onnxruntime

    backend = find_backend("onnx")
    assert_drawn(backend.compile(loads(SPEC).graphs, {}), np.asarray, training=False)
    backend.export(loads(SPEC).graphs, {}, tmp_path / "noise.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "noise.onnx")
    first, second = (session.run(["normal"], {"x": X})[0] for _ in range(2))
    assert (first != second).any()


def test_the_seed_of_torch_holds() -> None:
    import torch

    model = find_backend("torch").compile(loads(SPEC).graphs, {}, "float64")
    drawn = []
    for _ in range(2):
        torch.manual_seed(3)
        drawn.append(model(X.astype("float64"))["normal"])
    assert torch.equal(*drawn)
    assert drawn[0].dtype == torch.float64


def test_jax_asks_for_a_key_in_inference() -> None:
    import jax

    apply, params, buffers = find_backend("jax").compile(loads(SPEC).graphs, {}, "float32").native
    with pytest.raises(BackendError, match=r"draws random numbers in inference: give a key, as in apply\(..., key="):
        apply(params, buffers, X)
    first, second = (apply(params, buffers, X, key=jax.random.key(0))["normal"] for _ in range(2))
    np.testing.assert_array_equal(first, second)


def test_the_vae_draws_in_training_alone() -> None:
    spec = load(Path(__file__).parents[1] / "data/examples/vae.yaml")
    assert [node.op.name for node in spec.graphs.training.primitives() if node.op.random] == ["Normal"]
    assert not any(node.op.random for node in spec.inference.primitives())


@pytest.mark.parametrize("name", ["torch", "tensorflow", "jax"])
@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
@pytest.mark.parametrize("case", ["arithmetic", "reductions"])
def test_arithmetic_in_half_precision(name: str, dtype: FloatType, case: str) -> None:
    """Every number is in the model's type: frameworks refuse float32 beside it, or the outputs would be float32."""
    spec = load(Path(__file__).parents[1] / f"conformance/cases/{case}.yaml")
    weights = {"conv.weight": np.ones((3, 2, 2, 2)), "conv.bias": np.ones(3)}
    sizes = {"batch": 3, "time": 4}
    inputs = {
        entry.name: np.ones([sizes.get(str(size), size) for size in entry.value.shape], np.float32)
        for entry in spec.inference.inputs
    }
    outputs = find_backend(name).compile(spec.graphs, weights, dtype)(*inputs.values())
    for output in spec.inference.outputs:
        if output.value.type.dtype == "float":
            assert dtype in str(outputs[output.name].dtype).split(".")[-1], output.name


def test_uniform_noise_is_below_one() -> None:
    drawn = draw_uniform(0, "a", (1000, 100))
    assert drawn.dtype == np.float32
    assert drawn.min() >= 0
    assert drawn.max() < 1
    assert drawn.mean() == pytest.approx(0.5, abs=6 / 12**0.5 / 1e5**0.5)
    assert (drawn != draw_uniform(0, "b", (1000, 100))).mean() > 0.99
