"""The text of the native torch module: it can be read, and holds whatever names a spec has."""

from __future__ import annotations

import copy
import inspect
import pickle

import numpy as np
import pytest
import torch
from torch import nn
from torch.func import functional_call

from netspec.graph.graph import Value
from netspec.layers.linear import Linear
from netspec.layers.normalization import BatchNorm
from netspec.layers.regularization import Dropout
from netspec.layers.tensor import Add, Mul
from netspec_torch.module import SourceModule
from tests.backends.torch_graphs import Spec, build, small_net


def test_the_forward_can_be_read() -> None:
    native = build(small_net).native
    text = inspect.getsource(type(native).forward)
    assert text.startswith("def forward(self, image):\n    if self.training:\n")
    assert "self._modules['stem']._modules['conv'](image)" in text
    assert text.count("torch.dropout") == 1
    assert "conv2d(out_channels=4, kernel_size=3, stride=(2, 1), padding=1, dilation=1" in repr(native)
    assert "(bn-1): batch_norm(eps=1e-05, stats_decay=0.7" in repr(native)
    assert repr(native).startswith("small-model(\n  (stem): Group(")


def test_inputs_go_by_position_and_by_name() -> None:
    def body(spec: Spec) -> dict[str, Value]:
        left, right = spec.input("left", "batch", 3), spec.input("class", "batch", 3)
        return {"sum": spec.add("a", Add(), left, right), "product": spec.add("m", Mul(), left, right)}

    model = build(body)
    a, b = torch.rand(2, 3, dtype=torch.float64), torch.rand(2, 3, dtype=torch.float64)
    for outputs in (model.native(a, b), model.native(left=a, class_=b), model(a, b), model(**{"class": b, "left": a})):
        assert list(outputs) == ["sum", "product"]
        torch.testing.assert_close(outputs["sum"], a + b)
        torch.testing.assert_close(outputs["product"], a * b)


AWKWARD_NAMES = ["train", "type", "forward", "training", "class", "_modules", "0", "a-b", "self", "torch", "form"]


@pytest.mark.parametrize("name", AWKWARD_NAMES)
def test_an_entry_may_be_called_anything(name: str) -> None:
    def body(spec: Spec) -> dict[str, Value]:
        x = spec.add(f"{name}.{name}", Linear(out_features=4), spec.input(name, "batch", 3))
        return {name: spec.add("norm", BatchNorm(), x)}

    model = build(body)
    native = model.native
    held = native.state_dict()
    assert list(held)[:2] == [f"{name}.{name}.weight", f"{name}.{name}.bias"]
    x = torch.randn(5, 3, dtype=torch.float64)
    plain = x @ held[f"{name}.{name}.weight"].T + held[f"{name}.{name}.bias"]
    for module in (native, copy.deepcopy(native), pickle.loads(pickle.dumps(native))):
        y = nn.functional.batch_norm(
            plain, held["norm.running_mean"], held["norm.running_var"], held["norm.weight"], held["norm.bias"]
        )
        torch.testing.assert_close(module(x), y)
    torch.compiler.reset()
    torch.testing.assert_close(torch.compile(native, backend="aot_eager", fullgraph=True)(x), native(x))
    native.load_state_dict(held)
    if name not in dir(nn.Module()):  # torch looks for the module by that attribute
        torch.testing.assert_close(functional_call(native, held, (x,)), native(x))
    found = model.evaluate({name: x.numpy()}, {name: np.ones((5, 4))}, training=True)
    assert found.gradients[f"{name}.{name}.weight"].shape == (4, 3)


@pytest.mark.parametrize("name", AWKWARD_NAMES)
def test_what_an_entry_gives_hides_no_name_of_the_text(name: str) -> None:
    def body(spec: Spec) -> dict[str, Value]:
        x = spec.add(name, Linear(out_features=4), spec.input("x", "batch", 3))
        return {"y": spec.add("norm", BatchNorm(), spec.add("drop", Dropout(), x))}

    native = build(body).native
    x = torch.randn(5, 3, dtype=torch.float64)
    assert native(x).shape == native.train()(x).shape == (5, 4)


def test_no_name_becomes_code() -> None:
    evil = 'x"]; raise SystemExit; ["'

    def body(spec: Spec) -> dict[str, Value]:
        return {evil: spec.add(evil, Linear(out_features=2), spec.input(evil, "batch", 3))}

    model = build(body)
    x = np.ones((2, 3))
    expected = x @ model.weights()[f"{evil}.weight"].T + model.weights()[f"{evil}.bias"]
    np.testing.assert_allclose(model(x).detach(), expected)


def test_layers_that_differ_in_size_alone_share_their_code() -> None:
    def body(spec: Spec) -> dict[str, Value]:
        x = spec.input("x", "batch", 4)
        for number, size in enumerate((3, 3, 5)):
            x = spec.add(str(number), Linear(out_features=size), x)
        return {"y": x}

    first, second, third = build(body).native.children()
    assert isinstance(first, SourceModule)
    assert type(first) is type(second)
    assert type(first) is not type(third)
    assert type(first).forward is type(third).forward
