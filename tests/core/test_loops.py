"""`repeat` and `parallel`: names and positions of copies, what each reads, and loops without copies."""

from __future__ import annotations

import pytest

from tests.core.spec_text import HEAD, TWO, calls, graph, mistakes, outputs, reads, spec, trainable


def weights(text: str, **options: object) -> dict[str, tuple[object, ...]]:
    return {p.path: p.value.shape for p in graph(text, **options).params if p.path.endswith("weight")}


def test_copies_are_called_by_the_name_and_their_number() -> None:
    text = HEAD + "layers: [{name: a.b, type: linear, out_features: $(i + 2), repeat: 3}, relu]"
    assert weights(text) == {"a.b.0.weight": (2, 6), "a.b.1.weight": (3, 2), "a.b.2.weight": (4, 3)}
    assert list(calls(text)) == ["a.b.0", "a.b.1", "a.b.2", "1"], "the loop has one position"


def test_copies_without_a_name_take_a_position_each() -> None:
    text = HEAD + "layers: [relu, {type: linear, out_features: $(i + 2), repeat: 2}, relu]"
    assert list(calls(text)) == ["0", "1", "2", "3"]


def test_a_name_with_an_expression_is_the_whole_name_of_each_copy() -> None:
    text = (
        HEAD
        + """\
layers:
  - {name: down$(i), type: linear, repeat: {w: [3, 4]}, out_features: $(w)}
  - {name: $("up")$(i), type: linear, repeat: 2, out_features: 2, from: down$(i)}
  - relu
outputs: {a: down0, b: up1}
"""
    )
    assert weights(text) == {
        "down0.weight": (3, 6),
        "down1.weight": (4, 3),
        "up0.weight": (2, 3),
        "up1.weight": (2, 2),
    }
    assert reads(text)["up0"] == ["down0"], "`from` is what the first copy reads"
    twice = HEAD + "layers: [{name: a$(0 * i), type: relu, repeat: 2}]"
    assert "a0: a layer and a layer" in mistakes(twice)[0]


def test_lists_are_walked_together_and_i_counts() -> None:
    text = (
        HEAD
        + """\
params: {widths: [3, 4], flags: [true, false]}
layers:
  - name: g
    repeat: {w: $(widths), bias: $(flags)}
    layers:
      - {type: linear, out_features: $(w + i), bias: $(bias), if: $(w > i)}
"""
    )
    assert list(trainable(text)) == ["g.0.0.weight", "g.0.0.bias", "g.1.0.weight"]
    assert weights(text) == {"g.0.0.weight": (3, 6), "g.1.0.weight": (5, 3)}
    assert "walks lists of one length together: w has 3, bias has 2" in mistakes(text, params={"widths": [1, 2, 3]})[0]


def test_an_inner_loop_hides_the_variables_of_the_outer_and_both_hide_params() -> None:
    text = (
        HEAD
        + """\
params: {i: 100, w: 50}
layers:
  - name: g
    repeat: {w: [1, 2]}
    layers:
      - {name: a, type: linear, out_features: $(10 * w + i), repeat: 3}
      - {name: b, type: linear, out_features: $(20 + i)}
  - {name: c, type: linear, out_features: $(i + w)}
"""
    )
    shapes = weights(text)
    assert [shapes[f"g.1.a.{k}.weight"][0] for k in range(3)] == [20, 21, 22]
    assert [shapes[f"g.{k}.b.weight"][0] for k in range(2)] == [20, 21]
    assert shapes["c.weight"][0] == 150


def test_the_variables_hold_in_from_if_else_name_init_frozen_and_share() -> None:
    text = (
        HEAD
        + """\
layers:
  - {name: t$(i), type: linear, out_features: 6, repeat: 2, frozen: $(i == 1),
     init: {bias: {type: constant, value: $(i)}}}
  - {name: p, type: linear, out_features: 3, parallel: {k: [1, 0]}, from: t$(k), if: $(k == 1), else: t$(1 - k)}
  - {name: s, share: t$(i), repeat: 2, from: x}
outputs: {p0: "p:0", p1: "p:1", s: s}
"""
    )
    assert reads(text)["p.0"] == ["t1"]
    assert set(calls(text)) == {"t0", "t1", "p.0"}
    assert trainable(text)["t0.weight"]
    assert not trainable(text)["t1.weight"]
    assert [param.initializer.value for param in graph(text).params if param.path in ("t0.bias", "t1.bias")] == [0, 1]
    made = graph(text)
    assert [output.name for output in made.outputs] == ["p0", "p1", "s"]
    assert made.outputs[1].value.origin is not None
    assert made.outputs[1].value.origin.path == "t1", "the absent copy stands for its `else`"


RUNNING = (
    TWO
    + """\
blocks:
  B:
    inputs: [INPUTS]
    layers:
      - {name: fc, type: linear, out_features: 6, from: FIRST}
      - {name: y, type: add, from: [fc, mask]}
      - {name: z, type: relu, from: mask}
    outputs: {OUTPUTS}
layers: [{name: b, type: B, from: {x: x, mask: m}, repeat: 2}, {name: end, type: tanh, from: "PORT"}]
"""
)


def running(inputs: str, given: str, port: str) -> dict[str, list[str]]:
    text = RUNNING.replace("INPUTS", inputs).replace("FIRST", "x").replace("OUTPUTS", given).replace("PORT", port)
    return reads(text)


def test_a_single_output_replaces_the_first_input_and_the_others_stay() -> None:
    found = running("x, mask", "out: y", "b")
    assert found["b.1.fc"] == ["b.0.y"]
    assert found["b.1.y"] == ["b.1.fc", "m"]
    assert found["end"] == ["b.1.y"]


def test_an_output_replaces_the_input_of_its_name_wherever_that_stands() -> None:
    found = running("x, mask", "mask: y", "b")
    assert found["b.1.fc"] == ["x"]
    assert found["b.1.y"] == ["b.1.fc", "b.0.y"]
    found = running("mask, x", "x: y", "b")
    assert found["b.1.fc"] == ["b.0.y"]
    assert found["b.1.y"] == ["b.1.fc", "m"]


def test_several_outputs_replace_the_inputs_of_their_names_and_others_are_ports_only() -> None:
    found = running("x, mask", "mask: z, x: y, extra: fc", "b:x")
    assert found["b.1.fc"] == ["b.0.y"]
    assert found["b.1.y"] == ["b.1.fc", "b.0.z"]
    text = RUNNING.replace("INPUTS", "x, mask").replace("FIRST", "x").replace("OUTPUTS", "o: y, p: z")
    (mistake,) = mistakes(text.replace("PORT", "b:o"))
    assert "b: repeat: none of its outputs (o, p) is called like an input (x, mask)" in mistake


def test_a_running_concat_grows() -> None:
    text = (
        HEAD
        + """\
layers:
  - name: dense
    repeat: 3
    inputs: [x]
    layers:
      - {name: new, type: linear, out_features: 2}
      - {type: concat, dim: 1, from: [x, new]}
"""
    )
    assert weights(text) == {"dense.0.new.weight": (2, 6), "dense.1.new.weight": (2, 8), "dense.2.new.weight": (2, 10)}
    assert outputs(text) == {"output": "float[batch, 12]"}


def test_what_a_group_without_inputs_hands_on_follows_the_same_rule() -> None:
    text = TWO + "layers: [{name: g, from: [x, m], repeat: 2, layers: [{name: sum, type: add}]}]"
    assert reads(text) == {"g.0.sum": ["x", "m"], "g.1.sum": ["g.0.sum", "m"]}
    text = TWO + "layers: [{name: a, type: add, from: [m, x], repeat: 2}]"
    assert reads(text) == {"a.0": ["m", "x"], "a.1": ["a.0", "x"]}
    text = TWO + "layers: [{name: ., from: [m, x], repeat: 2, layers: [{name: s$(i), type: add}]}]"
    assert reads(text) == {"s0": ["m", "x"], "s1": ["s0", "x"]}


@pytest.mark.parametrize(
    ("entry", "stands_for"),
    [
        ("{name: a, type: linear, out_features: 3, from: m, repeat: 0}", "m"),
        ("{name: a, type: linear, out_features: $(w), from: m, repeat: {w: []}}", "m"),
        ("{name: a, type: add, from: [m, x], repeat: 0}", "m"),
        ("{name: a, layers: [{type: add}], from: [m, x], repeat: 0}", "m"),
        ("{name: a, type: B, from: {y: m, x: x}, repeat: 0}", "x"),
        ("{name: a, type: B, from: [m, x], repeat: 0}", "m"),
        ("{name: a, type: C, from: [m, x], repeat: 0}", "x"),
        ("{name: a, type: $('relu'), from: m, repeat: 0}", "m"),
        ("{name: a, type: relu, from: m, repeat: 2, if: false}", "m"),
        ("{name: a, type: relu, from: m, repeat: 2, if: $(i > 5), else: x}", "x"),
    ],
)
def test_without_copies_the_name_stands_for_the_input(entry: str, stands_for: str) -> None:
    text = (
        TWO
        + f"""\
blocks:
  B: {{inputs: [x, y], layers: [{{type: add, from: [x, y]}}]}}
  C: {{inputs: [x, y], layers: [{{name: s, type: add, from: [x, y]}}], outputs: {{y: s}}}}
layers: [{entry}, {{type: tanh, from: a}}]
"""
    )
    assert reads(text) == {"0": [stands_for]}, "and it takes no position"
    assert not graph(text).params


def test_ports_of_a_block_without_copies_are_the_inputs_of_their_names() -> None:
    text = (
        TWO
        + """\
blocks:
  B:
    inputs: [h, c]
    layers: [{name: p, type: add, from: [h, c]}, {name: q, type: mul, from: [h, c]}]
    outputs: {c: p, h: q}
layers: [{name: a, type: B, from: [m, x], repeat: 0}, {type: tanh, from: "a:c"}]
"""
    )
    assert reads(text) == {"0": ["x"]}
    (mistake,) = mistakes(text.replace("{c: p, h: q}", "{c: p, other: q}"))
    assert "a: else is required: it is absent, and has 2 inputs to stand for" in mistake


ABSENT = (
    TWO
    + """\
layers:
  - {name: a, type: linear, out_features: $(i + 2), from: x, repeat: 3, if: $(i != SKIPPED)}
  - {type: tanh, from: a}
"""
)


@pytest.mark.parametrize(
    ("skipped", "expected"),
    [
        (0, {"a.1": ["x"], "a.2": ["a.1"], "1": ["a.2"]}),
        (1, {"a.0": ["x"], "a.2": ["a.0"], "1": ["a.2"]}),
        (2, {"a.0": ["x"], "a.1": ["a.0"], "1": ["a.1"]}),
    ],
)
def test_an_absent_copy_keeps_its_number_and_stands_for_its_input(skipped: int, expected: dict[str, list[str]]) -> None:
    assert reads(ABSENT.replace("SKIPPED", str(skipped))) == expected


def test_an_absent_copy_with_else_hands_that_on() -> None:
    text = ABSENT.replace("if: $(i != SKIPPED)", "if: $(i != 1), else: m")
    assert reads(text) == {"a.2": ["m"], "1": ["a.2"]}
    last = ABSENT.replace("if: $(i != SKIPPED)", "if: $(i < 2), else: $('m' if i == 2 else 'x')")
    assert reads(last) == {"1": ["m"]}


def test_an_absent_copy_of_several_inputs_leaves_them_as_they_are() -> None:
    text = TWO + "layers: [{name: a, type: add, from: [x, m], repeat: 3, if: $(i != 2)}, tanh]"
    assert reads(text) == {"a.0": ["x", "m"], "a.1": ["a.0", "m"], "1": ["a.1"]}


def test_absent_copies_without_a_name_take_no_position() -> None:
    text = HEAD + "layers: [{type: linear, out_features: $(i + 2), repeat: 4, if: $(i % 2 == 1)}, relu]"
    assert weights(text) == {"0.weight": (3, 6), "1.weight": (5, 3)}
    named = (
        HEAD + "layers: [{name: n$(i), type: relu, repeat: 3, if: $(i == 1)}, {type: concat, dim: 1, from: [n0, n2]}]"
    )
    assert reads(named) == {"n1": ["x"], "1": ["x", "n1"]}


@pytest.mark.parametrize(
    "entry", ["type: linear, out_features: $(i + 2)", "layers: [{type: linear, out_features: $(i + 2)}]"]
)
def test_every_parallel_copy_reads_from_and_the_name_means_all(entry: str) -> None:
    text = HEAD + f"layers: [{{name: e, parallel: 3, from: x, {entry}}}, {{type: concat, dim: 1, from: [e, x, 'e:1']}}]"
    assert outputs(text) == {"output": "float[batch, 18]"}
    concat = calls(text)["1"]
    assert [value.shape[1] for value in concat.inputs] == [2, 3, 4, 6, 3]


def test_all_parallel_outputs_go_where_several_inputs_are_taken() -> None:
    text = TWO + "layers: [{name: e, type: relu, parallel: COUNT, from: x}, {type: TYPE, from: e}]"
    assert reads(text.replace("COUNT", "3").replace("TYPE", "add"))["1"] == ["e.0", "e.1", "e.2"]
    assert reads(text.replace("COUNT", "1").replace("TYPE", "tanh"))["1"] == ["e.0"]
    assert "from: expected 1 (x), got 2" in mistakes(text.replace("COUNT", "2").replace("TYPE", "tanh"))[0]
    assert "from: expected 1 (x), got 0" in mistakes(text.replace("COUNT", "0").replace("TYPE", "tanh"))[0]
    assert reads(text.replace("COUNT", "2").replace("type: TYPE, from: e", "type: tanh, from: 'e:1'"))["1"] == ["e.1"]
    assert (
        "e has no port 2: it has 0, 1"
        in mistakes(text.replace("COUNT", "2").replace("type: TYPE, from: e", "type: tanh, from: 'e:2'"))[0]
    )
    by_name = text.replace("COUNT", "2").replace("type: TYPE, from: e", "type: tanh, from: {x: e}")
    assert "from: input x takes one value, e has 2" in mistakes(by_name)[0]
    output = text.replace("COUNT", "2").replace("TYPE", "add") + "\noutputs: {y: e}"
    assert "output y: e has 2 values: name one, e:0" in mistakes(output)[0]


def test_a_parallel_block_or_group_gives_all_of_its_copies() -> None:
    text = (
        HEAD
        + """\
blocks: {B: {inputs: [x], params: {n: 2}, layers: [{name: f, type: linear, out_features: $(n)}]}}
layers:
  - {name: inner, layers: [{name: e, type: B, parallel: {k: [1, 2]}, n: $(k)}]}
  - {name: join, type: concat, dim: 1, from: inner}
  - {name: none, type: relu, parallel: 2, from: x, if: $(i == 0)}
  - {type: concat, dim: 1, from: [none, join]}
"""
    )
    assert weights(text) == {"inner.e.0.f.weight": (1, 6), "inner.e.1.f.weight": (2, 6)}
    assert outputs(text) == {"output": "float[batch, 15]"}
    several = HEAD + (
        "blocks: {B: {inputs: [x], layers: [{name: a, type: relu}], outputs: {p: a, q: a}}}\n"
        "layers: [{name: e, type: B, parallel: 2}, relu]"
    )
    assert mistakes(several) == ["s.yaml:5:10: e: parallel: a copy gives one output, copy 0 has 2"]


@pytest.mark.parametrize(
    ("loop", "message"),
    [
        ("repeat: -1", "a: repeat: expected an integer from 0 up, or a mapping of lists"),
        ("repeat: 2.0", "a: repeat: expected an integer from 0 up"),
        ("repeat: true", "a: repeat: expected an integer from 0 up"),
        ("repeat: [1, 2]", "a: repeat: expected an integer from 0 up"),
        ("repeat: $(batch)", "a: repeat: expected an integer from 0 up"),
        ("repeat: {}", "walks lists of one length together: none is given"),
        ("repeat: {w: 3}", "a: repeat over w: expected a list, got 3"),
        ("repeat: {i: [3]}", "i: a variable of a loop and the index of a loop"),
        ("repeat: {W: [3], w: [3]}", "w and W, which differ only in case"),
        ("repeat: {x-w: [3]}", "a variable of repeat is called x-w"),
        ("repeat: {if: [3]}", "a variable of repeat is called if"),
        ("parallel: -1", "a: parallel: expected an integer from 0 up"),
        ("repeat: 1000000000", "1,000,000,000 layers: more than 12,000"),
        ("scan: {over: [x], dim: 1}", "scan"),
    ],
)
def test_loops_that_are_refused(loop: str, message: str) -> None:
    assert any(message in mistake for mistake in mistakes(HEAD + f"layers: [{{name: a, type: relu, {loop}}}]"))


def test_nested_loops_beyond_the_budget_are_refused_before_anything_is_made() -> None:
    text = "relu"
    for _ in range(5):
        text = f"{{repeat: 100, layers: [{text}]}}"
    assert "more than 12,000" in mistakes(HEAD + f"layers: [{text}]")[0]


def test_each_copy_has_its_own_mistakes_and_what_reads_the_loop_has_none() -> None:
    text = HEAD + (
        "layers: [{name: a, type: linear, repeat: {w: [2, 0, two]}, parallel: 1, out_features: $(w)}]"
    ).replace("repeat: {w: [2, 0, two]}, parallel: 1", "parallel: {w: [2, 0, two]}")
    told = mistakes(text + "\noutputs: {y: 'a:0'}")
    assert len(told) == 2
    assert "a.1: out_features: expected a positive integer, got 0" in told[0]
    assert "a.2: out_features: expected a positive integer, got text 'two'" in told[1]


def test_globs_reach_into_copies() -> None:
    text = HEAD + "layers: [{name: a, repeat: 3, layers: [{name: fc, type: linear, out_features: 6}]}]\nfreeze: "
    frozen = {path.split(".")[1] for path, moves in trainable(text + "['a.[02].fc', '!a.2']").items() if not moves}
    assert frozen == {"0"}
    assert "a.3 matches nothing" in mistakes(text + "[a.3]")[0]
    assert "b matches nothing" in mistakes(HEAD + "layers: [relu, {name: b, type: relu, repeat: 0}]\nfreeze: [b]")[0]
    assert spec(text + "[a]").training.params


def test_a_repeated_or_shared_formula_keeps_its_variables() -> None:
    text = (
        TWO
        + """\
layers:
  - {name: f, type: formula, from: [x, m], expr: x - 2 * m, repeat: 3}
  - {name: g, type: formula, from: {a: m, b: f}, expr: a * b + i, repeat: 2}
  - {name: h, share: g, from: {a: g, b: m}}
"""
    )
    found = reads(text)
    assert found["f.0"] == ["x", "m"]
    assert found["f.2"] == ["f.1", "m"]
    assert found["g.1"] == ["g.0", "m"], "of the last application, h: its first copy reads the last of g"
    assert [call.path for call in graph(text).calls()] == ["f.0", "f.1", "f.2", "g.0", "g.1", "g.0", "g.1"]
