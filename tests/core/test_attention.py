"""Attention: what each choice of inputs means, queries that may attend to nothing, and that every pass keeps it."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from netspec.errors import ShapeError
from netspec.graph.builder import Builder, Entry
from netspec.graph.dims import evaluate, symbol
from netspec.graph.graph import Call, Graph, GraphPair, Origin, Value
from netspec.graph.invariants import check_graph
from netspec.graph.types import DType, TensorType
from netspec.layers import ByMode, Dropout, ScaledDotProductAttention, Sigmoid, Tanh
from netspec.layers.base import input_names
from netspec.model import Evaluation
from netspec.passes import apply_passes
from netspec.passes.channels_last import channels_last
from netspec.passes.expose import PROBE, expose_outputs, probe
from netspec.passes.noise_inputs import noise_inputs
from netspec_numpy.model import NumpyModel
from tests.core.nets import tables

Arrays = Mapping[str, Any]
Shapes = Mapping[str, tuple[tuple[Any, ...], DType]]

B, L, S = symbol("batch"), symbol("queries"), symbol("keys")
SHAPES: Shapes = {
    "query": ((B, 4, L, 6), "float"),
    "key": ((B, 4, S, 6), "float"),
    "value": ((B, 4, S, 5), "float"),
    "mask": ((B, 1, L, S), "bool"),
    "bias": ((4, L, S), "float"),
}
CHOICES = [names for n in range(3) for names in itertools.combinations(("mask", "bias"), n)]


def graph_of(layer: ScaledDotProductAttention, given: tuple[str, ...], shapes: Shapes = SHAPES) -> Graph:
    """A graph of one attention, after all that a graph goes through; a dropout in front of it draws in training."""
    b = Builder("attention", training=True)
    values = {name: b.input(name, TensorType(shape, dtype)) for name, (shape, dtype) in shapes.items()}
    (query,) = b.call(Dropout(p=0.2), Entry(Origin("drop", None)), [values["query"]])
    inputs = [query, values["key"], values["value"]]
    (y,) = b.call(layer, Entry(Origin("it", None)), inputs, {name: values[name] for name in given})
    return noise_inputs(apply_passes(b.finish({"y": y})))[0]


def draw(seed: int = 5) -> dict[str, Any]:
    """Two queries of the first sample may attend to nothing, one of them has the largest scores."""
    rng = np.random.default_rng(seed)
    sizes = {"batch": 2, "queries": 5, "keys": 3}
    arrays: dict[str, Any] = {
        name: rng.normal(size=[evaluate(size, sizes) for size in shape]) for name, (shape, _) in SHAPES.items()
    }
    arrays["query"][0, :, 1] *= 1e3
    arrays["mask"] = rng.random((2, 1, 5, 3)) < 0.7
    arrays["mask"][0, 0, 1:3] = False
    arrays["mask"][1, 0] = [[True] * 3, [True, False, True], [False, True, False], [True] * 3, [False, True, True]]
    arrays["noise:drop"] = np.ones((2, 4, 5, 6))
    return arrays


def run(graph: Graph, arrays: Arrays) -> Evaluation:
    model = NumpyModel(GraphPair(graph, graph), {}, "float64", *tables())
    cotangent = np.random.default_rng(9).normal(size=(2, 4, 5, 5))
    given = {entry.name: arrays[entry.name] for entry in graph.inputs if not entry.name.startswith(PROBE)}
    sizes = {"batch": 2, "queries": 5, "keys": 3}
    for entry in graph.inputs:
        if entry.name.startswith(PROBE):
            given[entry.name] = np.zeros([evaluate(size, sizes) for size in entry.value.shape])
    return model.evaluate(given, {"y": cotangent}, training=True)


def by_hand(arrays: Arrays, given: tuple[str, ...], causal: int | None = None) -> Any:
    """Each query alone: the weights of the keys that it may attend to, in plain sums."""
    query, key, value = arrays["query"] / 0.8, arrays["key"], arrays["value"]
    y = np.zeros((2, 4, 5, 5))
    for n, h, i in np.ndindex(2, 4, 5):
        kept = [
            j
            for j in range(3)
            if ("mask" not in given or arrays["mask"][n, 0, i, j]) and (causal is None or j <= i + causal)
        ]
        scores = [
            query[n, h, i] @ key[n, h, j] / np.sqrt(6) + (arrays["bias"][h, i, j] if "bias" in given else 0)
            for j in kept
        ]
        weights = [np.exp(score - max(scores)) for score in scores]
        for j, weight in zip(kept, weights, strict=True):
            y[n, h, i] += weight / sum(weights) * value[n, h, j]
    return y


@pytest.mark.parametrize("given", CHOICES, ids=lambda given: "-".join(given) or "none")
@pytest.mark.parametrize("offset", [None, 0, -2, 1])
def test_is_its_definition(given: tuple[str, ...], offset: int | None) -> None:
    layer = ScaledDotProductAttention(causal=offset is not None, causal_offset=offset or 0)
    arrays = draw()
    found = run(graph_of(layer, given), arrays)
    np.testing.assert_allclose(found.outputs["y"], by_hand(arrays, given, offset), rtol=0, atol=1e-12)
    assert all(np.isfinite(gradient).all() for gradient in found.gradients.values())


@pytest.mark.parametrize("given", [("mask",), ("mask", "bias")], ids="-".join)
def test_a_query_that_may_attend_to_nothing_gets_zero_and_hands_back_zero(given: tuple[str, ...]) -> None:
    found = run(graph_of(ScaledDotProductAttention(), given), draw())
    assert not found.outputs["y"][0, :, 1:3].any()
    assert not found.gradients["input:query"][0, :, 1:3].any()
    assert found.outputs["y"][1, :, 1:3].all()
    assert found.gradients["input:query"][1, :, 0].all()


def test_a_bias_of_minus_infinity_is_a_mask() -> None:
    arrays = draw()
    masked = run(graph_of(ScaledDotProductAttention(), ("mask",)), arrays)
    shapes = {**SHAPES, "bias": ((B, 4, L, S), "float")}
    bias = np.where(np.broadcast_to(arrays["mask"], (2, 4, 5, 3)), 0, -np.inf)
    graph = graph_of(ScaledDotProductAttention(), ("bias",), shapes)
    biased = run(graph, {**arrays, "bias": bias})
    np.testing.assert_allclose(biased.outputs["y"], masked.outputs["y"], rtol=0, atol=1e-14)
    for name in ("input:query", "input:key", "input:value"):
        gradient = masked.gradients[name]
        np.testing.assert_allclose(biased.gradients[name], gradient, rtol=0, atol=1e-12 * np.abs(gradient).max())
    assert not biased.gradients["input:bias"][np.isinf(bias)].any()


@pytest.mark.parametrize("given", CHOICES, ids=lambda given: "-".join(given) or "none")
def test_every_pass_keeps_the_choice_of_inputs_and_the_meaning(given: tuple[str, ...]) -> None:
    graph = graph_of(ScaledDotProductAttention(causal=True, causal_offset=1), given)
    first = run(graph, draw())
    for changed in (channels_last(graph), expose_outputs(graph), probe(graph), channels_last(probe(graph))):
        (call,) = (call for call in check_graph(changed).calls() if call.path == "it")
        assert call.optional == given
        assert len(call.inputs) == 3 + len(given)
        found = run(changed, draw())
        np.testing.assert_allclose(found.outputs["y"], first.outputs["y"], rtol=0, atol=1e-12)
        for name, gradient in first.gradients.items():
            np.testing.assert_allclose(found.gradients[name], gradient, rtol=0, atol=1e-10 * np.abs(gradient).max())


def test_inputs_by_name() -> None:
    names = input_names(ScaledDotProductAttention)
    assert names.required == ("query", "key", "value")
    assert names.optional == ("mask", "bias")


@pytest.mark.parametrize(
    ("shapes", "message"),
    [
        (
            {"mask": ((L, S), "float")},
            r"mask must be flags, true for what may be attended to, got float\[queries, keys\]",
        ),
        ({"mask": ((B, 1, S, L), "bool")}, "do not broadcast"),
        (
            {"mask": ((3, 1, 1, 1, 1), "bool")},
            r"mask \[3, 1, 1, 1, 1\] does not broadcast to the scores \[batch, 4, queries",
        ),
        ({"bias": ((2, L, S), "float")}, "do not broadcast: 2 against 4"),
        ({"bias": ((L, S), "int64")}, "mixed types"),
        ({"query": ((B, 4, L, 6), "int64")}, "floating-point numbers are needed here"),
    ],
)
def test_refused(shapes: Shapes, message: str) -> None:
    b = Builder("attention")
    values = {name: b.input(name, TensorType(*type)) for name, type in {**SHAPES, **shapes}.items()}
    inputs = [values["query"], values["key"], values["value"]]
    with pytest.raises(ShapeError, match=message):
        b.call(
            ScaledDotProductAttention(),
            Entry(Origin("it", None)),
            inputs,
            {name: values[name] for name in ("mask", "bias")},
        )


@pytest.mark.parametrize("training", [False, True])
def test_what_the_other_mode_needs_is_not_run(training: bool) -> None:
    b = Builder("modes", training)
    x = b.input("x", TensorType((B, 3)))

    def call(path: str, layer: Any, *inputs: Value) -> Value:
        (y,) = b.call(layer, Entry(Origin(path, None)), inputs)
        return y

    left, right = call("left", Tanh(), call("first", Sigmoid(), x)), call("right", Sigmoid(), x)
    graph = apply_passes(b.finish({"y": call("chosen", ByMode(), left, right)}))
    assert [call.path for call in graph.calls()] == (["first", "left", "chosen"] if training else ["right", "chosen"])
    last = graph.nodes[-1]
    assert isinstance(last, Call)
    assert last.inputs == last.outputs
    check_graph(channels_last(probe(noise_inputs(graph)[0])))
