"""Inputs with a default: left out of a call they are filled, on every backend and in the native objects."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import netspec
from netspec.backend import FloatType
from netspec.errors import InputError
from netspec.model import Model
from netspec.spec import loads

TEXT = """
netspec: 1
inputs:
  scale: {shape: [batch, $(2 * 3)], default: 0.1}
  x: {shape: [batch, 6]}
  shift: {shape: [$(batch * 2), 1, 6], default: -2}
layers:
  - {name: scaled, type: mul, from: [x, scale]}
  - {name: fc, type: linear, out_features: 3}
  - {name: moved, type: linear, out_features: 3, from: shift}
outputs: {y: fc, z: moved}
"""


def build(backend: str, dtype: FloatType) -> Model:
    return netspec.build(loads(TEXT), backend=backend, seed=3, dtype=dtype)


def expected(model: Model, x: np.ndarray[Any, Any], scale: np.ndarray[Any, Any], shift: float) -> list[Any]:
    held = model.weights()
    y = (x * scale) @ held["fc.weight"].T + held["fc.bias"]
    moved = np.full((2 * len(x), 1, 6), shift) @ held["moved.weight"].T + held["moved.bias"]
    return [y, moved]


def check(found: Any, wanted: list[Any]) -> None:
    for name, value in zip(("y", "z"), wanted, strict=True):
        array = found[name].detach() if hasattr(found[name], "detach") else found[name]
        np.testing.assert_allclose(np.asarray(array), value, rtol=1e-4, atol=1e-5)


def torch_native(model: Model) -> Callable[..., Any]:
    import torch

    def call(*arrays: Any, **inputs: Any) -> dict[str, Any]:
        given = [torch.as_tensor(value) for value in arrays]
        outputs = model.native(*given, **{name: torch.as_tensor(value) for name, value in inputs.items()})
        return {name: value.detach().numpy() for name, value in outputs.items()}

    return call


def jax_native(model: Model) -> Callable[..., Any]:
    apply, params, buffers = model.native
    return lambda *arrays, **inputs: apply(params, buffers, *arrays, **inputs)


NATIVE: dict[str, Callable[[Model], Callable[..., Any]]] = {
    "numpy": lambda model: model,
    "onnx": lambda model: model,
    "torch": torch_native,
    "tensorflow": lambda model: model.native,
    "jax": jax_native,
}


@pytest.mark.parametrize("backend", NATIVE)
def test_an_input_that_is_left_out_is_filled_with_its_default(backend: str) -> None:
    model = build(backend, "float32")
    x = np.arange(12, dtype="float32").reshape(2, 6) / 7 - 0.5
    scale = np.linspace(-1, 2, 12, dtype="float32").reshape(2, 6)
    check(model(x=x), expected(model, x, np.full((2, 6), 0.1), -2))
    check(model(scale, x), expected(model, x, scale, -2))
    native = NATIVE[backend](model)
    check(native(x=x), expected(model, x, np.full((2, 6), 0.1), -2))
    check(native(x=x, scale=scale), expected(model, x, scale, -2))
    check(native(scale, x), expected(model, x, scale, -2))  # in the order of the spec, whatever may be left out
    for call in (model, native):
        with pytest.raises((InputError, TypeError), match="x"):
            call(scale)


def test_gradients_with_an_input_left_out() -> None:
    model = build("torch", "float64")
    x = np.linspace(-1, 1, 12).reshape(2, 6)
    cotangent = {"y": np.arange(6.0).reshape(2, 3)}
    found = model.gradients(x=x, cotangent=cotangent, inputs=True)
    np.testing.assert_allclose(found["fc.weight"], cotangent["y"].T @ (x * 0.1))
    assert found["input:scale"].shape == (2, 6)


def test_a_size_that_only_an_input_with_a_default_shows_is_refused() -> None:
    text = "netspec: 1\ninputs: {x: {shape: [2]}, m: {shape: [n], default: 1}}\nlayers: [{type: add, from: [x, x]}]"
    with pytest.raises(netspec.NetspecError, match="without a default is just n, so no call can tell its size"):
        loads(text)
