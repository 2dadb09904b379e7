"""Blocks: their arguments, what they see, what may not contain what, and mistakes inside them."""

from __future__ import annotations

import json
import re

import pytest
import yaml

from netspec.graph.printer import print_graph
from netspec.spec import loads
from tests.core.spec_text import HEAD, IMAGE, graph, mistakes, outputs, spec

UNIT = (
    HEAD
    + """\
params: {width: 4}
let: {twice: $(2 * width)}
blocks:
  Unit:
    params: {n: null, act: relu, bias: $(width > 3)}
    inputs: [x, side]
    let: {out: "$(n + x.shape[1])", most: "$(max(out, twice))"}
    layers:
      - {name: fc, type: linear, out_features: $(out), bias: $(bias)}
      - $(act)
      - {name: both, type: concat, dim: 1, from: ["fc", side]}
    outputs: {main: both, fc: fc}
"""
)


def test_a_block_takes_arguments_and_gives_ports() -> None:
    text = (
        UNIT
        + """\
layers:
  - {name: a, type: Unit, n: 2, from: [x, x]}
  - {name: b, type: Unit, n: $(width - 3), act: tanh, bias: false, from: {side: x, x: "a:main"}}
outputs: {a: "a:fc", b: "b:main"}
"""
    )
    assert outputs(text) == {"a": "float[batch, 8]", "b": "float[batch, 21]"}
    assert [param.path for param in graph(text).params] == ["a.fc.weight", "a.fc.bias", "b.fc.weight"]
    assert [param.path for param in graph(text, params={"width": 3}).params if "bias" in param.path] == []


def test_a_block_sees_its_own_names_and_its_files_params_let_and_symbols_only() -> None:
    text = (
        HEAD
        + """\
params: {p: 2}
let: {q: 3}
blocks:
  B: {inputs: [y], layers: [{type: reshape, shape: ["$(batch)", -1]}, {type: linear, out_features: "$(EXPR)"}]}
layers:
  - {name: a, type: linear, out_features: 5}
  - {name: b, type: B, repeat: 1}
"""
    )
    assert outputs(text.replace("EXPR", "p + q + y.shape[1]")) == {"output": "float[batch, 10]"}
    for unseen in ("i", "a.shape[1]", "x.shape[1]"):
        (mistake,) = mistakes(text.replace("EXPR", unseen))
        assert f"unknown name {unseen[0]}" in mistake
    reference = text.replace('{type: linear, out_features: "$(EXPR)"}', "{type: relu, from: a}")
    assert "there is nothing called a above" in mistakes(reference)[0]


def test_names_of_a_block_hide_those_of_the_file() -> None:
    text = (
        HEAD
        + """\
params: {n: 2}
blocks:
  A: {params: {n: 7}, inputs: [x], layers: [{type: linear, out_features: $(n)}]}
  B: {inputs: [n], layers: [{name: fc, type: linear, out_features: "$(n.shape[1] + 1)"}]}
layers: [A, B]
"""
    )
    assert outputs(text) == {"output": "float[batch, 8]"}


def test_the_default_of_a_param_may_use_other_params_inputs_and_let() -> None:
    text = (
        HEAD
        + """\
blocks:
  B:
    params: {groups: $(len(sizes)), out: "$(half if big else x.shape[1])", sizes: [1, 2], big: false}
    inputs: [x]
    let: {half: "$(x.shape[1] // groups)"}
    layers: [{type: linear, out_features: $(out)}]
layers: [B, {type: B, big: true}, {type: B, out: 9}, {type: B, big: true, groups: 3}]
"""
    )
    assert [call.outputs[0].shape[1] for call in graph(text).calls()] == [6, 3, 9, 3]


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ("{name: b, type: Unit, from: [x, x]}", "b: n of Unit is required"),
        ("{name: b, type: Unit, n: 1, from: x}", "b: from: expected 2 (x, side), got 1"),
        ("{name: b, type: Unit, n: 1}", "b: from is required: it reads x and side"),
        ("{name: b, type: Unit, n: 1, m: 2, from: [x, x]}", "b: m: Unit has no such param; it has n, act, bias"),
        (
            "{name: b, type: Unit, n: 1, bais: true, from: [x, x]}",
            "b: bais: Unit has no such param; did you mean bias?",
        ),
        ("{name: b, type: Unit, n: 1, init: {fc: ones}, from: [x, x]}", "init: a block has none: write it at a layer"),
        ("{name: b, type: Unit, n: 1, tie: {fc: x}, from: [x, x]}", "tie: a block has none: write it at a layer"),
        ("{name: b, type: $('Unit'), n: 1, tie: {fc: x}, from: [x, x]}", "b: tie: a block has none"),
        ("{name: b, type: unit, n: 1, from: [x, x]}", "unknown layer type unit"),
        ("{name: b, type: Unti, n: 1, from: [x, x]}", "there is no block Unti; did you mean Unit?"),
        ("{name: b, type: Unit, n: 1, inputs: 3, from: [x, x]}", "b: inputs: Unit has no such param"),
    ],
)
def test_uses_of_a_block_that_are_refused(entry: str, message: str) -> None:
    (mistake,) = mistakes(UNIT + f"layers: [{entry}]\noutputs: {{o: 'b:main'}}")
    assert message in mistake


@pytest.mark.parametrize(
    ("block", "message"),
    [
        ("low: {inputs: [x], layers: [relu]}", "a block's name begins with a capital letter"),
        ("A/b: {inputs: [x], layers: [relu]}", "a block is called 'A/b'"),
        ("x-A: {inputs: [x], layers: [relu]}", "blocks: x-A is no name"),
        ("A: {inputs: [x]}", "layers is required in block A"),
        ("A: [relu]", "block A: expected a mapping with layers"),
        ("A: {layer: [relu], layers: [relu]}", "unknown key layer in block A; did you mean layers?"),
        ("A: {params: {frozen: 1}, layers: [relu]}", "no param may be called frozen: it is a key of every entry"),
        ("A: {params: {scan: 1}, layers: [relu]}", "no param may be called scan: it is a key of every entry"),
        ("A: {params: {description: 1}, layers: [relu]}", "no param may be called description: it is free for notes"),
        ("A: {params: {x-n: 1}, layers: [relu]}", "params of block A: x-n is no name"),
        ("A: {name: a, layers: [relu]}", "unknown key name in block A"),
        ("A: {freeze: ['*'], layers: [relu]}", "unknown key freeze in block A"),
    ],
)
def test_blocks_that_are_refused(block: str, message: str) -> None:
    assert any(message in mistake for mistake in mistakes(HEAD + f"blocks: {{{block}}}\nlayers: [relu]"))


def test_notes_are_free_in_blocks_and_where_they_are_used() -> None:
    spec(
        HEAD
        + """\
blocks: {A: {x-note: "$(", description: d, inputs: [x], layers: [relu]}}
layers: [{type: A, x-note: "$(", description: "$(1 //"}]
"""
    )


@pytest.mark.parametrize(
    ("blocks", "message"),
    [
        ("  A: {inputs: [x], layers: [relu, A]}", "s.yaml:5:35: block A: a block contains itself: A, A"),
        (
            "  A: {layers: [B]}\n  B: {layers: [{layers: [C]}]}\n  C: {layers: [A]}",
            "block C: a block contains itself: A, B, C, A",
        ),
        ("  A: {layers: [{type: A, if: false}, relu]}", "block A: a block contains itself: A, A"),
        ("  A: {params: {t: A}, layers: [{type: $(t)}]}", "a block contains itself: A, A; in block A, used by 0 (A)"),
        ("  A: {layers: [relu]}\n  Unused: {layers: [Unused]}", "block Unused: a block contains itself"),
    ],
)
def test_a_block_may_not_contain_itself(blocks: str, message: str) -> None:
    (mistake,) = mistakes(HEAD + f"blocks:\n{blocks}\nlayers: [A, {{type: relu, from: x}}]")
    assert message in mistake


def test_blocks_inside_each_other_beyond_the_stack_are_refused_in_one_line() -> None:
    for depth, right in ((29, True), (60, False), (2000, False)):
        blocks = "".join(f"  B{k}: {{inputs: [x], layers: [B{k + 1}]}}\n" for k in range(depth))
        text = HEAD + f"blocks:\n{blocks}  B{depth}: {{inputs: [x], layers: [relu]}}\nlayers: [B0]"
        if right:
            assert len(list(graph(text).calls())) == 1
        else:
            assert "groups and blocks inside each other, more than 32 deep" in mistakes(text)[0]


BROKEN = (
    IMAGE
    + """\
blocks:
  Inner:
    inputs: [x]
    let: {n: $(1 // 0)}
    layers:
      - {type: conv2d, out_channels: $(n), kernel_size: 1}
      - {name: c, type: conv2d, out_channels: half, kernel_size: 1, from: x}
      - {type: relu, from: nowhere}
  Outer: {inputs: [x], layers: [{name: in, type: Inner}, {name: again, type: Inner, from: x}]}
layers:
  - {name: one, type: Outer, repeat: 3}
  - {name: two, type: Inner, from: x}
"""
)


def test_a_mistake_in_a_block_is_told_once_with_where_the_block_is_used() -> None:
    used = "; in block Inner, used by one.0.in (s.yaml:12:33); in block Outer, used by one.0 (s.yaml:14:5)"
    told = mistakes(BROKEN)
    assert [re.sub(r"^(s.yaml:\d+:\d+).*", r"\1", mistake) for mistake in told] == [
        "s.yaml:7:18",
        "s.yaml:10:47",
        "s.yaml:11:28",
    ]
    assert all(mistake.endswith(used) for mistake in told)


def test_ten_mistakes_are_shown_and_the_rest_is_counted() -> None:
    bad = "".join(f"      - {{type: linear, out_features: none{k}}}\n" for k in range(14))
    text = HEAD + f"blocks:\n  A:\n    inputs: [x]\n    layers:\n{bad}layers: [A, A]"
    told = mistakes(text)
    assert len(told) == 14
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - the lines are what is tested
        spec(text)
    lines = str(caught.value).splitlines()
    assert len(lines) == 11
    assert lines[-1] == "and 4 more mistakes"


def test_json_says_the_same_as_yaml() -> None:
    text = UNIT + "layers: [{name: a, type: Unit, n: 2, from: [x, x]}]\noutputs: {a: 'a:fc'}\n"
    other = loads(json.dumps(yaml.safe_load(text)), file="s.json")
    one, two = (print_graph(each.graphs.training) for each in (spec(text), other))
    assert re.sub("  # .*", "", one) == re.sub("  # .*", "", two)
    wrong = text.replace("n: 2", "n: two")
    with pytest.raises(ValueError) as caught:  # noqa: PT011
        loads(json.dumps(yaml.safe_load(wrong), indent=1), file="s.json")
    assert [re.sub(r"s\.\w+:\d+:\d+", "", line) for line in str(caught.value).splitlines()] == [
        re.sub(r"s\.\w+:\d+:\d+", "", line) for line in mistakes(wrong)
    ]
