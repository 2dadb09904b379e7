"""`share`: an entry applied once more, with the same arguments, weights and buffers."""

from __future__ import annotations

import pytest

from netspec.graph.graph import Graph
from netspec.spec import loads
from tests.core.spec_text import HEAD, IMAGE, TWO, graph, mistakes, outputs, spec, trainable

TOWERS = """\
netspec: 1
name: towers
inputs: {left: {shape: [batch, 3, 8, 8]}, right: {shape: [rows, 3, 5, 5]}}
blocks:
  Tower:
    params: {n: 4}
    inputs: [x]
    layers:
      - {name: conv, type: conv2d, out_channels: $(n), kernel_size: 3}
      - {name: bn, type: batch_norm}
      - global_avg_pool
layers:
  - KIND
  - {name: b, share: tower, from: right}
  - {name: c, share: b, from: left}
outputs: {a: tower, b: b, c: c}
"""
KINDS = {
    "block": "{name: tower, type: Tower, n: 5, from: left}",
    "group": (
        "{name: tower, from: left, inputs: [x], layers: [{name: conv, type: conv2d, out_channels: 5, kernel_size: 3},"
        " {name: bn, type: batch_norm}, global_avg_pool]}"
    ),
    "loop": "{name: tower, type: Tower, n: 5, from: left, parallel: 1}",
    "layer": "{name: tower, type: conv2d, out_channels: 5, kernel_size: 3, from: left}",
}


def calls(graph: Graph) -> list[str]:
    return [call.path for call in graph.calls()]


@pytest.mark.parametrize("kind", KINDS)
def test_an_entry_is_applied_under_the_paths_that_it_has(kind: str) -> None:
    text = TOWERS.replace("KIND", KINDS[kind])
    made = spec(text).graphs
    once = calls(made.inference)[: len(calls(made.inference)) // 3]
    assert calls(made.inference) == once * 3
    assert all(path.startswith("tower") for path in once)
    alone = graph(text.split("  - {name: b, share")[0] + "outputs: {a: tower}")
    assert [held.path for held in made.inference.state] == [held.path for held in alone.state]
    found = {output.name: str(output.value.type) for output in made.inference.outputs}
    assert found["a"] == found["c"]
    assert found["b"] == found["a"].replace("batch", "rows").replace("6, 6", "3, 3")


def test_statistics_are_updated_by_each_application_in_the_order_written() -> None:
    text = TOWERS.replace("KIND", KINDS["block"])
    training = spec(text).graphs.training
    norms = [call for call in training.calls() if call.path == "tower.bn"]
    assert len(norms) == 3
    before = next(held.value for held in training.state if held.path == "tower.bn.running_mean")
    for call in norms:
        assert call.buffers["running_mean"] is before, "each reads what the one above it left"
        before = call.updates["running_mean"]
    assert training.updates["tower.bn.running_mean"] is before
    assert [str(call.inputs[0].shape[0]) for call in norms] == ["batch", "rows", "batch"]


def test_a_repeated_share_is_a_recurrence() -> None:
    text = (
        HEAD + "layers: [{name: cell, type: linear, out_features: 6}, relu, {name: more, share: cell, repeat: 3}, relu]"
    )
    assert calls(graph(text)) == ["cell", "1", "cell", "cell", "cell", "3"]
    assert list(trainable(text)) == ["cell.weight", "cell.bias"]


def test_a_loop_is_applied_as_a_whole_and_a_copy_alone() -> None:
    text = (
        HEAD
        + """\
layers:
  - {name: a, type: linear, out_features: 6, repeat: 2, bias: false}
  - {name: n$(i), type: linear, out_features: 6, repeat: 2, bias: false}
  - {name: b, share: a, from: x}
  - {name: c, share: n1, from: x}
  - {name: none, type: relu, repeat: 0, from: b}
  - {name: d, share: none, from: c}
  - {type: add, from: [b, c, n1, d]}
"""
    )
    made = graph(text)
    assert calls(made) == ["a.0", "a.1", "n0", "n1", "a.0", "a.1", "n1", "6"]
    assert len(list(made.params)) == 4
    last = list(made.calls())[-1]
    assert last.inputs[1] is last.inputs[3], "a loop without copies stands for the input of its share too"


def test_a_share_stands_wherever_an_entry_does() -> None:
    text = (
        TWO
        + """\
layers:
  - {name: a, type: linear, out_features: 6, from: x}
  - {share: a, from: m}
  - {name: g, layers: [{name: in, share: a}, {share: a, from: x, if: false}]}
  - {name: off, type: linear, out_features: 6, if: false, from: x}
  - {name: alike, share: off, from: m}
  - {type: add, from: [g, alike]}
"""
    )
    made = graph(text)
    assert list(trainable(text)) == ["a.weight", "a.bias"]
    last = list(made.calls())[-1]
    assert last.path == "4"
    assert [value.origin.path for value in last.inputs if value.origin] == ["x", "m"], "an absent entry stays absent"


def test_expressions_inside_see_the_shapes_of_each_application() -> None:
    text = (
        TWO.replace("m: {shape: [batch, 6]}", "m: {shape: [4, 3, 2]}")
        + """\
blocks: {Flat: {inputs: [v], layers: [{type: reshape, shape: ["$(v.shape[0])", -1]}, {type: linear, out_features: 2}]}}
layers: [{name: a, type: Flat, from: x}, {name: b, share: a, from: m}]
outputs: {a: a, b: b}
"""
    )
    assert outputs(text) == {"a": "float[batch, 2]", "b": "float[4, 2]"}


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ("{share: b}", "0 (share): share: there is no entry called b above"),
        ("{share: x}", "0 (share): share: there is no entry called x above"),
        ("{name: a, share: a}", "a: share: there is no entry called a above"),
        ("{share: 3}", "0 (share): share must be text"),
        ("{share: g, init: {weight: ones}}", "init beside share: the shared entry says it"),
        ("{share: g, frozen: true}", "frozen beside share: the shared entry says it"),
        ("{share: g, tie: {weight: a}}", "tie beside share: the shared entry says it"),
        ("{share: g, out_features: 3}", "out_features beside share: it has the arguments of the shared entry"),
        ("{share: g, type: linear}", "share beside type: an entry has one of type, layers, share, branches"),
        ("{share: g, layers: [relu]}", "share beside layers"),
    ],
)
def test_shares_that_are_refused(entry: str, message: str) -> None:
    assert any(message in mistake for mistake in mistakes(HEAD + f"layers: [{entry}]"))


def test_other_shapes_and_new_parameters_are_refused() -> None:
    text = (
        TWO.replace("m: {shape: [batch, 6]}", "m: {shape: [batch, 7]}")
        + """\
blocks:
  B:
    inputs: [v]
    layers:
      - {name: fc, type: linear, out_features: OUT}
      - {name: extra, type: linear, out_features: 6, if: "$(v.shape[1] == 7)"}
layers: [{name: a, type: B, from: x}, {name: b, share: a, from: m}]
outputs: {a: a, b: b}
"""
    )
    (mistake,) = mistakes(text.replace("OUT", "6"))
    assert "weight is shared, which has the shape [6, 6], but [6, 7] is needed here" in mistake
    assert "used by b (" in mistake
    same = text.replace("from: m}", "from: both}").replace(
        "layers: [{name: a, type: B, from: x},",
        "layers: [{name: both, type: relu, from: x}, {name: a, type: B, from: x},",
    )
    assert outputs(same.replace("OUT", "6")) == {"a": "float[batch, 6]", "b": "float[batch, 6]"}
    grown = same.replace("type: relu, from: x}", "type: concat, dim: 0, from: [x, x]}").replace(
        "v.shape[1] == 7", "v.shape[0] != batch"
    )
    assert (
        "applied once more it would need a.extra.weight, which it does not have"
        in mistakes(grown.replace("OUT", "6"))[0]
    )


def test_an_entry_cannot_be_applied_inside_itself() -> None:
    text = (
        TWO.replace("m: {shape: [batch, 6]}", "m: {shape: [batch, 7]}")
        + """\
layers:
  - {name: g, from: x, inputs: [z], layers: [{share: g, if: "$(z.shape[1] > 6)"}, relu]}
  - {share: g, from: m}
"""
    )
    assert "share: an entry cannot be applied inside itself" in mistakes(text)[0]


def test_dropout_counts_and_frozen_parts_follow_the_shared_entry() -> None:
    text = (
        IMAGE
        + """\
layers:
  - name: frozen
    frozen: true
    layers: [{name: a, type: conv2d, out_channels: 3, kernel_size: 1}, {name: bn, type: batch_norm}]
  - {name: live, layers: [{share: frozen}, {name: again, type: conv2d, out_channels: 2, kernel_size: 1}]}
"""
    )
    assert {path for path, moves in trainable(text).items() if moves} == {"live.again.weight", "live.again.bias"}
    assert not loads(text).training.updates
