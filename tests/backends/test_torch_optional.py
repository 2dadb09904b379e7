"""Layers with parameters and optional inputs: the modules that torch runs get them by name."""

from __future__ import annotations

import numpy as np
import pytest

import netspec_torch
from netspec.graph.builder import Builder, Entry
from netspec.graph.dims import symbol
from netspec.graph.graph import Graph, GraphPair, Origin
from netspec.graph.types import TensorType
from netspec.layers.base import Layer
from netspec_numpy import backend as reference


class Gated(Layer):
    """`x * weight`, `+ shift * 2` and `* where(flags, 1, 3)` where they are given; `class` is no name in Python."""

    type: str = "gated"

    def expand(self, b, x, shift=None, flags=None):  # type: ignore[no-untyped-def]
        y = x * b.param("weight", (x.shape[-1],), "zeros")
        y = y if shift is None else y + shift * 2.0
        return y if flags is None else b.where(flags, y, y * 3.0)


CHOICES = [[()], [("shift",)], [("flags",)], [("shift", "flags")], [("shift", "flags"), ("flags",), (), ("shift",)]]


def graph(choices: list[tuple[str, ...]], training: bool) -> Graph:
    """The layer once for each choice of inputs, with one weight."""
    b = Builder("optional", training)
    type = TensorType((symbol("batch"), 3))
    x, shift = b.input("x", type), b.input("shift", type)
    given = {"shift": shift, "flags": b.input("flags", TensorType(type.shape, "bool"))}
    origin = Origin("gate", None)
    for chosen in choices:
        (x,) = b.call(Gated(), Entry(origin), [x], {name: given[name] for name in chosen})
    return b.finish({"y": x})


@pytest.mark.parametrize("choices", CHOICES, ids=str)
def test_optional_inputs_reach_the_module_of_their_layer(choices: list[tuple[str, ...]]) -> None:
    graphs = GraphPair(graph(choices, False), graph(choices, True))
    rng = np.random.default_rng(2)
    weights = {"gate.weight": rng.normal(size=3)}
    inputs = {"x": rng.normal(size=(4, 3)), "shift": rng.normal(size=(4, 3)), "flags": rng.random((4, 3)) < 0.5}
    cotangents = {"y": rng.normal(size=(4, 3))}
    model = netspec_torch.backend.compile(graphs, weights, "float64")
    assert "gate" in dict(model.native.named_modules())
    found = model.evaluate(inputs, cotangents)
    expected = reference.compile(graphs, weights).evaluate(inputs, cotangents)
    np.testing.assert_allclose(found.outputs["y"], expected.outputs["y"], rtol=1e-12)
    for name, gradient in expected.gradients.items():
        np.testing.assert_allclose(found.gradients[name], gradient, rtol=1e-12, atol=1e-14)
