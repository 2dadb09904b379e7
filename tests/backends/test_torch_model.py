"""The torch model around its module: evaluation, weights, inputs, float types, devices."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
import torch

import netspec
import netspec_torch
from netspec.errors import BackendError, InputError
from netspec.graph.graph import GraphPair, Value
from netspec.layers.activation import Relu
from netspec.layers.linear import Linear
from netspec.layers.regularization import Dropout
from netspec.passes.noise_inputs import noise_inputs
from tests.backends.torch_graphs import Spec, build, graphs, image, small_net, weights


def test_evaluate_moves_nothing_and_reports_what_would_move() -> None:
    model = build(small_net)
    before = {name: value.clone() for name, value in model.native.state_dict().items()}
    pointers = {name: value.data_ptr() for name, value in model.native.state_dict().items()}
    model.native.fc.train()
    torch.manual_seed(0)
    with torch.no_grad():
        found = model.evaluate({"image": image().numpy()}, {"logits": np.ones((3, 5))}, training=True)
    after = model.native.state_dict()
    torch.testing.assert_close(dict(after), before, rtol=0, atol=0)
    assert {name: value.data_ptr() for name, value in after.items()} == pointers
    assert [each.training for each in (model.native, model.native.fc, model.native.stem)] == [False, True, False]
    assert all(parameter.grad is None for parameter in model.native.parameters())
    assert set(found.gradients) == {name for name, _ in model.native.named_parameters()} | {"input:image"}
    torch.manual_seed(0)
    y = model(image(), training=True)
    np.testing.assert_allclose(found.outputs["logits"], y.detach(), rtol=1e-12)
    moved = dict(model.native.named_buffers())
    assert set(found.updates) == set(moved)
    for name, value in found.updates.items():
        np.testing.assert_allclose(value, moved[name], rtol=1e-12)


def test_evaluate_without_cotangents_and_of_what_nothing_reaches() -> None:
    def body(spec: Spec) -> dict[str, Value]:
        x = spec.input("x", "batch", 3)
        return {"y": spec.add("fc", Linear(out_features=2), x), "z": spec.add("relu", Relu(), x)}

    model = build(body)
    x = np.array([[1.0, -2.0, 0.0]])
    assert model.evaluate({"x": x}).gradients == {}
    found = model.evaluate({"x": x}, {"z": np.ones((1, 3))}).gradients
    np.testing.assert_array_equal(found["fc.weight"], np.zeros((2, 3)))
    np.testing.assert_array_equal(found["input:x"], [[1.0, 0.0, 0.0]])


def test_noise_from_outside_comes_in_as_an_input() -> None:
    pair = graphs(
        lambda spec: {"y": spec.add("drop", Dropout(p=0.2), spec.input("x", "batch", 3))},
    )
    pair = GraphPair(pair.inference, noise_inputs(pair.training)[0])
    model = netspec_torch.backend.compile(pair, {}, "float64")
    (name,) = [entry.name for entry in pair.training.inputs if entry.name != "x"]
    x, mask = np.ones((2, 3)), np.array([[1.0, 0.0, 1.0], [0.0, 1.0, 1.0]])
    found = model.evaluate({"x": x, name: mask}, {"y": np.ones((2, 3))}, training=True)
    np.testing.assert_allclose(found.outputs["y"], mask * 1.25)
    np.testing.assert_allclose(found.gradients["input:x"], mask * 1.25)
    np.testing.assert_allclose(model(x).numpy(), x)


def test_weights_go_out_as_copies_and_come_in_in_place() -> None:
    model = build(small_net, "float32")
    parameter = model.native.fc.weight
    held = model.weights()
    assert list(held) == list(model.native.state_dict())
    held["fc.weight"][:] = 0
    assert not torch.equal(parameter, torch.zeros_like(parameter))
    fresh = weights(model.graphs, seed=8)
    model.load_weights(fresh)
    assert model.native.fc.weight is parameter
    assert parameter.requires_grad
    for name, value in model.weights().items():
        np.testing.assert_array_equal(value, fresh[name].astype("float32"))


def test_numpy_inputs_are_shared_where_they_can_be() -> None:
    model = build(small_net)
    type = model.graphs.inference.inputs[0].value.type
    array = image().numpy().copy()
    assert model.to_native("image", array, type).data_ptr() == array.ctypes.data
    locked = array.copy()
    locked.flags.writeable = False
    for other in (locked, array[:, :, ::-1], np.asfortranarray(array), array.astype(">f8")):
        np.testing.assert_array_equal(model.to_native("image", other, type).numpy(), other)


def test_arrays_of_another_dtype_are_refused() -> None:
    model = build(small_net, "float32")
    with pytest.raises(InputError, match=r"^input image: expected float32, got float64$"):
        model(image())
    with pytest.raises(InputError, match=r"^input image: expected float32, got int64$"):
        model(np.ones((1, 3, 9, 8), dtype="int64"))
    assert model(image().numpy()).dtype == torch.float32


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_half_precision(dtype: Literal["bfloat16", "float16"]) -> None:
    model = build(small_net, dtype)
    assert {value.dtype for value in model.native.state_dict().values()} == {getattr(torch, dtype)}
    y = model(image().numpy())
    exact = build(small_net)(image())
    torch.testing.assert_close(y.double(), exact, rtol=0.05, atol=0.1)
    assert model.weights()["fc.bias"].dtype == ("float32" if dtype == "bfloat16" else dtype)
    assert model.gradients(image().numpy(), cotangent=np.ones((3, 5)))["fc.bias"].tolist() == [3.0] * 5


@pytest.mark.parametrize("device", ["cuda", "warp", "cpu:nine"])
def test_a_device_that_is_not_there_is_refused(device: str) -> None:
    with pytest.raises(BackendError, match=rf"^device {device} is not there for torch: [^\n]+$"):
        build(small_net, device=device)


def test_the_package_imports_no_torch_until_it_compiles() -> None:
    paths = [str(Path(netspec_torch.__file__).parents[1]), str(Path(netspec.__file__).parents[1])]
    program = f"import sys\nsys.path[:0] = {paths!r}\nimport netspec_torch\nassert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", program], timeout=60, check=True)
