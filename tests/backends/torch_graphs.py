"""Small graphs for the tests of the torch backend, their weights, and the same net written by hand."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from torch import nn

import netspec_torch
from netspec.graph.builder import Builder
from netspec.graph.dims import symbol
from netspec.graph.graph import GraphPair, Value
from netspec.graph.types import TensorType
from netspec.layers.activation import LeakyRelu
from netspec.layers.base import Layer
from netspec.layers.convolution import Conv2d
from netspec.layers.linear import Linear
from netspec.layers.normalization import BatchNorm
from netspec.layers.pooling import MaxPool2d
from netspec.layers.regularization import Dropout
from netspec.layers.tensor import Flatten
from tests.backends.graphs import call
from tests.backends.graphs import graphs as both_graphs

Body = Callable[["Spec"], dict[str, Value]]


class Spec:
    """A Builder with a word for what a spec would say: `spec.add("conv1", Conv2d(...), x)`."""

    def __init__(self, builder: Builder) -> None:
        self.builder = builder

    def input(self, name: str, *shape: Any, dtype: Any = "float") -> Value:
        sizes = [symbol(size) if isinstance(size, str) else size for size in shape]
        return self.builder.input(name, TensorType(tuple(sizes), dtype))

    def add(
        self, path: str, layer: Layer, *inputs: Value, frozen: bool = False, tied: Mapping[str, str] | None = None
    ) -> Value:
        return call(self.builder, path, layer, *inputs, frozen=frozen, tied=tied)


def graphs(body: Body) -> GraphPair:
    return both_graphs(lambda b: body(Spec(b)))


def weights(pair: GraphPair, seed: int = 0) -> dict[str, np.ndarray[Any, Any]]:
    rng = np.random.default_rng(seed)
    found = {}
    for held in pair.inference.state:
        drawn = rng.standard_normal(held.value.shape)
        found[held.path] = np.abs(drawn) + 0.5 if held.path.endswith("running_var") else drawn * 0.4
    return found


def build(body: Body, dtype: Any = "float64", **options: Any) -> Any:
    pair = graphs(body)
    return netspec_torch.backend.compile(pair, weights(pair), dtype, **options)


def small_net(spec: Spec) -> dict[str, Value]:
    """Odd and even sizes, a group, an unnamed entry, batch norm, dropout, non-zero biases."""
    x = spec.input("image", "batch", 3, 9, 8)
    x = spec.add("stem.conv", Conv2d(out_channels=4, kernel_size=3, stride=(2, 1), padding=1), x)
    x = spec.add("stem.norm", BatchNorm(), x)
    x = spec.add("stem.act", LeakyRelu(negative_slope=0.1), x)
    x = spec.add("layer1.0.conv1", Conv2d(out_channels=6, kernel_size=2, bias=False), x)
    x = spec.add("layer1.0.bn-1", BatchNorm(stats_decay=0.7), x)
    x = spec.add("pool", MaxPool2d(kernel_size=2), x)
    x = spec.add("flat", Flatten(), x)
    x = spec.add("drop", Dropout(p=0.25), x)
    return {"logits": spec.add("fc", Linear(out_features=5), x)}


class SmallNet(nn.Module):
    """The same net, written by hand."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.ModuleDict({"conv": nn.Conv2d(3, 4, 3, stride=(2, 1), padding=1), "norm": nn.BatchNorm2d(4)})
        block = {"conv1": nn.Conv2d(4, 6, 2, bias=False), "bn-1": nn.BatchNorm2d(6, momentum=0.3)}
        self.layer1 = nn.ModuleDict({"0": nn.ModuleDict(block)})
        self.fc = nn.Linear(36, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = nn.functional.leaky_relu(self.stem["norm"](self.stem["conv"](x)), 0.1)
        x = self.layer1.get_submodule("0.bn-1")(self.layer1.get_submodule("0.conv1")(x))
        x = nn.functional.max_pool2d(x, 2).flatten(1)
        y: torch.Tensor = self.fc(nn.functional.dropout(x, 0.25, self.training))
        return y


def image(seed: int = 1, batch: int = 3) -> torch.Tensor:
    return torch.randn(batch, 3, 9, 8, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def gradients(module: nn.Module, y: torch.Tensor) -> list[torch.Tensor]:
    r = torch.randn(y.shape, generator=torch.Generator().manual_seed(9), dtype=y.dtype)
    return list(torch.autograd.grad((y * r).sum(), list(module.parameters())))


def buffers(module: nn.Module) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in module.named_buffers()}


def by_hand(model: Any) -> SmallNet:
    """The hand-written net with the weights of `model`, in eval mode; its state dict counts batches too."""
    hand = SmallNet().double().eval()
    hand.load_state_dict(model.native.state_dict(), strict=False)
    return hand
