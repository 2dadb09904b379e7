"""Passes keep the meaning: outputs, gradients and updates of every rewritten graph are those of the first one."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from netspec import layers
from netspec.graph.builder import Builder
from netspec.graph.graph import Call, GraphPair, Value
from netspec.graph.invariants import check_graph
from netspec.graph.ops import Bernoulli
from netspec.layers.base import Layer
from netspec.model import Evaluation
from netspec.passes.expose import PROBE, expose_outputs, node_names, probe, probe_names
from netspec.passes.noise_inputs import noise_inputs
from netspec.passes.prune import prune
from netspec.spec import loads
from netspec_numpy.model import NumpyModel
from tests.core.nets import (
    BATCH,
    NETS,
    Net,
    assert_same,
    graph_of,
    residual,
    run,
    shape_at,
    tables,
    weights_of,
)


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("name", NETS)
def test_noise_expose_probe_and_prune_keep_the_meaning(name: str, training: bool) -> None:
    graph, drawn = noise_inputs(graph_of(NETS[name], training))
    check_graph(graph)
    assert not any(node.op.random for node in graph.primitives())
    assert all(isinstance(op, Bernoulli) for op in drawn.values())
    weights = weights_of(graph, np.random.default_rng(6))
    first = run(graph, weights)
    assert_same(first, run(check_graph(prune(graph)), weights))
    probed = check_graph(probe(graph))
    shown = run(probed, weights, 3)
    assert_same(Evaluation(first.outputs, {}, first.updates), Evaluation(shown.outputs, {}, shown.updates))
    # Inputs and cotangents are drawn in order, so those of the probed graph differ behind the first probe: by name.
    exposed = check_graph(expose_outputs(graph))
    values = run(exposed, weights).outputs
    assert [name for name in values if not name.startswith("node:")] == list(first.outputs)
    for output, array in first.outputs.items():
        np.testing.assert_array_equal(values[output], array)
    assert len(values) == len(first.outputs) + len(node_names(graph))


def test_the_gradient_of_a_probe_is_what_its_layer_hands_back() -> None:
    graph = noise_inputs(graph_of(residual, True))[0]
    weights = weights_of(graph, np.random.default_rng(7))
    rng = np.random.default_rng(8)
    inputs = {entry.name: rng.normal(size=shape_at(entry.value, 2)) for entry in graph.inputs}
    cotangents = {output.name: rng.normal(size=shape_at(output.value, 2)) for output in graph.outputs}
    probed = check_graph(probe(graph))
    zeros = {e.name: np.zeros(shape_at(e.value, 2)) for e in probed.inputs if e.name.startswith(PROBE)}
    model = NumpyModel(GraphPair(probed, probed), weights, "float64", *tables())
    here = model.evaluate({**inputs, **zeros}, cotangents, training=True)
    first = NumpyModel(GraphPair(graph, graph), weights, "float64", *tables()).trace(inputs, cotangents, training=True)
    assert_same(first.evaluation, here, first.evaluation.gradients)
    handed: dict[Value, Any] = {}
    for call in graph.calls():
        for name, value in probe_names(call, call.path).items():
            handed[value] = handed.get(value, 0) + here.gradients[f"input:{name}"]
    direct = {output.value: cotangents[output.name] for output in graph.outputs}
    for value, total in handed.items():  # what all readers hand back is what flows to the value
        np.testing.assert_allclose(total + direct.get(value, 0), first.cotangents[value], rtol=0, atol=1e-11)
    assert len(zeros) == sum(len(probe_names(call, call.path)) for call in graph.calls()) > 20


def test_a_layer_that_hands_its_input_on_has_no_probe() -> None:
    net = Net(training=False)
    x = net.add(layers.Linear(out_features=3), net.input(BATCH, 2))
    graph = net.b.finish({"y": net.add(layers.Relu(), net.add(layers.Dropout(), x)), "x": x})
    probed = check_graph(probe(graph))
    assert [entry.name for entry in probed.inputs] == ["x0", "probe:layer1:0", "probe:layer3:0"]
    weights = weights_of(graph, np.random.default_rng(1))
    assert_same(Evaluation(run(graph, weights).outputs, {}, {}), Evaluation(run(probed, weights).outputs, {}, {}))


def test_prune_leaves_out_what_nothing_needs_and_keeps_parameters_and_updates() -> None:
    net = Net(training=True)
    x = net.input(BATCH, 3)
    unused = net.add(layers.Linear(out_features=2), x)
    net.add(layers.Relu(), unused)
    net.add(layers.BatchNorm(), net.add(layers.Tanh(), x))
    graph = net.b.finish({"y": net.add(layers.Sigmoid(), x)})
    pruned = check_graph(prune(graph))
    assert [call.path for call in pruned.calls()] == ["layer3", "layer4", "layer5"], "statistics still move"
    assert pruned.state == graph.state
    inference = Net(training=False)
    x = inference.input(BATCH, 3)
    inference.add(layers.BatchNorm(), x)
    assert [c.path for c in prune(inference.b.finish({"y": inference.add(layers.Tanh(), x)})).calls()] == ["layer2"]


def test_a_second_draw_of_one_layer_has_an_input_of_its_own() -> None:
    class Twice(Layer):
        type: str = "twice"

        def expand(self, b: Builder, x: Value) -> Value:
            return b.bernoulli(x, 0.5) * 2.0 + b.bernoulli(x, 0.25)

    net = Net(training=True)
    graph, drawn = noise_inputs(net.b.finish({"y": net.add(Twice(), net.input(BATCH, 3))}))
    assert {name: op.keep for name, op in drawn.items() if isinstance(op, Bernoulli)} == {
        "noise:layer1": 0.5,
        "noise:layer1:1": 0.25,
    }
    (call,) = check_graph(graph).nodes
    assert isinstance(call, Call)
    assert call.noise == tuple(entry.value for entry in graph.inputs[1:])


def test_a_layer_that_only_training_needs_is_no_mistake_and_is_not_run_in_inference() -> None:
    made = loads(
        "netspec: 1\ninputs: {x: {shape: [batch, 3]}, z: {shape: [batch, 3]}}\nlayers:\n"
        "  - {name: a, type: tanh, from: x}\n  - {name: b, type: sigmoid, from: z}\n"
        "  - {type: by_mode, from: {training: a, inference: b}}\n  - relu"
    )
    assert made.warnings == ()
    assert [call.path for call in made.inference.calls()] == ["b", "2", "3"]
    assert [call.path for call in made.training.calls()] == ["a", "2", "3"]
    (chosen,) = (call for call in made.inference.calls() if call.path == "2")
    assert chosen.inputs == chosen.outputs
