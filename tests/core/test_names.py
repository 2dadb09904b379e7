"""Names, params, expressions and inputs of a spec: what each stands for, and what is refused."""

from __future__ import annotations

import json

import pytest

from netspec.language.reader import read_value
from tests.core.spec_text import HEAD, graph, mistakes, outputs, spec, trainable


@pytest.mark.parametrize(
    "name", ["a/b", "..", ".", "a..b", "", "é", "-a", "a b", "$", "a:b", "__class__", "a.__metadata__"]
)
def test_names_that_are_refused(name: str) -> None:
    (mistake,) = mistakes(
        HEAD + f"layers: [{{name: {json.dumps(name)}, type: relu}}, {{type: relu, from: {json.dumps(name)}}}]"
    )
    assert mistake.startswith("s.yaml:4:17: a layer is called ")


def test_a_name_may_have_parts_dashes_and_digits() -> None:
    text = HEAD + (
        "layers: [{name: encoder.layer.0.out-proj_1, type: linear, out_features: 2}, {name: '7', type: relu}]"
    )
    assert list(trainable(text)) == ["encoder.layer.0.out-proj_1.weight", "encoder.layer.0.out-proj_1.bias"]
    assert "128 bytes" in mistakes(HEAD + f"layers: [{{name: {'a' * 129}, type: relu}}]")[0]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "layers: [{name: A, type: relu}, {name: a, type: relu}]",
            ("4:40: a and A, which differ only in case: a layer and a layer at s.yaml:4:17"),
        ),
        (
            "layers: [{name: a, type: relu}, {name: a, type: tanh}]",
            "4:40: a: a layer and a layer at s.yaml:4:17 of one name",
        ),
        ("layers: [{name: x, type: relu}]", "4:17: x: a layer and an input at s.yaml:3:10 of one name"),
        ("layers: [{name: batch, type: relu}]", "4:17: batch: a layer and a symbol of a shape at s.yaml:3:22"),
        ("params: {a: 1}\nlet: {a: 2}\nlayers: [relu]", "5:7: a: a let and a param at s.yaml:4:10 of one name"),
        (
            ("params: {a: 1}\nlayers: [{name: a, type: relu}, {type: add, from: [a, x]}]"),
            "5:17: a: a layer and a param at s.yaml:4:10",
        ),
        (
            "params: {batch: 1}\nlayers: [relu]",
            ("3:22: batch: a symbol of a shape and a param at s.yaml:4:10 of one name; write $(batch) for its value"),
        ),
        (
            "params: {x: 1}\nlayers: [relu, {type: relu, from: x}]",
            "3:10: x: an input and a param at s.yaml:4:10 of one name",
        ),
        ("layers: [relu, {name: '0', type: relu}]", "4:16: a second layer with the path 0"),
        ("layers: [{name: '1', type: relu}, relu]", "4:35: a second layer with the path 1"),
        (
            ("layers: [{name: a, type: linear, out_features: 2}, {name: a.bias, type: linear, out_features: 2}]"),
            "4:52: a layer is called a.bias, and so is a parameter",
        ),
        (
            ("layers: [{name: a, type: linear, out_features: 2}, {name: a.weight.b, type: relu}]"),
            "4:52: a layer is called a.weight, and so is a parameter",
        ),
        (
            "params: {if: 1}\nlayers: [relu]",
            ("4:10: a param is called if: letters, digits and _ are allowed, no word of $(...)"),
        ),
        ("params: {a-b: 1}\nlayers: [relu]", "4:10: a param is called a-b: letters, digits and _ are allowed"),
    ],
)
def test_one_scope_has_each_name_once(text: str, message: str) -> None:
    (mistake,) = mistakes(HEAD + text)
    assert mistake.startswith(f"s.yaml:{message}")


def test_a_name_may_hold_expressions_among_its_characters() -> None:
    text = HEAD + (
        "params: {k: 3, w: conv}\nlayers: [{name: $(w).b$(k + 1), "
        "type: linear, out_features: 2}, {type: relu, from: $(w).b4}]"
    )
    assert list(trainable(text)) == ["conv.b4.weight", "conv.b4.bias"]
    assert graph(text.replace("name: m", "name: net$(k)")).name == "net3"
    assert graph("netspec: 1\ninputs: {x: {shape: [batch]}}\nlayers: [relu]").name == "s"


def test_params_and_let_refer_to_each_other_in_any_order() -> None:
    text = (
        HEAD
        + """\
let: {total: $(width * depth), width: $(base + 1)}
params: {depth: $(base), base: 2, unused: null, wide: $(total)}
layers: [{type: linear, out_features: $(total)}, {type: linear, out_features: $(wide)}]
"""
    )
    assert trainable(text, params={"unused": 1}).keys() == {"0.weight", "0.bias", "1.weight", "1.bias"}
    assert outputs(text, params={"unused": 1, "base": 4}) == {"output": "float[batch, 20]"}
    assert outputs(text, params={"unused": 1, "depth": 5}) == {"output": "float[batch, 15]"}


def test_a_circle_is_told_once_and_its_readers_are_not_in_error_too() -> None:
    text = HEAD + (
        "let: {a: $(b), b: $(c + 1), c: $(a)}\n"
        "layers: [{type: linear, out_features: $(a)}, {type: linear, out_features: $(c)}]"
    )
    assert mistakes(text) == ["s.yaml:4:7: a circle: a needs b needs c needs a"]
    assert mistakes(HEAD + "params: {a: $(a)}\nlayers: [relu]") == ["s.yaml:4:10: a circle: a needs a"]


def test_a_branch_that_is_not_taken_closes_no_circle() -> None:
    text = HEAD + "let: {a: $(3 if true else b), b: $(a)}\nlayers: [{type: linear, out_features: $(b)}]"
    assert outputs(text) == {"output": "float[batch, 3]"}


def test_a_chain_of_names_as_long_as_the_stack_is_refused_without_a_traceback() -> None:
    chain = "".join(f"  l{k}: $(l{k + 1} + 1)\n" for k in range(2000))
    text = HEAD + f"let:\n{chain}  l2000: 1\nlayers: [{{type: linear, out_features: $(l0)}}]"
    assert mistakes(text)[0].startswith("s.yaml:5:3: l0 needs another name, that one another, and so on too often")
    lines = chain.splitlines()
    forward = (
        HEAD + "let:\n  l2000: 1\n" + "\n".join(reversed(lines)) + "\nlayers: [{type: linear, out_features: $(l0)}]"
    )
    assert outputs(forward) == {"output": "float[batch, 2001]"}


def test_a_param_without_a_value_must_be_given() -> None:
    text = HEAD + (
        "params: {width: null}\nlayers: [{type: linear, out_features: "
        "$(width)}, {type: linear, out_features: $(width)}]"
    )
    wanted = ["s.yaml:4:10: param width must be given: --set width=VALUE"]
    assert mistakes(text) == wanted
    assert mistakes(text, params={"width": None}) == wanted
    assert outputs(text, params={"width": 4}) == {"output": "float[batch, 4]"}
    assert outputs(HEAD + "let: {n: null}\nlayers: [{type: linear, out_features: $(3 if n == 3 else 5)}]") == {
        "output": "float[batch, 5]"
    }


PARAMS = HEAD + "params: {i: 2, f: 0.5, b: true, s: relu, l: [1, 2], m: {a: 1}, n: $(batch)}\nlayers: [$(s)]"


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("i", "2.0", "expected an integer like its default 2, got 2.0"),
        ("i", "true", "expected an integer like its default 2, got true"),
        ("i", "'2'", "expected an integer like its default 2, got text '2'"),
        ("i", "null", "expected an integer like its default 2, got null"),
        ("f", "true", "expected a number like its default 0.5, got true"),
        ("b", "1", "expected true or false like its default true, got 1"),
        ("b", "yes", "expected true or false like its default true, got text 'yes'"),
        ("s", "1", "expected text like its default text 'relu', got 1"),
        ("l", "3", "expected a list like its default [1, 2], got 3"),
        ("l", "{a: 1}", "expected a list like its default [1, 2], got a mapping"),
        ("m", "[1]", "expected a mapping like its default a mapping, got [1]"),
        ("n", "1.5", "expected an integer like its default batch, got 1.5"),
    ],
)
def test_a_given_param_is_of_the_kind_of_its_default(name: str, text: str, message: str) -> None:
    given = {name: read_value(text, f"--set {name}")}
    assert mistakes(PARAMS, params=given) == [f"--set {name}:1:1: param {name}: {message}"]


@pytest.mark.parametrize(
    ("name", "text"),
    [("i", "-3"), ("f", "2"), ("f", "1e-3"), ("b", "false"), ("s", "tanh"), ("l", "[]"), ("m", "{}"), ("n", "4")],
)
def test_a_param_of_the_right_kind_is_taken(name: str, text: str) -> None:
    spec(PARAMS, params={name: read_value(text, "--set")})


def test_an_integer_given_for_a_float_is_one() -> None:
    text = HEAD + "params: {f: 0.5}\nlayers: [{type: leaky_relu, negative_slope: $(f)}]"
    (call,) = graph(text, params={"f": 2}).calls()
    assert repr(call.layer.negative_slope) == "2.0"  # type: ignore[attr-defined]


def test_an_unknown_param_is_refused_with_the_nearest() -> None:
    assert mistakes(PARAMS, params={"ii": read_value("3", "--set ii")}) == [
        "--set ii:1:1: there is no param ii; did you mean i?"
    ]


def test_an_expression_stands_for_numbers_flags_words_lists_and_mappings() -> None:
    text = """\
netspec: 1
params:
  {act: tanh, kind: int64, sizes: [4, 6], both: [a, b], first: {x: a}, flag: false, start: {weight: zeros},
   how: {type: normal, std: 3}, kernel: [3, 2], frozen: weights, globs: [c, "!c"], opt: {k: 5}}
inputs:
  a: {shape: $(sizes)}
  b: {shape: [4, "$(sizes[1])"]}
  i: {shape: [batch], dtype: $(kind)}
layers:
  - {name: c, type: linear, from: $(first), out_features: $(opt.k), bias: $(flag), init: $(start)}
  - {type: $(act), from: c}
  - {name: d, type: add, from: $(both)}
  - $(act)
  - {name: e, type: linear, out_features: 2, init: {weight: $(how)}, frozen: $(frozen)}
  - {name: t, type: embedding, from: i, num_embeddings: 3, embedding_dim: 2}
outputs: {y: e, z: t, c: $('c')}
freeze: $(globs)
"""
    made = graph(text)
    assert {output.name: str(output.value.type) for output in made.outputs} == {
        "y": "float[4, 2]",
        "z": "float[batch, 2]",
        "c": "float[4, 5]",
    }
    starts = {param.path: param.initializer for param in made.params}
    assert starts["c.weight"].type == "zeros"
    assert starts["e.weight"].std == 3
    assert {param.path: param.trainable for param in made.params} == {
        "c.weight": True,
        "e.weight": False,
        "e.bias": False,
        "t.weight": True,
    }


@pytest.mark.parametrize("field", ["out_features: a$(2)", "weight_layout: in_$(2)", "bias: $(1)$(2)"])
def test_only_names_and_references_hold_an_expression_among_other_characters(field: str) -> None:
    entry = "out_features: 3, " if "out_features" not in field else ""
    (mistake,) = mistakes(HEAD + f"layers: [{{type: linear, {entry}{field}}}]")
    assert "$(...) stands alone here" in mistake


def test_symbols_are_numbers_of_expressions() -> None:
    text = (
        "netspec: 1\ninputs: {x: {shape: [batch, time, 4]}}\n"
        "layers: [{type: reshape, shape: [$(batch * time), -1]}, {type: reshape, shape: [$(batch), $(time), 4]}]"
    )
    assert outputs(text) == {"output": "float[batch, time, 4]"}


def test_shapes_of_inputs_and_of_what_stands_above_are_known() -> None:
    text = (
        HEAD
        + """\
layers:
  - {name: a, type: linear, out_features: "$(x.shape[1] + 1)"}
  - {name: b.c, type: linear, out_features: $(len(a.shape))}
  - {type: linear, out_features: "$(2 * a.shape[-1])"}
  - {type: reshape, shape: ["$(a.shape[0])", 7, 2]}
"""
    )
    assert outputs(text) == {"output": "float[batch, 7, 2]"}
    below = HEAD + 'layers: [{type: linear, out_features: "$(a.shape[1])"}, {name: a, type: relu}]'
    assert mistakes(below) == ["s.yaml:4:42: 0 (linear): out_features: $(a.shape[1]): unknown name a"]


def test_a_comparison_of_sizes_has_one_answer_or_is_refused() -> None:
    text = HEAD + "layers: [{type: linear, out_features: $(3 if OPERATOR else 4)}]"
    assert outputs(text.replace("OPERATOR", "batch >= 1")) == {"output": "float[batch, 3]"}
    assert outputs(text.replace("OPERATOR", "batch == 2 * batch")) == {"output": "float[batch, 4]"}
    (mistake,) = mistakes(text.replace("OPERATOR", "batch > 1"))
    assert mistake == (
        "s.yaml:4:52: 0 (linear): out_features: $(3 if batch > 1 else 4): batch > 1 has not one answer for all sizes"
    )


def test_a_float_is_no_integer() -> None:
    (mistake,) = mistakes(HEAD + "layers: [{type: linear, out_features: $(7 / 2)}]")
    assert (
        mistake
        == "s.yaml:4:39: 0 (linear): out_features: expected a positive integer, got 3.5; // divides to an integer"
    )


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        (
            "{shape: [batch, 0]}",
            ("3:29: input x: expected a positive integer, or a word such as batch for any size, got 0"),
        ),
        (
            "{shape: [batch, 2.0]}",
            ("3:29: input x: expected a positive integer, or a word such as batch for any size, got 2.0"),
        ),
        ("{shape: [batch, true]}", "3:29: input x: expected a positive integer, or a word"),
        ("{shape: [batch, '3']}", "3:29: a symbol is called 3: letters, digits and _ are allowed"),
        ("{shape: [a-b]}", "3:22: a symbol is called a-b"),
        ("{shape: [batch, 2147483648]}", "3:13: input x: a size of 2147483648"),
        ("{shape: [1, 1, 1, 1, 1, 1, 1, 1, 1]}", "3:13: input x: rank 9 is above the limit of 8"),
        ("{shape: 3}", "3:21: input x: expected a shape such as [batch, 3]"),
        ("{dtype: bool}", "3:13: input x: expected a shape such as [batch, 3]"),
        ("[batch, 3]", "3:13: input x: expected a mapping such as {shape: [batch, 3]}"),
        ("{shape: [batch], dtype: float32}", "3:37: input x: dtype float32: floats follow the model's float type"),
        ("{shape: [batch], dtype: int8}", "3:37: input x: expected dtype float, int64, int32, bool, got text 'int8'"),
        ("{shape: [batch], dtype: 3}", "3:37: input x: expected dtype float, int64, int32, bool, got 3"),
        ("{shape: [batch], dtyp: bool}", "3:30: unknown key dtyp in input x; did you mean dtype?"),
        ("{shape: [batch, $(2 * n)]}", "3:35: input x: $(2 * n): unknown name n"),
    ],
)
def test_inputs_that_are_refused_with_one_mistake(shape: str, message: str) -> None:
    text = f"netspec: 1\nname: m\ninputs: {{x: {shape}}}\nlayers: [relu, {{type: add, from: [x, x]}}]"
    (mistake,) = mistakes(text)
    assert mistake.startswith(f"s.yaml:{message}")


def test_a_size_may_be_an_expression_of_a_symbol_that_is_seen_elsewhere() -> None:
    text = "netspec: 1\ninputs: {x: {shape: [n, $(n + 1)]}, y: {shape: [$(2 * n)]}}\nlayers: [{type: relu, from: x}]"
    assert outputs(text) == {"output": "float[n, n + 1]"}


def test_dtypes_of_inputs() -> None:
    text = (
        "netspec: 1\ninputs: {a: {shape: [n], dtype: int32}, b: {shape: "
        "[n], dtype: bool}, c: {shape: [n], dtype: float}, d: {shape: [n]}}\n"
        "layers: [{name: e, type: relu, from: c}]\noutputs: {a: a, b: b, c: c, d: d, e: e}"
    )
    assert list(outputs(text).values()) == ["int32[n]", "bool[n]", "float[n]", "float[n]", "float[n]"]
