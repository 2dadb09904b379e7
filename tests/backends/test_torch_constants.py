"""Parameters, buffers and constants of their own in torch: where they stand, what they follow, what is saved."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import numpy as np
import pytest
import torch

import netspec_torch
from netspec.graph.builder import Builder, Entry
from netspec.graph.dims import Size, symbol
from netspec.graph.graph import Origin, Value
from netspec.graph.types import TensorType
from netspec.layers.base import Layer
from netspec.layers.constants import Arange, Buffer, Constant, Ones, Parameter, Zeros
from netspec.layers.indexing import OneHot, TopK
from netspec.layers.initializers import Normal
from netspec.layers.linear import Embedding, Linear
from netspec.layers.products import Einsum
from netspec.layers.tensor import Add, Concat, Mul
from netspec.weights.initial import initial_weights
from tests.backends.torch_graphs import Spec, graphs

BATCH, TIME = symbol("batch"), symbol("time")


class Ramp(Layer):
    """A layer that holds a parameter and makes a range and an array inside: x + weight * [0, 1, ...] * numbers."""

    type: str = "ramp"
    numbers: tuple[float, ...]

    def expand(self, b: Builder, x: Value) -> Value:
        time: Size = x.shape[1]
        hot = b.where(b.one_hot(b.arange(0, time), time), b.array((1.0,), ()), b.array((0.0,), ()))
        scale = b.param("weight", (len(self.numbers),), "ones") * b.array(self.numbers, (len(self.numbers),))
        return b.matmul(hot, x) * scale


def net(spec: Spec) -> dict[str, Value]:
    b = spec.builder
    x = spec.input("x", "batch", "time", 4)
    entry = Entry(Origin("group.mix", None), initializers={"": Normal()}, frozen=lambda _: True)
    (mix,) = b.call(Parameter(shape=(4, 4)), entry, [])
    (scale,) = b.call(Parameter(shape=()), Entry(Origin("scale", None), initializers={"": Normal()}), [])
    fc = spec.add("group.fc", Linear(out_features=4), x)
    numbers = spec.add("numbers", Constant(value=[0.1, -2.0, 3.0, 0.5]))
    saved = spec.add("saved", Buffer(), numbers)
    ids = spec.add("ids", Buffer(), spec.add("range", Arange(end=3)))
    steps = spec.add("steps", Arange(end=TIME))
    positions = spec.add("positions", Embedding(num_embeddings=9, embedding_dim=4), steps)
    y = spec.add("y", Einsum(equation="bti,ij,btj->bt"), fc, mix, x)
    placed = spec.add("placed", Mul(), spec.add("sum", Add(), x, positions, saved, numbers), scale)
    longer = spec.add("longer", Concat(dim=1), placed, spec.add("empty", Zeros(shape=(BATCH, 2, 4))))
    for name, numbers_of in (("first", (1.0, 2.0, 3.0, 4.0)), ("second", (0.5, 0.25, 2.0, 1.0))):
        placed = spec.add(name, Ramp(numbers=numbers_of), placed)
    return {"y": y, "longer": longer, "ids": ids, "ramps": placed, "ones": spec.add("ones", Ones(shape=(2,)))}


def model(dtype: Any = "float32") -> Any:
    pair = graphs(net)
    return netspec_torch.backend.compile(pair, initial_weights(pair.inference), dtype)


def given(dtype: torch.dtype = torch.float32, time: int = 5) -> torch.Tensor:
    return torch.randn(3, time, 4, generator=torch.Generator().manual_seed(3), dtype=dtype)


def assert_equal(found: dict[str, Any], expected: dict[str, Any], **tolerance: Any) -> None:
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        torch.testing.assert_close(found[name], value, **tolerance)


def test_they_stand_on_the_parent_under_their_own_names() -> None:
    native = model().native
    names = ["scale", "saved", "ids", "group.mix", "group.fc.weight", "group.fc.bias", "positions.weight"]
    assert list(native.state_dict()) == [*names, "first.weight", "second.weight"]
    assert isinstance(native.group.mix, torch.nn.Parameter)
    assert not native.group.mix.requires_grad
    assert native.scale.shape == ()
    assert native.ids.dtype == torch.int64
    native.load_state_dict(native.state_dict())
    with torch.no_grad():
        before = native(given())
        native.saved += 1
        native.ids += 4
        after = native(given())
    torch.testing.assert_close(after["longer"][:, :5], before["longer"][:, :5] + native.scale)
    assert after["ids"].tolist() == [4, 5, 6]


def test_constants_follow_the_module_s_dtype_and_are_not_saved() -> None:
    native = model().native
    y = native(given())
    for twin in (copy.deepcopy(native), pickle.loads(pickle.dumps(native))):
        assert_equal(twin(given()), y)
    wide = copy.deepcopy(native).double()(given().double())
    assert {name: value.dtype for name, value in wide.items()} == {
        name: torch.int64 if name == "ids" else torch.float64 for name in wide
    }
    exact = model("float64").native
    numbers = [value for name, value in exact.named_buffers() if name.startswith("constant:") and value.numel() == 4]
    assert [value.tolist() for value in numbers] == [[0.1, -2.0, 3.0, 0.5]]  # float64 from the start, not widened


def test_constants_are_on_the_module_s_device() -> None:
    native = model().native.to("meta")
    y = native(given().to("meta"))
    assert {value.device.type for value in y.values()} == {"meta"}


@pytest.mark.parametrize("time", [2, 7])
def test_one_export_and_one_compilation_serve_all_sizes(time: int) -> None:
    native = model().native
    sizes = {0: torch.export.Dim("batch"), 1: torch.export.Dim("time", min=2, max=9)}
    exported = torch.export.export(native, (given(),), dynamic_shapes=(sizes,)).module()
    assert_equal(exported(given(time=time)), native(given(time=time)))
    compiled = torch.compile(native, dynamic=True, fullgraph=True, backend="aot_eager")
    compiled(given())
    assert_equal(compiled(given(time=time)), native(given(time=time)), rtol=1e-5, atol=1e-5)


def test_top_k_of_ties_is_the_lowest_index_and_gets_the_gradient() -> None:
    def body(spec: Spec) -> dict[str, Value]:
        x = spec.builder.input("x", TensorType((BATCH, 6)))
        values, indices = spec.builder.call(TopK(k=3), Entry(Origin("top", None)), [x])
        return {"values": values, "hot": spec.add("hot", OneHot(num_classes=6), indices)}

    native = netspec_torch.backend.compile(graphs(body), {}, "float32").native
    x = torch.tensor([[1.0, 5, 5, 0, 5, 5], [-0.0, 0, -1, 0, -0.0, 0]], requires_grad=True)
    y = native(x)
    assert y["hot"].argmax(-1).tolist() == [[1, 2, 4], [0, 1, 3]]
    (y["values"] * torch.tensor([1.0, 2, 3])).sum().backward()
    assert x.grad is not None
    np.testing.assert_array_equal(x.grad, [[0, 1, 2, 0, 3, 0], [1, 2, 0, 3, 0, 0]])
