"""The tables of the torch backend: each fused form means what the body means, at kinks too."""

from __future__ import annotations

import pickle
from typing import Any, Literal

import numpy as np
import pytest
import torch
from torch import nn

import netspec_torch
from netspec import layers as L
from netspec.graph import ops
from netspec.graph.builder import Builder
from netspec.graph.graph import Value
from netspec.layers.activation import Gelu, Glu, LeakyRelu, LogSoftmax, PRelu, Softmax, Tanh
from netspec.layers.base import Layer
from netspec.layers.convolution import Conv2d, ConvTranspose2d
from netspec.layers.linear import Linear
from netspec.layers.normalization import (
    BatchNorm,
    GroupNorm,
    InstanceNorm,
    L2Normalize,
    LayerNorm,
    RMSNorm,
)
from netspec.layers.pooling import AvgPool2d, MaxPool2d
from tests.backends.torch_graphs import Spec, build, graphs, weights


def smooth_and_bent() -> list[Layer]:
    """The elementwise layers that torch has whole, some with fields of their own."""
    with_defaults = [L.Relu6, L.Elu, L.Selu, L.Celu, L.GeluTanh, L.Silu, L.Mish, L.Softplus, L.LogSigmoid]
    return [
        *(layer() for layer in (*with_defaults, L.HardSigmoid, L.HardSwish, L.HardTanh)),
        *(L.Elu(alpha=-0.4), L.Celu(alpha=0.3), L.Softplus(beta=2.5), L.HardTanh(min_val=0.1, max_val=0.5)),
        L.Threshold(threshold=0.1, value=-3),
    ]


def fused_cases() -> list[tuple[Layer, tuple[int, ...]]]:
    return [
        (Linear(out_features=4), (5, 3)),
        (Linear(out_features=4, bias=False, weight_layout="in_out"), (5, 2, 3)),
        (Linear(out_features=4, weight_layout="in_out"), (5, 3)),
        (Conv2d(out_channels=4, kernel_size=(2, 3), stride=2, padding=((0, 1), (2, 0)), groups=2), (2, 4, 7, 6)),
        (Conv2d(out_channels=4, kernel_size=3, dilation=2, padding="same", bias=False), (2, 3, 7, 6)),
        (ConvTranspose2d(out_channels=4, kernel_size=3, stride=2, padding=1, output_padding=1), (2, 3, 5, 4)),
        (ConvTranspose2d(out_channels=4, kernel_size=3, stride=2, padding="same", groups=2), (2, 4, 5, 4)),
        (
            ConvTranspose2d(out_channels=4, kernel_size=2, stride=3, padding=((4, 0), (1, 3)), output_padding=(2, 1)),
            (2, 3, 5, 4),
        ),
        (MaxPool2d(kernel_size=(2, 3), stride=(3, 2), padding=1, ceil_mode=True), (2, 3, 8, 6)),
        (AvgPool2d(kernel_size=(4, 3), stride=(3, 5), padding=(2, 1), ceil_mode=True), (2, 3, 8, 6)),
        (AvgPool2d(kernel_size=3, padding=1, ceil_mode=True, count_include_pad=False), (2, 3, 8, 6)),
        (BatchNorm(eps=1e-3, stats_decay=0.6), (5, 3, 4)),
        (BatchNorm(affine=False, running_var="biased"), (5, 3, 4, 2)),
        (BatchNorm(stats_decay=0.0), (5, 3)),
        (LayerNorm(eps=1e-2, dim=(-1, -2)), (5, 3, 4)),
        (LayerNorm(bias=False), (5, 3, 4)),
        (LayerNorm(elementwise_affine=False), (5, 3, 4)),
        (RMSNorm(eps=1e-2, dim=(-1, -2)), (5, 3, 4)),
        (RMSNorm(elementwise_affine=False), (5, 3, 4)),
        (GroupNorm(num_groups=3, eps=1e-2), (5, 6, 4)),
        (GroupNorm(num_groups=2, affine=False), (5, 4)),
        (InstanceNorm(), (5, 3, 4, 2)),
        (InstanceNorm(eps=1e-2, affine=True), (5, 3, 4)),
        (L2Normalize(), (5, 3, 4)),
        (L2Normalize(dim=(1, -1), eps=2.0), (5, 3, 4)),
        *((layer, (5, 6)) for layer in smooth_and_bent()),
        (PRelu(), (5, 3)),
        (PRelu(shape="channel"), (5, 3, 4)),
        (LogSoftmax(dim=1), (5, 3, 4)),
        (Glu(dim=1), (5, 4, 3)),
        (LeakyRelu(negative_slope=0.3), (5, 3)),
        (LeakyRelu(negative_slope=-0.5), (5, 3)),
        (Gelu(), (5, 3)),
        (Softmax(dim=1), (5, 3, 4)),
    ]


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize(
    ("layer", "shape"), fused_cases(), ids=[f"{case[0].type}-{number}" for number, case in enumerate(fused_cases())]
)
def test_fused_forms_mean_the_body(layer: Layer, shape: tuple[int, ...], training: bool) -> None:
    def body(spec: Spec) -> dict[str, Value]:
        return {"y": spec.add("layer", layer, spec.input("x", "batch", *shape[1:]))}

    pair = graphs(body)
    plain = netspec_torch.TorchBackend(fused={})
    rng = np.random.default_rng(3)
    x = np.round(rng.standard_normal(shape), 1)
    x.flat[::4] = 0.0  # kinks
    results = []
    for backend in (netspec_torch.backend, plain):
        model = backend.compile(pair, weights(pair), "float64")
        y = model(x, training=training)
        results.append(model.evaluate({"x": x}, {"y": np.random.default_rng(5).standard_normal(y.shape)}, training))
    moving = {"layer.running_mean", "layer.running_var"} if training and isinstance(layer, BatchNorm) else set()
    assert set(results[0].updates) == moving
    for part in ("outputs", "gradients", "updates"):
        fused, expected = getattr(results[0], part), getattr(results[1], part)
        assert list(fused) == list(expected)
        for name in fused:
            np.testing.assert_allclose(fused[name], expected[name], rtol=1e-11, atol=1e-12, err_msg=f"{part} {name}")


def test_layer_norm_over_a_symbolic_size_runs_its_body() -> None:
    def body(spec: Spec) -> dict[str, Value]:
        layer = LayerNorm(dim=(-1, -2), elementwise_affine=False)
        return {"y": spec.add("norm", layer, spec.input("x", "batch", "time", 3))}

    x = torch.randn(2, 5, 3, dtype=torch.float64)
    torch.testing.assert_close(build(body)(x), nn.functional.layer_norm(x, (5, 3)))


def test_the_body_moves_buffers_in_place_too() -> None:
    def body(spec: Spec) -> dict[str, Value]:
        return {"y": spec.add("norm", BatchNorm(), spec.input("x", "batch", 3))}

    pair = graphs(body)
    native: Any = netspec_torch.TorchBackend(fused={}).compile(pair, weights(pair), "float64").native.train()
    held = native.norm.running_mean
    before = held.clone()
    for _ in range(2):
        native(torch.randn(4, 3, dtype=torch.float64)).sum().backward()
    assert native.norm.running_mean is held
    assert not held.requires_grad
    assert not torch.equal(held, before)


def test_uneven_padding_of_pools() -> None:
    class Pools(Layer):
        type: Literal["pools"] = "pools"

        def expand(self, b: Builder, x: Value) -> Value:
            window = ((3, 2), (2, 1), ((1, 0), (0, 1)))
            whole = b.apply(ops.AveragePool(*window, uncounted=(0, 0)), x)
            inside = b.apply(ops.AveragePool(*window, uncounted=(0, 0), count_include_pad=False), x)
            return b.concat([b.apply(ops.MaxPool(*window), x), whole, inside], 1)

    model = build(lambda spec: {"y": spec.add("pools", Pools(), spec.input("x", "batch", 1, 4, 3))})
    x = -torch.rand(2, 1, 4, 3, dtype=torch.float64) - 1
    largest, whole, inside = model(x).unbind(1)
    padded = nn.functional.pad(x, (0, 1, 1, 0), value=float("nan"))[:, 0]
    for i in range(2):
        for j in range(3):
            window = padded[:, 2 * i : 2 * i + 3, j : j + 2].flatten(1)
            torch.testing.assert_close(largest[:, i, j], window.nan_to_num(-9.0).amax(1))
            torch.testing.assert_close(whole[:, i, j], window.nansum(1) / 6)
            torch.testing.assert_close(inside[:, i, j], window.nanmean(1))


def test_a_planted_lowering_is_used_and_the_backend_pickles() -> None:
    planted = netspec_torch.TorchBackend(lowerings={**netspec_torch.backend.lowerings, ops.Tanh: torch.sigmoid})
    pair = graphs(lambda spec: {"y": spec.add("act", Tanh(), spec.input("x", "batch", 2))})
    for backend in (planted, pickle.loads(pickle.dumps(planted))):
        y = backend.compile(pair, {}, "float64")(np.zeros((1, 2)))
        assert y.tolist() == [[0.5, 0.5]]
    assert isinstance(pickle.loads(pickle.dumps(netspec_torch.backend)), netspec_torch.TorchBackend)
