"""Outputs with `if` and `only: training`: what is run, what has weights, what is told."""

from __future__ import annotations

import pytest

from netspec.graph.graph import Graph
from tests.core.spec_text import HEAD, graph, mistakes, outputs, spec

AUX = (
    HEAD
    + """\
params: {aux: true}
layers:
  - {name: stem, type: linear, out_features: 6}
  - {name: side, layers: [{name: bn, type: batch_norm}, {name: fc, type: linear, out_features: 2}]}
  - {name: head, type: linear, out_features: 3, from: stem}
outputs: {logits: head, aux: {from: side, if: $(aux), only: training, description: "$(", x-note: 3}}
"""
)


def run(graph: Graph) -> list[str]:
    return [call.path for call in graph.calls()]


def test_what_only_training_needs_is_not_run_in_inference_but_has_its_weights() -> None:
    made = spec(AUX)
    assert run(made.inference) == ["stem", "head"]
    assert sorted(run(made.training)) == ["head", "side.bn", "side.fc", "stem"]
    assert [output.name for output in made.inference.outputs] == ["logits"]
    assert [output.name for output in made.training.outputs] == ["logits", "aux"]
    paths = [held.path for held in made.inference.state]
    assert paths == [held.path for held in made.training.state]
    assert {"side.bn.running_mean", "side.fc.weight"} <= set(paths)
    assert made.warnings == ()
    assert set(made.training.updates) == {"side.bn.running_mean", "side.bn.running_var"}


def test_an_output_whose_if_is_false_is_not_there_in_any_mode() -> None:
    made = spec(AUX, params={"aux": False})
    assert [output.name for output in made.graphs.training.outputs] == ["logits"]
    # The batch norm moves its statistics in training, whoever reads what it gives.
    assert [warning.message for warning in made.warnings] == ["side.fc: no output needs this layer"]
    text = HEAD + "layers: [{name: a, type: relu}]\noutputs: {a: a, b: {from: nowhere, if: false}}"
    assert outputs(text) == {"a": "float[batch, 6]"}, "what it refers to is not looked at"


def test_a_wrong_reference_of_training_alone_is_told_in_inference_too() -> None:
    text = HEAD + "layers: [{name: a, type: relu}]\noutputs: {a: a, b: {from: nowhere, only: training}}"
    with pytest.raises(ValueError, match="output b: there is nothing called nowhere above"):
        graph(text)


@pytest.mark.parametrize(
    ("output", "message"),
    [
        ("{from: a, only: inference}", "output b: only: expected training"),
        ("{from: a, only: null}", "output b: only: expected training"),
        ("{from: a, iff: true}", "unknown key iff in output b; did you mean if?"),
        ("{only: training}", "output b: from is required"),
        ("{from: a, if: 1}", "if: expected true or false, got 1"),
        ("[a]", "output b: a reference must be text"),
        ("{from: a, only: training, if: $(training)}", "unknown name training"),
    ],
)
def test_outputs_that_are_refused(output: str, message: str) -> None:
    text = HEAD + f"layers: [{{name: a, type: relu}}]\noutputs: {{a: a, b: {output}}}"
    assert any(message in mistake for mistake in mistakes(text))


def test_a_model_gives_something_in_each_mode() -> None:
    text = HEAD + "layers: [{name: a, type: relu}]\noutputs: {a: {from: a, only: training}}"
    assert "none is left in this mode" in mistakes(text)[0]


def test_outputs_of_blocks_may_have_if_but_not_only() -> None:
    text = (
        HEAD
        + """\
blocks:
  B:
    params: {both: true}
    inputs: [x]
    layers: [{name: a, type: relu}, {name: b, type: tanh}]
    outputs: {a: a, b: {from: b, if: $(both)}}
layers: [{name: one, type: B, both: false}, {name: two, type: B, from: one}, {name: y, type: relu, from: "two:b"}]
"""
    )
    assert run(graph(text)) == ["one.a", "two.a", "two.b", "y"]
    assert "one has no port b: it has a" in mistakes(text.replace("from: one}", 'from: "one:b"}'))[0]
    assert "unknown key only in output b" in mistakes(text.replace("if: $(both)", "only: training"))[0]


def test_an_input_with_a_default_keeps_its_kind() -> None:
    text = (
        "netspec: 1\nparams: {fill: true}\ninputs: {x: {shape: [batch, 3]}, "
        "mask: {shape: [batch, 3], dtype: KIND, default: VALUE}}\n"
        "layers: [{name: a, type: relu, from: x}]\noutputs: {a: a, mask: mask}"
    )
    for kind, value, expected in (("bool", "$(fill)", True), ("int64", "7", 7), ("float", "7", 7.0)):
        made = graph(text.replace("KIND", kind).replace("VALUE", value))
        assert repr(made.inputs[1].default) == repr(expected)
    for kind, value in (("bool", "1"), ("int64", "1.0"), ("float", "true"), ("int32", "false"), ("bool", "yes")):
        (mistake,) = mistakes(text.replace("KIND", kind).replace("VALUE", value))
        assert "input mask: default: expected" in mistake
