"""A spec that is wrong: every mistake is told at its place, all at once, and none that follows from another."""

from __future__ import annotations

import time

import pytest

from netspec.errors import NetspecError
from tests.core.spec_text import HEAD, graph, mistakes, outputs, spec


def test_a_bare_word_is_a_layer_with_its_defaults() -> None:
    assert outputs(HEAD + "layers: [relu, {type: linear, out_features: 2}]") == {"output": "float[batch, 2]"}
    assert [call.path for call in graph(HEAD + "layers: [relu, {name: b, type: relu}, relu]").calls()] == [
        "0",
        "b",
        "2",
    ]


def test_free_keys_stand_wherever_keys_are_fixed() -> None:
    text = """\
netspec: 1
name: m
description: "$(not read"
x-note: [1, {a: "$(b"}]
inputs: {x: {shape: [batch, 6], description: pixels, x-unit: "$("}}
defaults: {linear: {bias: false, description: why, x-a: "$(oops"}}
layers:
  - {type: linear, out_features: 3, description: "$(", x-b: 3,
     init: {weight: {type: normal, std: 2, x-c: "$(", description: d}}}
"""
    (param,) = graph(text).params
    assert param.initializer.std == 2


def test_description_is_a_name_like_any_other_in_mappings_of_names() -> None:
    text = (
        "netspec: 1\nparams: {description: 3}\ninputs: {x: {shape: [batch, 2]}}\n"
        "layers: [{type: linear, out_features: $(description)}]\noutputs: {description: '0'}"
    )
    assert mistakes(text) == ["s.yaml:5:24: output description: there is nothing called 0 above"]
    assert outputs(text.replace("{type: linear", "{name: fc, type: linear").replace("'0'", "fc")) == {
        "description": "float[batch, 3]"
    }


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("inputs: {x: {shape: [2]}}\nlayers: [relu]", "s.yaml:1:1: netspec is required: the version of the language"),
        ("netspec: 99\ninputs: {x: {shape: [2]}}\nlayers: [relu]", "s.yaml:1:10: netspec: expected version 1"),
        (
            'netspec: "1"\ninputs: {x: {shape: [2]}}\nlayers: [relu]',
            ("s.yaml:1:10: netspec: expected version 1 of the language, got text '1'"),
        ),
        ("netspec: 1.0\ninputs: {x: {shape: [2]}}\nlayers: [relu]", "s.yaml:1:10: netspec: expected version 1"),
        ("netspec: true\ninputs: {x: {shape: [2]}}\nlayers: [relu]", "s.yaml:1:10: netspec: expected version 1"),
        ("netspec: 1\nlayers: [relu, {type: add, from: [a, b]}]", "s.yaml:1:1: inputs is required"),
        ("netspec: 1\ninputs: {}\nlayers: [relu]", "s.yaml:2:9: inputs is required"),
        ("netspec: 1\ninputs: [x]\nlayers: [{type: relu, from: x}]", "s.yaml:2:9: inputs: expected a mapping of names"),
        (HEAD, "s.yaml:1:1: layers is required: a list of layers"),
        (HEAD + "layers: []\noutputs: {y: fc}", "s.yaml:4:9: layers: expected a list of one layer or more"),
        (HEAD + "layers: relu", "s.yaml:4:9: layers: expected a list of one layer or more"),
        (HEAD + "layers: [relu]\nlayer: 3", "s.yaml:5:1: unknown key layer in a spec; did you mean layers?"),
        (HEAD + "layers: [{type: relu, x: {y: 1}}]", "s.yaml:4:23: 0 (relu): unknown field x; it has no fields"),
        (HEAD + "layers: [{name: a}]", "s.yaml:4:10: type is required in a layer"),
        (HEAD + "layers: [3]", "s.yaml:4:10: a layer is expected: a type such as relu, or a mapping with a type"),
        (HEAD + "layers: [Lambda]", "s.yaml:4:10: there is no block Lambda"),
        (HEAD + "layers: [Relu]", "s.yaml:4:10: there is no block Relu; did you mean relu?"),
        (
            HEAD + "layers: [{type: linear, out_featurs: 3, out_features: 3}]",
            ("s.yaml:4:25: 0 (linear): unknown field out_featurs; did you mean out_features?"),
        ),
        (HEAD + "layers: [{type: null}]", "s.yaml:4:17: type: expected the name of a layer"),
        (
            HEAD + "params: [a]\nlayers: [{type: linear, out_features: $(a)}]",
            "s.yaml:4:9: params: expected a mapping of names",
        ),
        (
            HEAD + "params: {x-a: 1}\nlayers: [relu]",
            ("s.yaml:4:10: params: x-a is no name: a name does not begin with x-"),
        ),
        (HEAD + "let: {x-a: 1}\nlayers: [relu]", "s.yaml:4:7: let: x-a is no name"),
        (HEAD + "layers: [{name: a, type: relu}]\noutputs: {x-a: a}", "s.yaml:5:11: outputs: x-a is no name"),
        (
            HEAD + "defaults: {Linear: {bias: true}}\nlayers: [relu]",
            ("s.yaml:4:12: defaults: unknown layer type Linear; did you mean linear?"),
        ),
        (
            HEAD + "defaults: {linear: {bais: true}}\nlayers: [relu]",
            ("s.yaml:4:21: defaults of linear: field bais is unknown; did you mean bias?"),
        ),
        (
            HEAD + "defaults: {batch_norm: {momentum: 0.1}}\nlayers: [relu]",
            ("s.yaml:4:25: defaults of batch_norm: field momentum is refused: it is the weight of the new batch"),
        ),
        (HEAD + "freeze: a\nlayers: [relu]", "s.yaml:4:9: freeze: expected a list"),
        ("netspec: 1\nname: 3\ninputs: {x: {shape: [2]}}\nlayers: [relu]", "s.yaml:2:7: name must be text"),
    ],
)
def test_structure_that_is_refused_with_one_mistake(text: str, message: str) -> None:
    (mistake,) = mistakes(text)
    assert mistake.startswith(message)


def test_all_mistakes_are_told_once_in_the_order_of_the_text() -> None:
    text = """\
netspec: 2
name: a/b
parms: {k: 3}
params: {k: $(1 // 0), must: null}
inputs:
  x: {shape: [batch, 3, 8, 8]}
  y: {shape: [batch, -1]}
layers:
  - {name: a, type: conv2d, from: x, out_channels: $(k), kernel_size: 3}
  - {type: conv2d, out_channels: yes, kernel_size: 3, strid: 2, init: {weight: normall}, frozen: perhaps}
  - {type: linear, from: y, out_features: "$(a.shape[1])"}
  - {type: linear, from: y, out_features: $(must)}
  - {type: conv, from: x}
  - relu
  - {name: b, type: conv2d, from: x, out_channels: 3, kernel_size: 9}
  - {type: add, from: [a, b]}
outputs: {out: a, other: nowhere}
freeze: [3]
"""
    assert mistakes(text) == [
        "s.yaml:1:10: netspec: expected version 1 of the language, got 2",
        "s.yaml:2:7: the model is called 'a/b': a name has letters, digits, _ and -, in parts joined by dots",
        "s.yaml:3:1: unknown key parms in a spec; did you mean params?",
        "s.yaml:4:17: $(1 // 0): division by zero: 1 // 0",
        "s.yaml:4:24: param must must be given: --set must=VALUE",
        "s.yaml:7:22: input y: expected a positive integer, or a word such as batch for any size, got -1",
        "s.yaml:10:34: 1 (conv2d): out_channels: expected a positive integer, got text 'yes'",
        "s.yaml:10:55: 1 (conv2d): unknown field strid; did you mean stride?",
        "s.yaml:10:80: 1 (conv2d): init of weight: unknown initialiser normall; did you mean normal?",
        "s.yaml:10:98: 1 (conv2d): frozen: expected true, false or weights, got text 'perhaps'",
        "s.yaml:13:12: unknown layer type conv; did you mean conv1d, conv2d or conv3d?",
        (
            "s.yaml:15:5: b: a window of 9 does not fit: 8 + 0 + 0 of "
            "padding is 8; it reads [batch, 3, 8, 8] from x (s.yaml:6:3)"
        ),
        "s.yaml:17:26: output other: there is nothing called nowhere above",
        "s.yaml:18:10: freeze: a glob must be text",
    ]


@pytest.mark.parametrize(
    "broken",
    [
        "{name: a, type: linea, out_features: 3}",
        "{name: a, type: linear, out_features: three}",
        "{name: a, type: linear}",
        "{name: a, type: linear, out_features: 3, from: nowhere}",
        "{name: a, type: linear, out_features: 3, frozen: 1}",
        "{name: a, type: linear, out_features: 3, init: {weight: ones, bias: twos}}",
        "{name: a, type: linear, out_features: 3, init: {wait: ones}}",
        "{name: a, type: linear, out_features: 3, init: ones}",
        "{name: a, type: conv2d, out_channels: 3, kernel_size: 3}",
        "{name: a, type: relu, repeat: many}",
        "{name: a, type: $(nothing)}",
        "{name: a, share: b}",
        "{name: a}",
    ],
)
def test_what_reads_a_broken_entry_is_not_in_error_too(broken: str) -> None:
    text = (
        HEAD
        + f"""\
layers:
  - {broken}
  - relu
  - {{type: add, from: [a, x]}}
  - {{type: concat, dim: 1, from: ["a:output", x]}}
  - {{type: linear, from: x, out_features: "$(a.shape[1])"}}
outputs: {{y: a}}
"""
    )
    (mistake,) = mistakes(text)
    assert mistake.startswith("s.yaml:5:")


@pytest.mark.parametrize("name", ["3", "{a: b}", "null", "$(1 // 0)", "a$(true)", "$(nothing)"])
def test_no_name_is_missed_where_a_name_is_in_error(name: str) -> None:
    text = HEAD + (
        f"layers:\n  - {{name: {name}, type: relu}}\n"
        '  - {type: linear, out_features: "$(a.shape[1])"}\n  - {type: relu, from: b}\n  - {share: c}\n'
    )
    (mistake,) = mistakes(text)
    assert mistake.startswith("s.yaml:5:")


def test_a_thousand_mistakes_are_told_in_a_second() -> None:
    layers = "".join(
        (f"  - {{name: layer{k}, type: relu}}\n  - {{type: relu, from: missing{k}}}\n") for k in range(3000)
    )
    start = time.process_time()
    with pytest.raises(NetspecError) as caught:
        spec(HEAD + "layers:\n" + layers)
    assert time.process_time() - start < 4  # 0.6 s alone on the machine it was written on; 30 s when each has a hint
    assert str(caught.value).endswith("and 2990 more mistakes")
    assert len(str(caught.value).splitlines()) == 11
