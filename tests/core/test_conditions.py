"""`if` and `else`: what an absent entry stands for, and that nothing in it is evaluated."""

from __future__ import annotations

import pytest

from tests.core.spec_text import HEAD, TWO, graph, mistakes, outputs, reads, spec


@pytest.mark.parametrize(
    "entry",
    [
        "type: linear, out_features: $(1 // 0)",
        "type: $(nothing)",
        "type: Nowhere",
        "type: B",
        "layers: [{type: relu, from: nowhere}, {type: linear}]",
        "share: nowhere",
        "type: relu, repeat: $(nothing)",
        "type: linear, tie: {weight: nowhere}, out_features: 2",
        "type: linear, init: {wrong: ones}, frozen: $(5), out_features: 2",
    ],
)
def test_nothing_in_an_absent_entry_is_evaluated(entry: str) -> None:
    entry = entry.replace("repeat: $(nothing)", "repeat: 3, negative_slope: $(nothing)")
    text = (
        HEAD
        + f"""\
blocks: {{B: {{inputs: [x], layers: [{{type: linear, out_features: $(1 // 0)}}]}}}}
layers:
  - {{name: a, if: $(x.shape[0] == 2 * x.shape[0]), {entry}}}
  - {{name: b, type: tanh}}
outputs: {{a: a, b: b}}
"""
    ).replace("$(x.shape[0] == 2 * x.shape[0])", '"$(x.shape[0] == 2 * x.shape[0])"')
    made = graph(text)
    assert reads(text) == {"b": ["x"]}
    assert not made.params
    assert len(mistakes(text.replace(' == 2 * x.shape[0])"', ' == x.shape[0])"'))) >= 1


def test_keys_of_an_absent_entry_are_closed_all_the_same() -> None:
    assert "unknown layer type rleu" in mistakes(HEAD + "layers: [relu, {type: rleu, if: false}]")[0]
    assert "layer" in mistakes(HEAD + "layers: [relu, {layers: [], if: false}]")[0]


@pytest.mark.parametrize(
    ("entry", "stands_for"),
    [
        ("{name: a, type: relu, from: m, if: false}", "m"),
        ("{name: a, type: relu, from: {x: m}, if: false}", "m"),
        ("{name: a, type: add, from: [m, x], if: false, else: x}", "x"),
        ("{name: a, type: add, from: [m, x], if: false, else: 'pair:q'}", "pair.t"),
        ("{name: a, layers: [relu], from: m, if: false}", "m"),
        ("{name: a, type: relu, from: 'pair:q', if: false}", "pair.t"),
        ("{name: a, type: relu, from: m, if: false, else: x}", "x"),
        ("{name: a, type: relu, from: m, if: true, else: nowhere}", "a"),
    ],
)
def test_an_absent_entry_stands_for_its_input_or_for_else(entry: str, stands_for: str) -> None:
    text = (
        TWO
        + f"""\
layers:
  - {{name: pair, from: x, layers: [{{name: s, type: relu}}, {{name: t, type: tanh}}], outputs: {{p: s, q: t}}}}
  - {entry}
  - {{name: named, type: tanh, from: a}}
"""
    )
    assert reads(text)["named"] == [stands_for]
    assert reads(text.replace(", from: a}", "}"))["named"] == [stands_for], "it is the entry before, too"


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ("{name: a, type: add, from: [m, x], if: false}", "a: else is required: it is absent, and has 2 inputs"),
        ("{name: a, type: relu, if: false}", "a: else is required: it is absent, and has no input to stand for"),
        ("{name: a, type: relu, from: x, else: m}", "else without if"),
        ("{name: a, type: relu, from: x, if: false, else: n}", "a: there is nothing called n above"),
        ("{name: a, type: relu, from: x, if: false, else: [m]}", "a: else must be text"),
        ("{name: a, type: relu, from: x, if: 0}", "if: expected true or false, got 0"),
        ("{name: a, type: relu, from: x, if: 'true'}", "if: expected true or false, got text 'true'"),
        ("{name: a, type: relu, from: x, if: null}", "if: expected true or false, got null"),
        ("{name: a, type: relu, from: x, if: $(batch > 1)}", "batch > 1 has not one answer for all sizes"),
        ("{name: a, type: relu, from: nowhere, if: false}", "a: there is nothing called nowhere above"),
    ],
)
def test_conditions_that_are_refused_with_one_mistake(entry: str, message: str) -> None:
    (mistake,) = mistakes(TWO + f"layers: [{entry}, {{type: tanh, from: a}}]")
    assert message in mistake


def test_an_absent_entry_has_its_name_all_the_same() -> None:
    text = HEAD + "layers: [{name: a, type: relu, if: false}, {name: A, type: relu}]"
    assert "A and a, which differ only in case" in mistakes(text)[0]
    text = HEAD + "layers: [{name: a, type: linear, out_features: 3, if: false}, {type: linear, out_features: N}]"
    assert outputs(text.replace("N", '"$(a.shape[1] + 1)"')) == {"output": "float[batch, 7]"}


def test_an_expression_knows_the_shape_that_a_condition_left() -> None:
    text = (
        HEAD
        + """\
params: {wide: 6}
blocks:
  Residual:
    params: {out: null}
    inputs: [x]
    layers:
      - {name: fc, type: linear, out_features: $(out)}
      - {name: skip, type: linear, from: x, out_features: $(out), bias: false, if: "$(x.shape[1] != out)"}
      - {type: add, from: [fc, skip]}
layers: [{name: a, type: Residual, out: $(wide)}, {name: b, type: Residual, out: $(wide)}]
"""
    )
    assert [p.path for p in graph(text).params if "skip" in p.path] == []
    assert [p.path for p in graph(text, params={"wide": 7}).params if "skip" in p.path] == ["a.skip.weight"]
    assert reads(text)["a.1"] == ["a.fc", "x"]
    assert spec(text, params={"wide": 7}).warnings == ()
