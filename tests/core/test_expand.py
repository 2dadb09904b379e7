"""From the text of a spec to its graph: wiring, fields and their defaults, one meaning in YAML and JSON."""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml

from netspec.graph.graph import Param
from netspec.graph.printer import print_graph
from netspec.spec import loads
from tests.core.spec_text import HEAD, IMAGE, TOWER, graph, mistakes, outputs, spec, trainable


def test_from_takes_a_name_a_list_and_a_mapping() -> None:
    text = (
        HEAD
        + """\
layers:
  - {name: a, type: linear, out_features: 2}
  - {name: b, type: linear, from: x, out_features: 3}
  - {name: c, type: linear, from: [a], out_features: 4}
  - {name: d, type: linear, from: {x: b}, out_features: 5}
  - {name: e, type: concat, dim: 1, from: [a, b:output, c, d]}
  - relu
outputs: {first: a, all: e, given: x}
"""
    )
    assert outputs(text) == {"first": "float[batch, 2]", "all": "float[batch, 14]", "given": "float[batch, 6]"}
    assert list(outputs(text)) == ["first", "all", "given"]
    assert [warning.message for warning in spec(text).warnings] == ["5 (relu): no output needs this layer"]


def test_the_first_layer_reads_the_only_input() -> None:
    two = "netspec: 1\ninputs: {a: {shape: [2]}, b: {shape: [2]}}\nlayers: [relu, {type: add, from: [a, b]}]"
    assert mistakes(two) == ["s.yaml:3:10: 0 (relu): from is required: the model has several inputs, a, b"]


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ("{type: relu, from: nope}", "5:22: 1 (relu): there is nothing called nope above"),
        ("{type: relu, from: '0'}", "5:22: 1 (relu): there is nothing called 0 above"),
        ("{type: relu, from: frist}", "5:22: 1 (relu): there is nothing called frist above; did you mean first?"),
        ("{type: relu, from: last}", "5:22: 1 (relu): there is nothing called last above; it stands below"),
        ("{name: a, type: relu, from: a}", "5:31: a: there is nothing called a above; it is this layer itself"),
        ("{type: relu, from: first:h_n}", "5:22: 1 (relu): first has no port h_n: it has output"),
        ("{type: relu, from: 'first:'}", "5:22: 1 (relu): first has no port : it has output"),
        ("{type: relu, from: 3}", "5:22: 1 (relu): a reference must be text"),
        ("{type: relu, from: null}", "5:22: 1 (relu): a reference must be text"),
        ("{type: relu, from: [first, x]}", "5:22: 1 (relu): from: expected 1 (x), got 2"),
        ("{type: relu, from: []}", "5:22: 1 (relu): from: expected 1 (x), got 0"),
        ("{type: relu, from: {y: first}}", "5:23: 1 (relu): from: there is no input y; it has x"),
        ("{type: relu, from: {}}", "5:22: 1 (relu): from: input x is missing"),
        ("{type: add, from: {a: first, b: x}}", "5:22: 1 (add): from: there is no input a; write a list"),
        ("{type: add}", "5:3: 1 (add): from is required: it reads any number of inputs, as a list"),
        (
            "{type: einsum, equation: ab->a}",
            "5:3: 1 (einsum): from is required: it reads any number of inputs, as a list",
        ),
        (
            "{type: lstm, hidden_size: 2, from: [x, x]}",
            "5:38: 1 (lstm): from: expected 1 (x), got 2; h_0, c_0, lengths by name only, as in from: {x: ..., h_0",
        ),
        ("add", "5:3: 1 (add): from is required: it reads any number of inputs, as a list"),
        ("{type: add, from: first}", "5:3: 1 (add): two inputs or more are needed, got 1"),
        ("{type: add, from: []}", "5:3: 1 (add): two inputs or more are needed, got 0"),
    ],
)
def test_references_that_are_refused(entry: str, message: str) -> None:
    text = HEAD + f"layers: [{{name: first, type: relu}},\n  {entry},\n  {{name: last, type: relu, from: first}}]"
    (mistake,) = mistakes(text)
    assert mistake.startswith(f"s.yaml:{message}")


def test_every_wrong_reference_of_a_list_is_told() -> None:
    text = HEAD + "layers:\n  - {type: add, from: [x, up, down]}\n  - {type: relu, from: left}\noutputs: {y: right}"
    assert mistakes(text) == [
        "s.yaml:5:27: 0 (add): there is nothing called up above",
        "s.yaml:5:31: 0 (add): there is nothing called down above",
        "s.yaml:6:24: 1 (relu): there is nothing called left above",
        "s.yaml:7:14: output y: there is nothing called right above",
    ]


def test_both_ends_of_an_edge_are_named() -> None:
    text = (
        IMAGE
        + """\
layers:
  - {name: a, type: conv2d, out_channels: 4, kernel_size: 3}
  - {name: b, type: conv2d, out_channels: 4, kernel_size: 3, from: x, padding: 1}
  - {type: add, from: [a, b]}
  - {type: linear, out_features: 3}
"""
    )
    assert mistakes(text) == [
        (
            "s.yaml:7:5: 2 (add): shapes [batch, 4, 6, 6] and [batch, 4, 8, 8] do not broadcast: 6 against 8; it reads "
            "[batch, 4, 6, 6] from a (s.yaml:5:5), and [batch, 4, 8, 8] from b (s.yaml:6:5)"
        )
    ]
    (mistake,) = mistakes(IMAGE + "layers: [{type: conv2d, out_channels: 9, kernel_size: 3, groups: 2}]")
    assert mistake.endswith(
        "in_channels 3 is not divisible by groups 2; it reads [batch, 3, 8, 8] from x (s.yaml:3:10)"
    )


def test_an_entry_goes_before_the_defaults_and_they_before_the_layer() -> None:
    text = (
        IMAGE
        + """\
defaults: {conv2d: {bias: false, padding: $(p), kernel_size: 3}}
let: {p: 1}
layers:
  - {type: conv2d, out_channels: 4}
  - {type: conv2d, out_channels: 4, bias: true, kernel_size: 5, padding: 0}
  - {type: avg_pool2d, kernel_size: 2}
"""
    )
    assert list(trainable(text)) == ["0.weight", "1.weight", "1.bias"]
    assert outputs(text) == {"output": "float[batch, 4, 2, 2]"}


def test_a_wrong_default_is_told_once_where_it_stands() -> None:
    text = IMAGE + (
        "defaults: {conv2d: {padding: half}}\n"
        "layers: [{type: conv2d, out_channels: 2, kernel_size: 3}, {type: conv2d, out_channels: 2, kernel_size: 3}]"
    )
    told = mistakes(text)
    assert all(mistake.startswith("s.yaml:4:30: ") and "padding: expected" in mistake for mistake in told)


def test_initialisers_are_merged_by_parameter() -> None:
    text = (
        HEAD
        + """\
defaults: {linear: {init: {weight: {type: normal, std: 2}, bias: ones}}}
layers:
  - {name: a, type: linear, out_features: 3}
  - {name: b, type: linear, out_features: 3, init: {bias: zeros}}
  - {name: c, type: linear, out_features: 3, init: {weight: {type: uniform, bound: $(1 / 4)}}}
  - {name: d, type: linear, out_features: 3, bias: false}
"""
    )
    starts = {param.path: param.initializer for param in graph(text).params}
    assert [starts[f"{name}.weight"].type for name in "abcd"] == ["normal", "normal", "uniform", "normal"]
    assert [starts[f"{name}.bias"].type for name in "abc"] == ["ones", "zeros", "ones"]
    assert starts["c.weight"].bound == 0.25


@pytest.mark.parametrize(
    ("init", "message"),
    [
        ("{wieght: zeros}", "4:10: a: init of wieght: its parameters are weight, bias; did you mean weight?"),
        ("{weight: zeroes}", "4:66: a: init of weight: unknown initialiser zeroes; did you mean zeros?"),
        ("{weight: {type: normal, sd: 1}}", "4:66: a: init of weight: normal: unknown field sd"),
        ("{weight: {std: 1}}", "4:66: a: init of weight: the type of an initialiser is a word"),
        ("{weight: 3}", "4:66: a: init of weight: expected an initialiser"),
        ("[zeros]", "4:57: a: init: expected a mapping from parameters to initialisers"),
    ],
)
def test_initialisers_that_are_refused(init: str, message: str) -> None:
    (mistake,) = mistakes(HEAD + f"layers: [{{name: a, type: linear, out_features: 3, init: {init}}}]")
    assert mistake.startswith(f"s.yaml:{message}")


def test_a_default_initialiser_must_fit_some_layer_of_its_type() -> None:
    text = HEAD + (
        "defaults: {linear: {init: {biass: zeros}}}\n"
        "layers: [{type: linear, out_features: 3}, {type: linear, out_features: 3}]"
    )
    assert mistakes(text) == [
        "s.yaml:4:28: defaults of linear: init of biass: its parameters are bias, weight; did you mean bias?"
    ]
    assert not graph(text.replace("linear, out_features: 3", "relu")).params


def test_yaml_and_json_give_equal_graphs() -> None:
    text = TOWER + 'freeze: [stem, "!stem.bn"]\noutputs: {y: fc, z: layer1.conv}\n'
    as_json = json.dumps(yaml.safe_load(text), indent=1)
    other = loads(as_json, file="s.json")
    for training in (False, True):
        one, two = (print_graph(each.graphs.of(training)) for each in (spec(text), other))
        assert [line.split("  # ")[0] for line in one.splitlines()] == [
            line.split("  # ")[0] for line in two.splitlines()
        ]


def test_the_order_of_a_mapping_never_matters_but_that_of_inputs_and_outputs() -> None:
    made = yaml.safe_load(TOWER + "freeze: [stem]\noutputs: {z: fc, y: layer1.conv}\nlet: {b: $(a), a: 1}")

    def turned(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: turned(value[key]) for key in reversed(value)}
        return [turned(item) for item in value] if isinstance(value, list) else value

    other = turned(made)
    other["outputs"] = made["outputs"]
    one, two = (loads(json.dumps(each), file="s.json") for each in (made, other))
    lines = [[line.split("  # ")[0] for line in print_graph(each.inference).splitlines()] for each in (one, two)]
    assert sorted(lines[0]) == sorted(lines[1])
    assert [output.name for output in one.inference.outputs] == ["z", "y"]


def test_what_nothing_reads_is_warned_of() -> None:
    text = (
        "netspec: 1\ninputs: {x: {shape: [n, 2]}, y: {shape: [n]}}\nlayers:\n"
        "  - {name: a, type: linear, from: x, out_features: 2}\n  - {name: b, type: relu, from: x}\noutputs: {o: b}"
    )
    made = spec(text)
    assert [str(warning) for warning in made.warnings] == [
        "s.yaml:2:30: input y: nothing reads it",
        "s.yaml:4:5: a: no output needs this layer",
    ]
    assert [param.path for param in made.inference.params] == ["a.weight", "a.bias"], "they belong to the model"


def test_inference_and_training_share_parameters() -> None:
    pair = spec(TOWER).graphs
    assert [(p.path, p.value.type, p.initializer, isinstance(p, Param)) for p in pair.inference.state] == [
        (p.path, p.value.type, p.initializer, isinstance(p, Param)) for p in pair.training.state
    ]
    layers = [{call.path: call.layer for call in graph.calls()} for graph in (pair.inference, pair.training)]
    assert all(layers[0][path] is layers[1][path] for path in layers[0])
