"""Groups: paths, positions over present entries, what a group hands on, splicing, and frozen parts."""

from __future__ import annotations

import pytest

from tests.core.spec_text import HEAD, graph, mistakes, outputs, spec, trainable


def paths(text: str, **options: object) -> list[str]:
    return [call.path for call in graph(text, **options).calls()]


def test_an_unnamed_entry_is_called_by_its_position_over_present_entries() -> None:
    text = (
        HEAD
        + """\
params: {some: false}
layers:
  - relu
  - {type: linear, out_features: 2, if: $(some)}
  - {name: fc, type: linear, out_features: 3}
  - {type: tanh, if: $(not some)}
  - layers:
      - {name: a, type: relu}
      - {type: linear, out_features: 4, if: $(some)}
      - {type: linear, out_features: 5}
  - relu
"""
    )
    assert paths(text) == ["0", "fc", "2", "3.a", "3.1", "4"]
    assert paths(text, params={"some": True}) == ["0", "1", "fc", "3.a", "3.1", "3.2", "4"]
    assert list(trainable(text)) == ["fc.weight", "fc.bias", "3.1.weight", "3.1.bias"]


def test_a_group_without_inputs_hands_what_it_reads_to_its_first_entry() -> None:
    text = (
        HEAD
        + """\
layers:
  - {name: a, type: linear, out_features: 2}
  - {name: b, type: linear, out_features: 3, from: x}
  - {name: one, layers: [{type: concat, dim: 1}, relu], from: [a, b]}
  - {name: two, layers: [{type: linear, out_features: "$(a.shape[1] + 5)"}]}
  - {name: three, layers: [{layers: [{layers: [tanh]}]}], from: x}
outputs: {one: one, two: two, three: three}
"""
    )
    assert outputs(text) == {"one": "float[batch, 5]", "two": "float[batch, 7]", "three": "float[batch, 6]"}
    reads = {call.path: [value.origin.path for value in call.inputs if value.origin] for call in graph(text).calls()}
    assert reads["one.0"] == ["a", "b"]
    assert reads["two.0"] == ["one.1"]
    assert reads["three.0.0.0"] == ["x"]


def test_a_group_with_inputs_binds_them_by_order_or_by_name() -> None:
    text = (
        HEAD
        + """\
layers:
  - {name: a, type: linear, out_features: 2}
  - {name: g, inputs: [left, right], from: FROM, layers: [{type: linear, out_features: 3, from: right}, relu]}
"""
    )
    assert spec(text.replace("FROM", "[a, x]")).inference.params[2].value.shape == (3, 6)
    assert spec(text.replace("FROM", "{right: a, left: x}")).inference.params[2].value.shape == (3, 2)
    (mistake,) = mistakes(text.replace("FROM", "[a]"))
    assert mistake.startswith("s.yaml:6:44: g: from: expected 2 (left, right), got 1")
    (mistake,) = mistakes(text.replace("FROM", "{rihgt: a, left: x}"))
    assert "g: from: there is no input rihgt; did you mean right?" in mistake


def test_a_group_sees_the_names_around_it_and_its_own_hide_them() -> None:
    text = (
        HEAD
        + """\
params: {n: 2, m: 3}
layers:
  - {name: a, type: linear, out_features: 4}
  - name: g
    let: {n: $(m * 10)}
    layers:
      - {name: inner, type: linear, out_features: $(n), from: a}
      - {name: a, type: linear, out_features: $(m)}
      - {name: after, type: linear, out_features: 2, from: a}
  - {name: out, type: linear, out_features: $(n), from: a}
"""
    )
    shapes = {param.path: param.value.shape for param in graph(text).params}
    assert shapes["g.inner.weight"] == (30, 4), "n of the group, a of the model"
    assert shapes["g.a.weight"] == (3, 30)
    assert shapes["g.after.weight"] == (2, 3), "a of the group, once it stands above"
    assert shapes["out.weight"] == (2, 4), "what is in the group stays there"


def test_a_number_hides_an_entry_and_an_entry_of_several_outputs_hides_a_number() -> None:
    text = HEAD + "layers: [{name: a, type: relu}, {name: g, let: {a: 3}, layers: [{type: relu, from: a}]}]"
    assert mistakes(text)[0].startswith("s.yaml:4:84: g.0 (relu): there is nothing called a above")
    text = (
        HEAD
        + """\
params: {p: 3}
layers:
  - layers:
      - {name: p, type: relu, parallel: 2, from: x}
      - {type: linear, out_features: $(p), from: x}
"""
    )
    assert "p has 2 outputs: only the shape of an entry with one can be read" in mistakes(text)[0]


def test_nothing_inside_a_group_can_be_referred_to_but_its_outputs() -> None:
    text = (
        HEAD
        + """\
layers:
  - {name: g, layers: [{name: a, type: relu}, {name: b, type: linear, out_features: 2}], outputs: {p: a, q: b}}
  - {type: linear, out_features: 1, from: "REF"}
"""
    )
    assert graph(text.replace("REF", "g:p")).params[2].value.shape == (1, 6)
    assert graph(text.replace("REF", "g:q")).params[2].value.shape == (1, 2)
    for wrong, message in (
        ("g", "g has several outputs: name one, g:p, g:q"),
        ("g.a", "there is nothing called g.a above"),
        ("a", "there is nothing called a above"),
        ("g:a", "g has no port a: it has p, q"),
        ("g:0", "g has no port 0"),
    ):
        (mistake,) = mistakes(text.replace("REF", wrong))
        assert mistake.startswith("s.yaml:6:43: 1 (linear): ")
        assert message in mistake


def test_a_last_entry_with_several_outputs_is_refused_beside_all_other_mistakes() -> None:
    text = (
        HEAD
        + """\
layers:
  - name: g
    layers:
      - {type: linear, out_features: none}
      - {name: b, layers: [{name: z, type: relu, from: x}], outputs: {p: z, q: z}}
"""
    )
    told = mistakes(text)
    assert [mistake.partition(": ")[0] for mistake in told] == ["s.yaml:7:38", "s.yaml:8:9"]
    assert told[1] == (
        's.yaml:8:9: outputs is required: the last entry has several; name them: outputs: {p: "b:p", q: "b:q"}'
    )
    assert mistakes(HEAD + "layers: [{type: relu, parallel: 2}]") == [
        "s.yaml:4:10: outputs is required: the last entry gives 2 values, which are called by number"
    ]
    assert outputs(HEAD + "layers: [{type: relu, parallel: 1}]") == {"output": "float[batch, 6]"}


SPLICED = (
    HEAD
    + """\
params: {extra: true, depth: 2}
layers:
  - {name: first, type: linear, out_features: 1}
  - name: .
    if: $(extra)
    from: x
    layers:
      - {type: linear, out_features: 2}
      - {name: ., layers: [relu, {name: inside, type: linear, out_features: 3}]}
  - name: .
    repeat: $(depth)
    frozen: $(extra)
    layers:
      - {type: linear, out_features: $(4 + i)}
      - {name: n$(i), type: relu}
  - {name: last, type: linear, out_features: 9}
outputs: {first: first, last: last}
"""
)


def test_spliced_entries_are_numbered_and_named_as_if_written_in_the_list_around() -> None:
    assert paths(SPLICED) == ["first", "1", "2", "inside", "4", "n0", "6", "n1", "last"]
    shapes = {param.path: param.value.shape for param in graph(SPLICED).params if len(param.value.shape) == 2}
    assert shapes == {
        "first.weight": (1, 6),
        "1.weight": (2, 6),
        "inside.weight": (3, 2),
        "4.weight": (4, 3),
        "6.weight": (5, 4),
        "last.weight": (9, 5),
    }
    frozen = {path.split(".")[0] for path, trained in trainable(SPLICED).items() if not trained}
    assert frozen == {"4", "6"}


def test_an_absent_splice_stands_for_its_input_and_one_without_copies_too() -> None:
    assert paths(SPLICED, params={"extra": False, "depth": 0}) == ["first", "last"]
    shapes = {param.path: param.value.shape for param in graph(SPLICED, params={"extra": False, "depth": 0}).params}
    assert shapes["last.weight"] == (9, 6), "the absent one reads x, and stands for it"


def test_entries_of_a_splice_can_be_referred_to_and_clash_with_those_around() -> None:
    text = (
        HEAD
        + "layers: [{name: ., layers: [{name: a, type: relu}, tanh]}, {type: relu, from: a}, {name: NAME, type: relu}]"
    )
    assert paths(text.replace("NAME", "b")) == ["a", "2", "b"], "the tanh is needed by no output"
    assert mistakes(text.replace("NAME", "A"))[0].startswith("s.yaml:4:90: A and a, which differ only in case")


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ("{name: ., type: relu}", "a layer is called '.': that is for groups and blocks"),
        ("{name: ., parallel: 2, layers: [relu]}", "parallel: a spliced group takes repeat only"),
        ("{name: ., layers: [relu], layer: 1}", "unknown key layer in a group; did you mean layers?"),
        ("{name: ., inputs: [a], layers: [relu]}", "a second layer with the path 0"),
        ("{name: ., repeat: 2, layers: [{name: a, type: relu}]}", "a: a layer and a layer at"),
        ("{name: g, layers: []}", "layers: expected a list of one layer or more"),
        ("{name: g, layers: [relu], init: {weight: zeros}}", "init: a group has none: write it at a layer"),
        ("{name: g, layers: [relu], tie: {weight: a}}", "tie: a group has none: write it at a layer"),
        (
            "{name: g, layers: [relu], type: relu}",
            "layers beside type: an entry has one of type, layers, share, branches",
        ),
        ('{name: g, layers: [relu], x-y: "$(", description: 3}', ""),
        ("{name: g, layers: [relu], inputs: [a, a]}", "inputs of the group: a twice"),
        ("{name: g, layers: [relu], inputs: [x-a]}", "x-a is no name: a name does not begin with x-"),
        ("{name: g, layers: [relu], inputs: {a: 1}}", "expected a list of names such as [x, mask]"),
        ("{name: g, layers: [relu], let: {x-a: 1}}", "let of the group: x-a is no name"),
        ("{name: g, layers: [relu], let: {A: 1}, inputs: [a]}", "a and A, which differ only in case"),
        ("{name: g, layers: [{name: r, type: relu}], outputs: {x-a: r}}", "outputs: x-a is no name"),
        ("{name: g, layers: [{name: r, type: relu}], outputs: {o: {from: r, only: training}}}", "unknown key only"),
        ("{name: g, layers: [relu], repeat: 2, parallel: 2}", "parallel beside repeat: an entry has one loop at most"),
    ],
)
def test_groups_that_are_refused(entry: str, message: str) -> None:
    text = HEAD + f"layers: [relu, {entry}]"
    if message:
        assert any(message in mistake for mistake in mistakes(text)), mistakes(text)
    else:
        spec(text)


def test_frozen_holds_beneath_the_nearest_wins_and_false_thaws() -> None:
    text = (
        HEAD
        + """\
layers:
  - name: g
    frozen: true
    layers:
      - {name: a, type: linear, out_features: 6}
      - {name: b, frozen: false, layers: [{name: c, type: linear, out_features: 6}]}
      - {name: d, frozen: weights, layers: [batch_norm, {name: e, type: linear, out_features: 6, frozen: false}]}
      - batch_norm
  - {name: out, type: linear, out_features: 1}
freeze: [out, g.b, "!g.a"]
"""
    )
    trained = {path.rpartition(".")[0] for path, moves in trainable(text).items() if moves}
    assert trained == {"g.b.c", "g.d.e"}
    assert {path.rpartition(".")[0] for path in spec(text).training.updates} == {"g.d.0"}


def test_two_parameters_with_one_path_are_refused_however_it_comes_about() -> None:
    linear = "type: linear, out_features: 2"
    for layers in (
        f"[{{name: a, layers: [{{name: b, {linear}}}]}}, {{name: a.b, {linear}}}]",
        f"[{{name: a.b, {linear}}}, {{name: a, layers: [{{name: b, {linear}}}]}}]",
        f"[{{name: g, layers: [{{name: '1', {linear}}}, {{{linear}}}]}}]",
    ):
        assert "a second layer with the path" in mistakes(HEAD + f"layers: {layers}")[0]
    text = HEAD + f"layers: [{{name: a, layers: [{{name: b, {linear}}}]}}, {{name: a.c, {linear}}}]"
    assert list(trainable(text)) == ["a.b.weight", "a.b.bias", "a.c.weight", "a.c.bias"]


def test_groups_may_be_nested_as_deep_as_a_text_allows_and_no_deeper() -> None:
    deep = "[{layers: " * 25 + "[relu]" + "}]" * 25
    assert paths(HEAD + f"layers: {deep}") == [".".join(["0"] * 26)]
    deep = "[{layers: " * 32 + "[relu]" + "}]" * 32
    assert any("deep" in mistake for mistake in mistakes(HEAD + f"layers: {deep}"))


def test_a_parameter_entry_has_the_path_of_its_own() -> None:
    text = HEAD + (
        "layers: [{name: g, layers: [{name: token, type: parameter, shape: [1, 6], init: zeros},\n"
        "  {type: add, from: [x, token]}]},\n"
        "  {name: NAME, type: linear, out_features: 2}]"
    )
    assert list(trainable(text.replace("NAME", "fc"))) == ["g.token", "fc.weight", "fc.bias"]
    assert "a layer is called g.token, and so is a parameter" in mistakes(text.replace("NAME", "g.token.fc"))[0]
    assert "a second layer with the path g.token" in mistakes(text.replace("NAME", "g.token"))[0]
