"""`scan` in a graph: what is sliced, carried, stacked or the same; costs, indices, and what is refused."""

from __future__ import annotations

import pytest

from netspec.analysis.costs import count_costs
from netspec.analysis.counts import count_by_layer, count_params
from netspec.analysis.index_bounds import index_bounds
from netspec.graph.graph import Node
from netspec.graph.ops import Scan
from netspec.graph.printer import print_graph
from tests.core.spec_text import graph, mistakes, outputs, spec

HEAD = """\
netspec: 1
params: {hidden: 5}
inputs:
  words: {shape: [batch, time], dtype: int64}
  start: {shape: [batch, 5]}
  memory: {shape: [batch, source, 3]}
blocks:
  Step:
    inputs: [word, h, memory]
    layers:
      - {name: e, type: embedding, num_embeddings: 11, embedding_dim: 4}
      - {name: keys, type: mean, dim: 1, from: memory}
      - {name: joined, type: concat, from: [e, h, keys], dim: 1}
      - {name: w, type: linear, out_features: $(hidden)}
      - {name: next, type: tanh}
      - {name: out, type: linear, out_features: 2}
    outputs: {h: next, logits: out}
layers:
"""
RNN = "  - {name: rnn, type: Step, scan: {over: [word], dim: 1}, from: {word: words, h: start, memory: memory}}\n"
TEXT = HEAD + RNN + "outputs: {y: 'rnn:logits', last: 'rnn:h'}\n"


def test_what_is_carried_keeps_its_shape_and_the_rest_is_stacked() -> None:
    assert outputs(TEXT) == {"y": "float[batch, time, 2]", "last": "float[batch, 5]"}
    (node,) = graph(TEXT).nodes
    assert isinstance(node, Node) and isinstance(node.op, Scan)
    assert (node.op.slice_axes, node.op.stack_axes, node.op.carried) == ((1,), (1,), 1)
    assert [str(type) for type in node.op.body.input_types[:3]] == [
        "int64[batch]",
        "float[batch, 5]",
        "float[batch, source, 3]",
    ]


def test_weights_are_there_once_under_the_entry() -> None:
    counted = count_params(graph(TEXT))
    assert [row.path for row in counted.rows] == [
        *("rnn.e.weight", "rnn.w.weight", "rnn.w.bias", "rnn.out.weight", "rnn.out.bias")
    ]
    assert counted.total == 11 * 4 + 5 * 12 + 5 + 2 * 5 + 2
    assert {row.path: row.params for row in count_by_layer(graph(TEXT))} == {
        "rnn.e": 44,
        "rnn.keys": 0,
        "rnn.joined": 0,
        "rnn.w": 65,
        "rnn.next": 0,
        "rnn.out": 12,
    }


def test_every_step_costs() -> None:
    whole = count_costs(graph(TEXT), {"time": 7, "source": 4}).total
    assert whole.macs == 7 * (12 * 5 + 5 * 2)
    assert str(count_costs(graph(TEXT), {"source": 4}).total.macs) == "70*time"


def test_indices_are_bounded_through_the_body() -> None:
    assert index_bounds(graph(TEXT)) == {"words": (11,)}


def test_a_group_is_scanned_too_and_dim_may_count_from_the_end() -> None:
    text = """\
netspec: 1
inputs: {x: {shape: [batch, 3, time]}, scale: {shape: [3]}}
layers:
  - name: steps
    scan: {over: [x], dim: -1}
    from: {x: x, total: x_first}
    inputs: [x, total]
    layers:
      - {name: scaled, type: mul, from: [x, scale]}
      - {name: total2, type: add, from: [scaled, total]}
    outputs: {total: total2, running: total2}
"""
    text = text.replace(
        "  - name: steps\n", "  - {name: x_first, type: select, dim: 2, index: 0, from: x}\n  - name: steps\n"
    )
    found = outputs(text + "outputs: {last: 'steps:total', all: 'steps:running'}\n")
    assert found == {"last": "float[batch, 3]", "all": "float[batch, 3, time]"}


def test_a_scan_is_printed_with_its_body() -> None:
    lines = print_graph(graph(TEXT)).splitlines()
    start = lines.index("  rnn: scan  # s.yaml:19:5")
    assert lines[start + 1 : start + 3] == [
        "    %8: int64[batch] = slices along 1 of words",
        "    %9: float[batch, 5] = start",
    ]
    assert lines[lines.index("outputs") - 1] == "    %22 = %20 stacked along 1: float[batch, time, 2]"


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ("scan: {over: [word]}", "rnn: scan: dim is required"),
        ("scan: {dim: 1}", "rnn: scan: over is required"),
        ("scan: 3", "rnn: scan: expected a mapping such as {over: [word], dim: 1}"),
        ("scan: {over: [word], dim: 1, axis: 2}", "rnn: scan: unknown key axis; known are over, dim"),
        ("scan: {over: word, dim: 1}", "rnn: scan: over: expected a list of inputs, got text 'word'"),
        ("scan: {over: [wort], dim: 1}", "rnn: scan: over: there is no input wort; did you mean word?"),
        ("scan: {over: [word, word], dim: 1}", "rnn: scan: over: an input stands twice"),
        ("scan: {over: [word], dim: 1.5}", "rnn: scan: dim: expected the number of a dimension, got 1.5"),
        ("scan: {over: [word], dim: 2}", "rnn: scan: word [batch, time] has no dimension 2"),
        ("scan: {over: [word, memory], dim: 1}", "rnn.joined: concat along 1"),
        ("scan: {over: [word, h], dim: 1}", "rnn.joined: "),
    ],
)
def test_scans_that_are_refused(entry: str, message: str) -> None:
    text = HEAD + RNN.replace("scan: {over: [word], dim: 1}", entry) + "outputs: {y: 'rnn:logits'}\n"
    assert message in mistakes(text)[0]


def test_a_layer_and_a_group_without_inputs_are_not_scanned() -> None:
    head = "netspec: 1\ninputs: {x: {shape: [batch, 3]}}\nlayers:\n"
    layer = head + "  - {type: relu, scan: {over: [x], dim: 1}}"
    assert mistakes(layer) == [
        "s.yaml:4:24: 0 (relu): scan: a layer does not run in a scan: put it in a group with inputs"
    ]
    group = head + "  - {layers: [relu], scan: {over: [x], dim: 1}}"
    assert mistakes(group) == ["s.yaml:4:5: 0 (group): scan: a group that runs in a scan writes its inputs"]


def test_what_is_carried_must_come_out_as_it_went_in() -> None:
    text = TEXT.replace("out_features: $(hidden)", "out_features: 6")
    assert mistakes(text) == [
        "s.yaml:19:35: rnn: scan: h is carried: it goes in as float[batch, 5] and comes out as float[batch, 6]"
    ]


def test_sizes_that_are_walked_together_must_be_equal() -> None:
    text = """\
netspec: 1
inputs: {a: {shape: [batch, n, 2]}, b: {shape: [batch, 3, 2]}}
layers:
  - {name: s, scan: {over: [a, b], dim: 1}, from: {a: a, b: b}, inputs: [a, b], layers: [{type: add, from: [a, b]}]}
"""
    assert mistakes(text) == ["s.yaml:4:21: s: scan walks along one size: n of [batch, n, 2], 3 of [batch, 3, 2]"]


def test_statistics_inside_are_refused_in_training_unless_they_are_frozen() -> None:
    text = TEXT.replace("{name: next, type: tanh}", "{name: next, type: batch_norm}")
    (mistake,) = mistakes(text)
    assert mistake.startswith("s.yaml:15:9: rnn.next.running_mean would be updated at every step of a scan")
    frozen = spec(text.replace("type: batch_norm", "type: batch_norm, frozen: true"))
    assert len(frozen.graphs.training.nodes) == 1
