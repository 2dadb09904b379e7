"""Torch: layers that are applied twice, parameters that are tied, sizes that only a call knows."""

from __future__ import annotations

import copy
import inspect
import pickle
from typing import Literal

import numpy as np
import pytest
import torch
from torch import nn

from netspec.graph.builder import Builder
from netspec.graph.dims import symbol
from netspec.graph.graph import Value
from netspec.graph.types import TensorType
from netspec.layers.base import Layer
from netspec.layers.convolution import Conv2d
from netspec.layers.linear import Embedding, Linear
from netspec.layers.normalization import BatchNorm
from netspec.layers.tensor import Add, Concat
from tests.backends.torch_graphs import Spec, build


def test_a_layer_applied_twice_is_one_submodule() -> None:
    def body(spec: Spec) -> dict[str, Value]:
        x = spec.input("x", "batch", 2, 6, 5)
        y = spec.add("tower", Conv2d(out_channels=2, kernel_size=3, stride=2, padding="same"), x)
        y = spec.add("tower", Conv2d(out_channels=2, kernel_size=3, stride=2, padding="same"), y)
        y = spec.add("norm", BatchNorm(), y)
        return {"y": spec.add("norm", BatchNorm(), y)}

    native = build(body).native
    calls: list[int] = []
    hook = native.tower.register_forward_hook(lambda module, args, y: calls.append(y.shape[-1]))
    x = torch.randn(4, 2, 6, 5, dtype=torch.float64)
    native.train()
    mean, var = native.norm.running_mean.clone(), native.norm.running_var.clone()
    y = native(x)
    hook.remove()
    assert calls == [3, 2]
    assert list(native.state_dict()) == [
        "tower.weight",
        "tower.bias",
        "norm.weight",
        "norm.bias",
        "norm.running_mean",
        "norm.running_var",
    ]
    # 6 x 5 gets (0, 1) and (1, 1), 3 x 3 gets (1, 1) and (1, 1).
    z = x
    for pads in ((1, 1, 0, 1), (1, 1, 1, 1)):
        z = nn.functional.conv2d(nn.functional.pad(z, pads), native.tower.weight, native.tower.bias, stride=2)
    for _ in range(2):
        z = nn.functional.batch_norm(z, mean, var, native.norm.weight, native.norm.bias, True)
    torch.testing.assert_close(y, z)
    torch.testing.assert_close(native.norm.running_mean, mean)
    torch.testing.assert_close(native.norm.running_var, var)
    twin = pickle.loads(pickle.dumps(native)).eval()
    torch.testing.assert_close(twin(x), native.eval()(x))


@pytest.mark.parametrize("bias", [True, False])
def test_a_tied_parameter_is_there_once(bias: bool) -> None:
    def body(spec: Spec) -> dict[str, Value]:
        x = spec.input("tokens", "batch", "time", dtype="int64")
        x = spec.add("embed", Embedding(num_embeddings=7, embedding_dim=3), x)
        tied = {"weight": "embed.weight"}
        return {"logits": spec.add("head", Linear(out_features=7, bias=bias), x, tied=tied)}

    model = build(body)
    native = model.native
    assert list(native.state_dict()) == ["embed.weight", *(["head.bias"] if bias else [])]
    tokens = torch.tensor([[0, 6, 2], [3, 3, 1]])
    table = native.embed.weight
    expected = table[tokens] @ table.T + (native.head.bias if bias else 0)
    torch.testing.assert_close(native(tokens), expected)
    found = model.gradients(tokens, cotangent=np.ones((2, 3, 7)))
    np.testing.assert_allclose(found["embed.weight"], torch.autograd.grad(expected.sum(), table)[0])
    torch.testing.assert_close(copy.deepcopy(native)(tokens), expected)
    twin = pickle.loads(pickle.dumps(native))
    both = {**native.state_dict(), "head.weight": table.detach()}
    other = torch.full_like(table, 0.5)
    alias_alone = {name: value for name, value in both.items() if name != "embed.weight"} | {"head.weight": other}
    for module in (native, twin):
        module.load_state_dict(both)
        module.load_state_dict(alias_alone)
        assert torch.equal(module.embed.weight, other)
        with pytest.raises(RuntimeError, match="are one parameter, and the values differ"):
            module.load_state_dict({**both, "embed.weight": table + 1})


class Halves(Layer):
    """Scales each half of the time axis by a number of its own: a body that needs sizes as numbers."""

    type: Literal["halves"] = "halves"

    def expand(self, b: Builder, x: Value) -> Value:
        batch, time, features = x.shape
        split = b.reshape(x, (batch, 2, time // 2, features))
        y = split * b.reshape(b.param("weight", (2,), "ones"), (2, 1, 1))
        return b.reshape(y, (batch, time // 2 * 2, features))


def test_a_layer_gets_the_sizes_it_cannot_see() -> None:
    def body(spec: Spec) -> dict[str, Value]:
        n = symbol("n")
        x = spec.builder.input("x", TensorType((symbol("batch"), n * 2, 3)))
        count = spec.input("count", "n", 3)
        y = spec.add("halves", Halves(), x)
        return {"y": spec.add("add", Add(), y, spec.add("twice", Concat(dim=0), count, count))}

    model = build(body)
    for n in (2, 5):
        x, count = torch.randn(4, 2 * n, 3, dtype=torch.float64), torch.randn(n, 3, dtype=torch.float64)
        scale = model.native.halves.weight.repeat_interleave(n)[:, None]
        torch.testing.assert_close(model(x, count), x * scale + torch.cat([count, count]))
    assert "def forward(self, x, n)" in inspect.getsource(type(model.native.halves).forward)


@pytest.mark.parametrize("padding", ["same", "same_lower"])
def test_same_padding_of_symbolic_sizes(padding: Literal["same", "same_lower"]) -> None:
    def body(spec: Spec) -> dict[str, Value]:
        x = spec.input("x", "batch", 2, "height", "width")
        layer = Conv2d(out_channels=4, kernel_size=(3, 2), stride=(2, 3), dilation=(2, 1), padding=padding, groups=2)
        return {"y": spec.add("conv", layer, x)}

    native = build(body).native
    for height, width in ((7, 8), (8, 9), (5, 7), (2, 1)):
        pads: list[int] = []
        for size, window, stride in ((width, 2, 3), (height, 5, 2)):
            total = max((-(-size // stride) - 1) * stride + window - size, 0)
            pads += [total - total // 2, total // 2] if padding == "same_lower" else [total // 2, total - total // 2]
        x = torch.randn(2, 2, height, width, dtype=torch.float64)
        padded = nn.functional.pad(x, pads)
        expected = nn.functional.conv2d(
            padded, native.conv.weight, native.conv.bias, stride=(2, 3), dilation=(2, 1), groups=2
        )
        torch.testing.assert_close(native(x), expected)
